# The lambdas: their sizes, settings (docs/configuration.md), secrets and rights.

locals {
  # What hangs on nothing that has yet to be made.
  lambda_shapes = {
    authorizer = { memory = 256, timeout = 10, egress = [443, 8443], s3 = false, mail = false, asynchronous = null }
    # One at a time: two would both send what one of them has begun (decision 11).
    emailer        = { memory = 512, timeout = 900, egress = [443, 8443, 9443, 9445, 9096], s3 = false, mail = true, asynchronous = null }
    ingestor       = { memory = 512, timeout = 900, egress = [443, 9096], s3 = true, mail = false, asynchronous = { retries = 2, age = 21600 } }
    passworder     = { memory = 128, timeout = 300, egress = [443, 8443, 9443], s3 = false, mail = false, asynchronous = { retries = 2, age = 21600 } }
    pet-rock       = { memory = 256, timeout = 900, egress = [443, 8443, 9443], s3 = true, mail = false, asynchronous = { retries = 2, age = 21600 } }
    publish-single = { memory = 512, timeout = 15, egress = [443, 8443, 9443, 9096], s3 = false, mail = false, asynchronous = null }
    uploads        = { memory = 512, timeout = 900, egress = [443, 8443, 9443, 9042, 9096], s3 = true, mail = false, asynchronous = null }
  }

  # Written out, since pet-rock calls passworder and the two are of one module.
  passworder_arn = "arn:aws:lambda:${var.region}:${local.account}:function:${local.name}-passworder:live"

  profiler = "https://${module.front.hosts["profiler"]}"
  inside   = "https://${module.inside.hosts["profiler-inside"]}"

  bank = {
    home  = { HOME_CURRENCY = var.home_currency }
    zone  = { BANK_TIMEZONE = var.timezone }
    topic = { TOPIC = "transaction" }
    group = { CONSUMER_GROUP = "rewarder" }
    keys  = { JWKS_URL = "${local.profiler}/.well-known/jwks.json" }
    profiler = {
      PROFILER_ENDPOINT          = local.profiler
      PROFILER_INTERNAL_ENDPOINT = local.inside
    }
    portal = { PORTAL_ORIGIN = local.portal_origin }
    kafka  = { BROKER_HOST = module.kafka.brokers, BROKER_TLS = "true", BROKER_SASL = "SCRAM-SHA-512" }
    cassandra = {
      DB_CONN_STRING = join(",", module.cassandra.hosts)
      DB_SSL         = "true"
      DB_KEYSPACE    = "angelowl"
      DB_LOCAL_DC    = var.region
    }
    mail = {
      MAIL_FROM             = var.mail_from
      SES_REGION            = var.region
      SES_CONFIGURATION_SET = module.mail.configuration_set
    }
  }

  kafka_secret = { for u in local.kafka_users : u => { BROKER_PASSWORD = "${module.secrets.kafka_arns[u]}:password::" } }
  client       = { for u in local.profiler_users : u => { CLIENT_SECRET = module.secrets.arns["${u}/client"] } }
  authority    = module.secrets.arns["authority/certificate"]

  lambda_settings = {
    authorizer     = local.bank.keys
    emailer        = merge(local.bank.zone, local.bank.portal, local.bank.topic, local.bank.group, local.bank.profiler, local.bank.kafka, local.bank.mail, { API_ORIGIN = "https://api.${var.domain}", INFORMER_INTERNAL_ENDPOINT = "https://${module.inside.hosts["informer-inside"]}", SEND_RATE = tostring(var.send_rate), BROKER_USERNAME = "emailer" })
    ingestor       = merge(local.bank.home, local.bank.topic, local.bank.kafka, { REPORT_BUCKET = module.storage.names["reports"], SPEND_BUCKET = module.storage.names["spend"], BROKER_USERNAME = "ingestor" })
    passworder     = local.bank.profiler
    pet-rock       = merge(local.bank.profiler, { USER_BUCKET = module.storage.names["users"], REPORT_BUCKET = module.storage.names["reports"], PASSWORDER_FUNCTION = local.passworder_arn })
    publish-single = merge(local.bank.home, local.bank.topic, local.bank.keys, local.bank.profiler, local.bank.portal, local.bank.kafka, { REQUIRE_MERCHANT_LIMITS = "true", BROKER_USERNAME = "publish-single" })
    uploads        = merge(local.bank.home, local.bank.topic, local.bank.group, local.bank.keys, local.bank.profiler, local.bank.portal, local.bank.kafka, local.bank.cassandra, { SPEND_BUCKET = module.storage.names["spend"], USER_BUCKET = module.storage.names["users"], REPORT_BUCKET = module.storage.names["reports"], BROKER_USERNAME = "uploads", DB_USER = "uploads" })
  }

  lambda_secrets = {
    authorizer     = {}
    emailer        = merge(local.client["emailer"], local.kafka_secret["emailer"])
    ingestor       = local.kafka_secret["ingestor"]
    passworder     = local.client["passworder"]
    pet-rock       = local.client["pet-rock"]
    publish-single = merge(local.client["publish-single"], local.kafka_secret["publish-single"])
    uploads        = merge(local.client["uploads"], local.kafka_secret["uploads"], { DB_PASS = module.secrets.arns["uploads/cassandra"], DB_CA_FILE = local.authority })
  }

  # Objects are encrypted by S3 under the files' key, as whoever reads or writes them.
  files = {
    Sid       = "OpenFiles"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = module.keys.arns["files"]
    Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
  }
  buckets = module.storage.arns
  send_mail = {
    Sid      = "SendMail"
    Effect   = "Allow"
    Action   = ["ses:SendEmail", "ses:SendRawEmail"]
    Resource = [module.mail.identity_arn, module.mail.configuration_set_arn]
    Condition = { StringLike = {
      "ses:FromAddress" = "*@${var.domain}"
    } }
  }

  lambda_statements = {
    authorizer = []
    emailer    = [local.send_mail]
    ingestor = [
      local.files,
      # Without the right to list, S3 says "access denied" of an object that is not there.
      { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.buckets["spend"], local.buckets["reports"]] },
      { Sid = "ReadSpend", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.buckets["spend"]}/*"] },
      { Sid = "Reports", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = ["${local.buckets["reports"]}/*"] },
    ]
    passworder = []
    pet-rock = [
      local.files,
      { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.buckets["users"], local.buckets["reports"]] },
      { Sid = "ReadUsers", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.buckets["users"]}/*"] },
      { Sid = "Reports", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = ["${local.buckets["reports"]}/*"] },
      { Sid = "FirstPasswords", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [local.passworder_arn] },
    ]
    publish-single = []
    uploads = [
      local.files,
      { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.buckets["spend"], local.buckets["users"], local.buckets["reports"]] },
      # Who has a URL may do what its signer may: put one object, in the buckets of uploads.
      { Sid = "Uploads", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["${local.buckets["spend"]}/*", "${local.buckets["users"]}/*"] },
      { Sid = "Reports", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = ["${local.buckets["reports"]}/*"] },
    ]
  }
}

module "lambda" {
  source       = "./modules/lambda"
  for_each     = local.lambda_shapes
  name         = local.name
  function     = each.key
  region       = var.region
  account      = local.account
  architecture = var.architecture
  image        = "${module.registry.urls[each.key]}:${var.image_tag}"
  network = {
    vpc_id            = module.network.vpc_id
    cidr              = module.network.cidr
    subnets           = module.network.private_subnets
    s3_prefix_list_id = module.network.s3_prefix_list_id
  }
  keys = {
    logs    = module.keys.arns["logs"]
    secrets = module.keys.arns["secrets"]
    store   = module.keys.arns["store"]
    queues  = module.keys.arns["queues"]
  }
  log_days     = var.log_days
  memory       = each.value.memory
  timeout      = each.value.timeout
  disk         = each.key == "emailer" ? 10240 : 512
  concurrency  = each.key == "emailer" ? 1 : var.concurrency[each.key]
  settings     = local.lambda_settings[each.key]
  secrets      = local.lambda_secrets[each.key]
  egress       = each.value.egress
  s3           = each.value.s3
  mail         = each.value.mail
  statements   = local.lambda_statements[each.key]
  asynchronous = each.value.asynchronous
}

module "schedules" {
  source   = "./modules/schedules"
  name     = local.name
  account  = local.account
  timezone = var.timezone
  schedules = {
    sweep = {
      what         = "files of spend whose event was lost, or that are read in more than one go"
      expression   = "rate(1 minutes)"
      function_arn = module.lambda["ingestor"].arn
      input        = jsonencode({ source = "aws.events" })
    }
    sweep-users = {
      what         = "files of users whose event was lost, or that are read in more than one go"
      expression   = "rate(1 minutes)"
      function_arn = module.lambda["pet-rock"].arn
      input        = jsonencode({ source = "aws.events" })
    }
    reconcile = {
      what         = "what became of the rows of files that have all been dealt with"
      expression   = "rate(1 minutes)"
      function_arn = module.lambda["uploads"].arn
      input        = jsonencode({})
    }
    rewards-mail = {
      what         = "the night's mails about rewards (docs/decisions/0011-reward-mails.md)"
      expression   = "cron(5/10 0-6 * * ? *)"
      function_arn = module.lambda["emailer"].arn
      input        = jsonencode({ time = "<aws.scheduler.scheduled-time>" })
    }
  }
}
