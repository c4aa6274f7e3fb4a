# What the services in Kubernetes get: a role, settings and secrets. `terraform output -json services` has them for
# the chart.

locals {
  files_in_pods = "/etc/angelowl/authorities"

  etcd = {
    ETCD_ENDPOINTS = join(",", module.etcd.endpoints)
    ETCD_CA_FILE   = "${local.files_in_pods}/angelowl.pem"
  }

  service_settings = {
    campaignex = merge(local.bank.home, local.bank.zone, local.bank.keys, local.bank.profiler, local.bank.portal, local.etcd, {
      DB_CONN_STRING = "postgres://${module.postgres.address}:5432/campaignex?sslmode=verify-full&sslrootcert=${local.files_in_pods}/rds.pem"
      DB_USER        = "campaignex", ETCD_USERNAME = "campaignex"
    })
    informer = merge(local.bank.home, local.bank.zone, local.bank.keys, local.bank.profiler, local.bank.portal, local.bank.cassandra, {
      DB_USER = "informer", DB_CA_FILE = "${local.files_in_pods}/angelowl.pem"
    })
    profiler = merge(local.bank.zone, local.bank.portal, local.bank.mail, local.etcd, {
      DB_CONN_STRING = "postgres://${module.postgres.address}:5432/profiler?sslmode=verify-full&sslrootcert=${local.files_in_pods}/rds.pem"
      DB_USER        = "profiler", ETCD_USERNAME = "profiler", ADMIN_EMAIL = var.admin_email
      JWT_KMS_KEY_ID = join(",", module.keys.token_key_arns), AWS_REGION = var.region
    })
    rewarder = merge(local.bank.home, local.bank.zone, local.bank.topic, local.bank.group, local.bank.kafka, local.bank.cassandra, local.etcd, {
      BROKER_USERNAME = "rewarder", DB_USER = "rewarder", ETCD_USERNAME = "rewarder", DB_CA_FILE = "${local.files_in_pods}/angelowl.pem"
    })
  }

  # By the variable that a secret fills.
  service_secrets = {
    campaignex = merge(local.client["campaignex"], {
      DB_PASS = module.secrets.arns["campaignex/postgres"], ETCD_PASSWORD = module.secrets.arns["campaignex/etcd"]
    })
    informer = merge(local.client["informer"], { DB_PASS = module.secrets.arns["informer/cassandra"] })
    profiler = {
      DB_PASS        = module.secrets.arns["profiler/postgres"], ETCD_PASSWORD = module.secrets.arns["profiler/etcd"]
      DATA_KEY       = module.secrets.arns["profiler/data-key"], SERVICE_SECRETS = module.secrets.arns["profiler/service-secrets"]
      ADMIN_PASSWORD = module.secrets.arns["profiler/admin-password"]
    }
    rewarder = merge(local.kafka_secret["rewarder"], {
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

  target_groups = merge(module.front.target_groups, module.inside.target_groups)
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
      namespace = var.namespace, account = s, secrets = concat(values(local.service_secrets[s]), [local.authority]), statements = [for x in local.service_statements[s] : jsonencode(x)]
    } },
    {
      # Puts pods into the load balancers' target groups, and does nothing else.
      load-balancer-controller = {
        namespace = "kube-system", account = "aws-load-balancer-controller", secrets = []
        statements = [for x in [
          { Sid = "Targets", Effect = "Allow", Action = ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"], Resource = values(local.target_groups) },
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
