# The reward store: Apache Cassandra on machines in three zones, replication 3, TLS between nodes and to clients. Not Amazon
# Keyspaces, which refuses the write timestamps that the first arrival wins by:
# docs/decisions/0014-cassandra-and-etcd-on-machines.md.

locals {
  addresses = [for i in range(3 * var.nodes_per_zone) : cidrhost(var.network.cidrs[i % 3], 10 * (1 + floor(i / 3)))]
  setup = [for i, address in local.addresses : templatefile("${path.module}/setup.sh", {
    address        = address
    seeds          = join(",", slice(local.addresses, 0, 3))
    zone           = var.network.zones[i % 3]
    region         = var.region
    name           = var.name
    cassandra      = var.cassandra
    sha256         = var.sha256
    bucket         = var.programs.bucket
    member         = i
    certificate    = var.certificates[i]
    authority      = var.authority
    commitlog_sync = var.commitlog_sync
    heap_gib       = var.heap_gib
  })]
}

module "machines" {
  source            = "../machines"
  name              = var.name
  role              = "cassandra"
  vpc_id            = var.network.vpc_id
  vpc_cidr          = var.network.cidr
  subnets           = var.network.subnets
  zones             = var.network.zones
  addresses         = local.addresses
  s3_prefix_list_id = var.network.s3_prefix_list_id
  disks_key_arn     = var.keys.disks
  secrets_key_arn   = var.keys.secrets
  files_key_arn     = var.keys.files
  snapshots         = var.snapshots
  instance_type     = var.instance_type
  disk_gib          = var.disk_gib
  disk_iops         = var.disk_iops
  disk_throughput   = var.disk_throughput
  client_port       = 9042
  member_port       = 7000
  clients           = var.clients
  certificates      = var.certificates
  authority         = var.authority
  programs_arn      = var.programs.arn
  setup             = local.setup
  protect           = var.protect
}
