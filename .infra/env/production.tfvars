# Production, sized for a million transactions a day; docs/deploy.md has the sizes for a hundred million. What is the bank's own (domain, addresses, roles) stands in
# env/local.tfvars, which is not in the repository: env/local.tfvars.example.
environment  = "production"
region       = "ap-southeast-1"
zones        = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
cidr         = "10.41.0.0/16"
architecture = "x86_64"

home_currency = "SGD"
timezone      = "Asia/Singapore"

protect      = true
nat_per_zone = true
log_days     = 400
report_days  = 400
firewall     = true
send_rate    = 14

cluster = {
  kubernetes    = "1.33"
  instance_type = "m7i.large"
  nodes         = { min = 3, max = 9 }
  admin_cidrs   = []
  admin_roles   = []
}

kafka = {
  version       = "3.9.x.kraft"
  instance_type = "kafka.m7g.large"
  brokers       = 3
  partitions    = 48
  disk_gib      = 200
  disk_max_gib  = 2000
}

postgres = {
  version        = "17.5"
  instance_class = "db.m7g.large"
  multi_az       = true
  disk_gib       = 100
  backup_days    = 35
}

cassandra = {
  version         = "5.0.9"
  instance_type   = "r7g.xlarge"
  heap_gib        = 12
  disk_gib        = 500
  disk_iops       = 3000
  disk_throughput = 125
  commitlog_sync  = "group"
  nodes_per_zone  = 1
  snapshots       = { hours = 24, keep = 35 }
}

etcd = {
  version       = "3.7.3"
  instance_type = "c7g.large"
  disk_gib      = 20
  snapshots     = { hours = 1, keep = 48 }
}

concurrency = {
  authorizer     = -1
  ingestor       = 20
  passworder     = 5
  pet-rock       = 5
  publish-single = 200
  uploads        = 30
}

budget_dollars = 6000
