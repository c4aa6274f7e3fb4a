# AngelOwl on AWS. Each module is one part of the system; what connects to what stands here and in lambdas.tf and
# services.tf.

data "aws_caller_identity" "this" {}

locals {
  name    = "angelowl-${var.environment}"
  account = data.aws_caller_identity.this.account_id

  portal_origin = "https://portal.${var.domain}"

  services = ["campaignex", "informer", "profiler", "rewarder"]
  lambdas  = ["authorizer", "emailer", "ingestor", "passworder", "pet-rock", "publish-single", "uploads"]

  # Who uses what. A user of an engine, a secret and a way through the network follow from a name here.
  kafka_users     = ["emailer", "ingestor", "keda", "publish-single", "rewarder", "uploads"]
  cassandra_users = ["informer", "rewarder", "uploads"]
  etcd_users      = ["campaignex", "profiler", "rewarder"]
  postgres_users  = ["campaignex", "profiler"]
  profiler_users  = ["campaignex", "emailer", "informer", "passworder", "pet-rock", "publish-single", "rewarder", "uploads"]

  secrets = merge(
    { for s in local.cassandra_users : "${s}/cassandra" => "Cassandra's password of ${s}" },
    { for s in local.etcd_users : "${s}/etcd" => "etcd's password of ${s}" },
    { for s in local.postgres_users : "${s}/postgres" => "PostgreSQL's password of ${s}" },
    { for s in local.profiler_users : "${s}/client" => "what ${s} signs in to profiler with" },
    { for i in range(3 * var.cassandra.nodes_per_zone) : "cassandra/node-${i}" => "certificate and key of Cassandra's node ${i}" },
    { for i in range(3) : "etcd/node-${i}" => "certificate and key of etcd's member ${i}" },
    {
      "authority/certificate"    = "certificate of the authority that signs the engines' certificates"
      "authority/key"            = "its key, for the operator alone"
      "cassandra/operator"       = "Cassandra's password of the operator"
      "etcd/root"                = "etcd's password of root"
      "profiler/data-key"        = "DATA_KEY; keep a copy apart from the database's backups"
      "profiler/service-secrets" = "SERVICE_SECRETS: all that is in */client"
      "ui/client-address"        = "CLIENT_ADDRESS_KEY: what the portal signs people's addresses with, for profiler"
      "ui/session"               = "what the portal seals its sessions with"
    },
  )

  network = {
    vpc_id            = module.network.vpc_id
    cidr              = module.network.cidr
    subnets           = module.network.data_subnets
    zones             = slice(var.zones, 0, 3)
    cidrs             = module.network.data_cidrs
    s3_prefix_list_id = module.network.s3_prefix_list_id
  }
  lambda_groups = { for f in local.lambdas : f => module.lambda[f].security_group }
}

module "keys" {
  source     = "./modules/keys"
  name       = local.name
  region     = var.region
  account    = local.account
  token_keys = var.token_keys
}

module "network" {
  source       = "./modules/network"
  name         = local.name
  region       = var.region
  account      = local.account
  cidr         = var.cidr
  zones        = var.zones
  nat_per_zone = var.nat_per_zone
  log_days     = var.log_days
  logs_key_arn = module.keys.arns["logs"]
}

module "dns" {
  source = "./modules/dns"
  vpc_id = module.network.vpc_id
  domain = var.domain
}

module "secrets" {
  source        = "./modules/secrets"
  name          = local.name
  key_arn       = module.keys.arns["secrets"]
  kafka_key_arn = module.keys.arns["store"]
  secrets       = local.secrets
  kafka_users   = local.kafka_users
  recovery_days = var.protect ? 30 : 0
}

module "registry" {
  source        = "./modules/registry"
  name          = local.name
  account       = local.account
  key_arn       = module.keys.arns["cluster"]
  images        = concat(local.services, local.lambdas, ["ui"])
  lambdas       = local.lambdas
  force_destroy = !var.protect
}

module "storage" {
  source        = "./modules/storage"
  name          = local.name
  account       = local.account
  key_arn       = module.keys.arns["files"]
  portal_origin = local.portal_origin
  report_days   = var.report_days
  force_destroy = !var.protect
  readers = {
    spend = { function = module.lambda["ingestor"].name, alias = module.lambda["ingestor"].alias, arn = module.lambda["ingestor"].arn }
    users = { function = module.lambda["pet-rock"].name, alias = module.lambda["pet-rock"].alias, arn = module.lambda["pet-rock"].arn }
  }
}

module "cluster" {
  source        = "./modules/cluster"
  name          = local.name
  subnets       = module.network.private_subnets
  key_arn       = module.keys.arns["cluster"]
  disks_key_arn = module.keys.arns["disks"]
  logs_key_arn  = module.keys.arns["logs"]
  log_days      = var.log_days
  architecture  = var.architecture
  kubernetes    = var.cluster.kubernetes
  instance_type = var.cluster.instance_type
  nodes         = var.cluster.nodes
  admin_cidrs   = var.cluster.admin_cidrs
  admin_roles   = var.cluster.admin_roles
}

module "kafka" {
  source        = "./modules/kafka"
  name          = local.name
  vpc_id        = module.network.vpc_id
  subnets       = module.network.data_subnets
  key_arn       = module.keys.arns["store"]
  logs_key_arn  = module.keys.arns["logs"]
  log_days      = var.log_days
  kafka         = var.kafka.version
  instance_type = var.kafka.instance_type
  brokers       = var.kafka.brokers
  disk_gib      = var.kafka.disk_gib
  disk_max_gib  = var.kafka.disk_max_gib
  users         = [for u in local.kafka_users : module.secrets.kafka_arns[u]]
  clients = merge({ cluster = module.cluster.security_group },
  { for u in local.kafka_users : u => local.lambda_groups[u] if contains(local.lambdas, u) })
  operator = module.operator.security_group
}

module "postgres" {
  source         = "./modules/postgres"
  name           = local.name
  vpc_id         = module.network.vpc_id
  subnets        = module.network.data_subnets
  key_arn        = module.keys.arns["store"]
  postgres       = var.postgres.version
  instance_class = var.postgres.instance_class
  multi_az       = var.postgres.multi_az
  disk_gib       = var.postgres.disk_gib
  backup_days    = var.postgres.backup_days
  protect        = var.protect
  clients        = { cluster = module.cluster.security_group, operator = module.operator.security_group }
}

module "cassandra" {
  source          = "./modules/cassandra"
  name            = local.name
  region          = var.region
  network         = local.network
  keys            = { disks = module.keys.arns["disks"], secrets = module.keys.arns["secrets"], files = module.keys.arns["files"] }
  programs        = { bucket = module.storage.names["programs"], arn = module.storage.arns["programs"] }
  cassandra       = var.cassandra.version
  sha256          = var.checksums.cassandra
  commitlog_sync  = var.cassandra.commitlog_sync
  instance_type   = var.cassandra.instance_type
  heap_gib        = var.cassandra.heap_gib
  disk_gib        = var.cassandra.disk_gib
  disk_iops       = var.cassandra.disk_iops
  disk_throughput = var.cassandra.disk_throughput
  snapshots       = var.cassandra.snapshots
  nodes_per_zone  = var.cassandra.nodes_per_zone
  certificates    = [for i in range(3 * var.cassandra.nodes_per_zone) : module.secrets.arns["cassandra/node-${i}"]]
  authority       = module.secrets.arns["authority/certificate"]
  clients = merge({ cluster = module.cluster.security_group, operator = module.operator.security_group },
  { for u in local.cassandra_users : u => local.lambda_groups[u] if contains(local.lambdas, u) })
  protect = var.protect
}

module "etcd" {
  source        = "./modules/etcd"
  name          = local.name
  region        = var.region
  network       = local.network
  keys          = { disks = module.keys.arns["disks"], secrets = module.keys.arns["secrets"], files = module.keys.arns["files"] }
  programs      = { bucket = module.storage.names["programs"], arn = module.storage.arns["programs"] }
  etcd          = var.etcd.version
  sha256        = var.checksums.etcd
  instance_type = var.etcd.instance_type
  disk_gib      = var.etcd.disk_gib
  snapshots     = var.etcd.snapshots
  certificates  = [for i in range(3) : module.secrets.arns["etcd/node-${i}"]]
  authority     = module.secrets.arns["authority/certificate"]
  clients       = { cluster = module.cluster.security_group, operator = module.operator.security_group }
  protect       = var.protect
}

# What the gateway reaches.
module "front" {
  source                 = "./modules/balancer"
  name                   = local.name
  role                   = "front"
  vpc_id                 = module.network.vpc_id
  subnets                = module.network.private_subnets
  certificate_arn        = module.dns.internal_certificate_arn
  cluster_security_group = module.cluster.security_group
  zone_id                = module.dns.private_zone_id
  domain                 = "internal.${var.domain}"
  services = {
    campaignex = { port = 8444, target = 8080, health = 8080 }
    informer   = { port = 8445, target = 8080, health = 8080 }
    profiler   = { port = 8443, target = 8080, health = 8080 }
    rewarder   = { port = 8446, target = 8080, health = 8080 }
  }
  # Lambdas and services sign in, ask for keys and ask profiler here too.
  clients = merge({ cluster = module.cluster.security_group, authorizer = local.lambda_groups["authorizer"] },
  { for u in local.profiler_users : u => local.lambda_groups[u] if contains(local.lambdas, u) })
  private_link = true
  protect      = var.protect
}

# What the gateway must never reach: a load balancer that it has no link to.
module "inside" {
  source                 = "./modules/balancer"
  name                   = local.name
  role                   = "inside"
  vpc_id                 = module.network.vpc_id
  subnets                = module.network.private_subnets
  certificate_arn        = module.dns.internal_certificate_arn
  cluster_security_group = module.cluster.security_group
  zone_id                = module.dns.private_zone_id
  domain                 = "internal.${var.domain}"
  services = {
    informer-inside = { port = 9445, target = 8081, health = 8080 }
    profiler-inside = { port = 9443, target = 8081, health = 8080 }
  }
  clients = merge({ cluster = module.cluster.security_group },
  { for u in local.profiler_users : u => local.lambda_groups[u] if contains(local.lambdas, u) })
  private_link = false
  protect      = var.protect
}

module "gateway" {
  source          = "./modules/gateway"
  name            = local.name
  region          = var.region
  account         = local.account
  openapi         = "${path.root}/api/openapi.yaml"
  host            = "api.${var.domain}"
  portal_origin   = local.portal_origin
  balancer_arn    = module.front.arn
  certificate_arn = module.dns.api_certificate_arn
  zone_id         = module.dns.zone_id
  logs_key_arn    = module.keys.arns["logs"]
  log_days        = var.log_days
  functions       = { for f in ["authorizer", "publish-single", "uploads"] : f => { name = module.lambda[f].name, alias = module.lambda[f].alias, arn = module.lambda[f].arn } }
  services        = module.front.hosts
  firewall        = var.firewall
  # Pods leave by the NAT gateways.
  portal_addresses = module.network.nat_addresses
}

module "portal" {
  source                 = "./modules/portal"
  name                   = local.name
  vpc_id                 = module.network.vpc_id
  subnets                = module.network.public_subnets
  cluster_security_group = module.cluster.security_group
  certificate_arn        = module.dns.portal_certificate_arn
  zone_id                = module.dns.zone_id
  host                   = "portal.${var.domain}"
  firewall               = var.firewall
  firewall_arn           = module.gateway.firewall_arn
  protect                = var.protect
}

module "mail" {
  source  = "./modules/mail"
  name    = local.name
  region  = var.region
  zone_id = module.dns.zone_id
  domain  = var.domain
}

module "operator" {
  source            = "./modules/operator"
  name              = local.name
  region            = var.region
  vpc_id            = module.network.vpc_id
  vpc_cidr          = module.network.cidr
  subnet            = module.network.private_subnets[0]
  s3_prefix_list_id = module.network.s3_prefix_list_id
  disks_key_arn     = module.keys.arns["disks"]
  files_key_arn     = module.keys.arns["files"]
  programs_arn      = module.storage.arns["programs"]
  kafka_arn         = module.kafka.arn
  secret_arns       = concat(values(module.secrets.arns), values(module.secrets.kafka_arns), [module.postgres.master_secret_arn])
  secret_keys       = [module.keys.arns["secrets"], module.keys.arns["store"]]
}

module "delivery" {
  source          = "./modules/delivery"
  name            = local.name
  environment     = var.environment
  namespace       = var.namespace
  repository      = var.repository
  provider_arn    = var.github_provider_arn
  repository_arns = values(module.registry.arns)
  function_arns   = [for f in local.lambdas : module.lambda[f].function_arn]
  cluster_name    = module.cluster.name
  cluster_arn     = module.cluster.arn
}

module "alarms" {
  source        = "./modules/alarms"
  name          = local.name
  account       = local.account
  key_arn       = module.keys.arns["queues"]
  emails        = var.alarm_emails
  functions     = [for f in local.lambdas : "${local.name}-${f}"]
  failed_queues = [for f, l in local.lambda_shapes : "${local.name}-${f}-failed" if l.asynchronous != null]
  api           = { name = local.name, stage = "v1" }
  postgres      = local.name
  kafka         = local.name
  brokers       = var.kafka.brokers
  machines = merge(
    { for k in [for i in range(3 * var.cassandra.nodes_per_zone) : tostring(i)] : "cassandra-${k}" => module.cassandra.instances[k] },
    { for k in ["0", "1", "2"] : "etcd-${k}" => module.etcd.instances[k] },
  )
}

module "budget" {
  source    = "./modules/budget"
  name      = local.name
  dollars   = var.budget_dollars
  topic_arn = module.alarms.topic_arn
}
