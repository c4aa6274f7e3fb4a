variable "name" { type = string }
variable "region" { type = string }

variable "network" {
  type = object({
    vpc_id            = string
    cidr              = string
    subnets           = list(string)
    zones             = list(string)
    cidrs             = list(string)
    s3_prefix_list_id = string
  })
}

variable "keys" {
  type = object({ disks = string, secrets = string, files = string })
}

variable "programs" {
  type        = object({ bucket = string, arn = string })
  description = "the bucket that programs come from"
}

variable "cassandra" {
  type        = string
  description = "Cassandra's version"
}

variable "sha256" {
  type        = string
  description = "of apache-cassandra-VERSION-bin.tar.gz, from cassandra.apache.org"
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.sha256))
    error_message = "checksums.cassandra is 64 hexadecimal digits: sha256sum of the archive, once its signature is checked."
  }
}

variable "commitlog_sync" {
  type        = string
  description = "when a write is acknowledged: group or batch, when it is on the disk; periodic, up to ten seconds before"
  validation {
    condition     = contains(["group", "batch", "periodic"], var.commitlog_sync)
    error_message = "commitlog_sync is group, batch or periodic; docs/deploy.md says what to choose."
  }
}

variable "instance_type" { type = string }
variable "heap_gib" { type = number }
variable "disk_gib" { type = number }
variable "disk_iops" { type = number }
variable "disk_throughput" { type = number }

variable "certificates" { type = list(string) }
variable "authority" { type = string }

variable "clients" {
  type        = map(string)
  description = "security groups of the programs that use Cassandra, by name"
}

variable "protect" { type = bool }

variable "snapshots" {
  type        = object({ hours = number, keep = number })
  description = "every how many hours the data disks are copied, and how many copies are kept"
}

variable "nodes_per_zone" {
  type        = number
  description = "nodes in each zone: more of them when disks or processors are full; never fewer"
  validation {
    condition     = var.nodes_per_zone >= 1 && var.nodes_per_zone <= 20
    error_message = "There are 1 to 20 nodes in each zone."
  }
}
