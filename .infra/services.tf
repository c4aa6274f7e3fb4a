# What the services in Kubernetes get: a role, secrets by name, and the values that the chart takes of what is made
# here (.chart/environments, `terraform output -raw chart_values`).

locals {
  # By the variable that a secret fills.
  service_secrets = {
    campaignex = merge(local.client["campaignex"], {
      DB_PASS = module.secrets.arns["campaignex/postgres"], ETCD_PASSWORD = module.secrets.arns["campaignex/etcd"]
    })
    informer = merge(local.client["informer"], { DB_PASS = module.secrets.arns["informer/cassandra"] })
    profiler = {
      DB_PASS            = module.secrets.arns["profiler/postgres"], ETCD_PASSWORD = module.secrets.arns["profiler/etcd"]
      DATA_KEY           = module.secrets.arns["profiler/data-key"], SERVICE_SECRETS = module.secrets.arns["profiler/service-secrets"]
      CLIENT_ADDRESS_KEY = module.secrets.arns["ui/client-address"]
    }
    rewarder = merge(local.client["rewarder"], local.kafka_secret["rewarder"], {
      DB_PASS = module.secrets.arns["rewarder/cassandra"], ETCD_PASSWORD = module.secrets.arns["rewarder/etcd"]
    })
  }

  service_statements = {
    campaignex = []
    informer   = []
    profiler = [
      { Sid = "SignTokens", Effect = "Allow", Action = ["kms:Sign", "kms:GetPublicKey"], Resource = module.keys.token_key_arns },
      local.send_mail,
    ]
    rewarder = []
  }

  # By service and port, as the chart's targetGroups.
  target_groups = {
    campaignex = { public = module.front.target_groups["campaignex"] }
    informer   = { public = module.front.target_groups["informer"], internal = module.inside.target_groups["informer-inside"] }
    profiler   = { public = module.front.target_groups["profiler"], internal = module.inside.target_groups["profiler-inside"] }
    rewarder   = { public = module.front.target_groups["rewarder"] }
    ui         = { public = module.portal.target_group }
  }

  chart_values = {
    environment = var.environment
    image       = { registry = split("/", module.registry.urls["profiler"])[0] }
    aws         = { region = var.region }
    bank        = { homeCurrency = var.home_currency, timezone = var.timezone }
    portal      = { origin = local.portal_origin, uploadOrigin = join(" ", [for b in ["spend", "users"] : "https://${module.storage.names[b]}.s3.${var.region}.amazonaws.com"]) }
    api         = { origin = module.gateway.origin }
    keys        = { kms = module.keys.token_key_arns }
    mail        = { from = var.mail_from, ses = { region = var.region, configurationSet = module.mail.configuration_set } }
    postgres    = { host = module.postgres.address, ca = { configMap = "postgres-ca" } }
    etcd        = { endpoints = module.etcd.endpoints, ca = { configMap = "engines-ca" } }
    kafka       = { brokers = split(",", module.kafka.brokers), partitions = var.kafka.partitions }
    cassandra   = { nodes = module.cassandra.hosts, ca = { configMap = "engines-ca" }, localDC = var.region }
    keda        = { secret = "keda-kafka" }
    # Behind an NLB, which goes on sending for that long.
    shutdown = { delay = 45 }
    networkPolicy = {
      loadBalancers = { cidrs = concat(module.network.private_cidrs, module.network.public_cidrs) }
      lambdas       = { cidrs = module.network.private_cidrs }
      engines       = module.network.data_cidrs
      https         = ["0.0.0.0/0"]
    }
  }
}

module "roles" {
  source      = "./modules/roles"
  name        = local.name
  region      = var.region
  issuer      = module.cluster.issuer
  issuer_arn  = module.cluster.issuer_arn
  secret_keys = [module.keys.arns["secrets"], module.keys.arns["store"]]
  services = merge(
    { for s in local.services : s => {
      namespace = var.namespace, account = s, secrets = concat(values(local.service_secrets[s]), s == "rewarder" ? [module.secrets.kafka_arns["keda"]] : []), statements = [for x in local.service_statements[s] : jsonencode(x)]
    } },
    {
      ui = { namespace = var.namespace, account = "ui", secrets = [module.secrets.arns["ui/session"], module.secrets.arns["ui/client-address"]], statements = [] }
      # Puts pods into the load balancers' target groups, and does nothing else.
      load-balancer-controller = {
        namespace = "kube-system", account = "aws-load-balancer-controller", secrets = []
        statements = [for x in [
          { Sid = "Targets", Effect = "Allow", Action = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"], Resource = flatten([for g in values(local.target_groups) : values(g)]) },
          # Reading of load balancers and of the network knows no resources.
          { Sid = "LookAtLoadBalancers", Effect = "Allow", Resource = "*", Action = [
            "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth", "elasticloadbalancing:DescribeTargetGroupAttributes",
            "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
          ] },
        ] : jsonencode(x)]
      }
    },
  )
}
