# etcd, which holds the rules as published: three machines of its own, not pods, so that an upgrade of the cluster
# never takes away what its services wait for (docs/decisions/0014-cassandra-and-etcd-on-machines.md).

locals {
  addresses = [for c in var.network.cidrs : cidrhost(c, 11)]
  setup = [for i, address in local.addresses : templatefile("${path.module}/setup.sh", {
    address     = address
    peers       = join(",", [for j, a in local.addresses : "etcd-${j}=https://${a}:2380"])
    region      = var.region
    name        = var.name
    etcd        = var.etcd
    sha256      = var.sha256
    bucket      = var.programs.bucket
    member      = i
    certificate = var.certificates[i]
    authority   = var.authority
    quota_gib   = 4
  })]
}

module "machines" {
  source            = "../machines"
  name              = var.name
  role              = "etcd"
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
  client_port       = 2379
  member_port       = 2380
  clients           = var.clients
  certificates      = var.certificates
  authority         = var.authority
  programs_arn      = var.programs.arn
  setup             = local.setup
  protect           = var.protect
}
