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


variable "sha256" {
  type        = string
  description = "of etcd-vVERSION-linux-arm64.tar.gz, from the release's SHA256SUMS"
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.sha256))
    error_message = "checksums.etcd is 64 hexadecimal digits; SHA256SUMS of the release has it."
  }
}


variable "instance_type" { type = string }
variable "disk_gib" { type = number }

variable "certificates" { type = list(string) }
variable "authority" { type = string }

variable "clients" {
  type        = map(string)
  description = "security groups of the programs that use etcd, by name"
}

variable "protect" { type = bool }

variable "etcd" {
  type        = string
  description = "etcd's version"
}

variable "snapshots" {
  type        = object({ hours = number, keep = number })
  description = "every how many hours the data disks are copied, and how many copies are kept"
}
