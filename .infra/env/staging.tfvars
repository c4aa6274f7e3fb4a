# Staging: one of everything that a fault may take away. What is the bank's own (domain, addresses, roles) stands in
# env/local.tfvars, which is not in the repository: env/local.tfvars.example.
environment  = "staging"
region       = "ap-southeast-1"
zones        = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
cidr         = "10.40.0.0/16"
architecture = "x86_64"

home_currency = "SGD"
timezone      = "Asia/Singapore"

protect      = false
nat_per_zone = false
log_days     = 30
report_days  = 90
firewall     = false
send_rate    = 1

cluster = {
  kubernetes    = "1.33"
  instance_type = "m7i.large"
  nodes         = { min = 3, max = 4 }
  admin_cidrs   = []
  admin_roles   = []
}

kafka = {
  version       = "3.9.x.kraft"
  instance_type = "kafka.m7g.large"
  brokers       = 3
  partitions    = 12
  disk_gib      = 100
  disk_max_gib  = 500
}

postgres = {
  version        = "17.5"
  instance_class = "db.t4g.medium"
  multi_az       = false
  disk_gib       = 20
  backup_days    = 7
}

cassandra = {
  version         = "5.0.9"
  instance_type   = "r7g.large"
  heap_gib        = 6
  disk_gib        = 100
  disk_iops       = 3000
  disk_throughput = 125
  commitlog_sync  = "group"
  nodes_per_zone  = 1
  snapshots       = { hours = 24, keep = 7 }
}

etcd = {
  version       = "3.7.3"
  instance_type = "t4g.medium"
  disk_gib      = 20
  snapshots     = { hours = 6, keep = 12 }
}

concurrency = {
  authorizer     = -1
  ingestor       = 5
  passworder     = 3
  pet-rock       = 2
  publish-single = 50
  uploads        = 10
}

budget_dollars = 3000
