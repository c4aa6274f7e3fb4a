variable "name" { type = string }
variable "vpc_id" { type = string }
variable "vpc_cidr" { type = string }
variable "subnets" { type = list(string) }
variable "zones" { type = list(string) }
variable "s3_prefix_list_id" { type = string }
variable "disks_key_arn" { type = string }
variable "secrets_key_arn" { type = string }
variable "files_key_arn" { type = string }
variable "disk_gib" { type = number }
variable "client_port" { type = number }
variable "member_port" { type = number }

variable "role" {
  type        = string
  description = "what stands on the machines: cassandra, etcd"
}

variable "addresses" {
  type        = list(string)
  description = "the machines' addresses, one in each zone's subnet after another"
  validation {
    condition     = length(var.addresses) >= 3 && length(var.addresses) % 3 == 0
    error_message = "There are as many machines in each of three zones."
  }
}

variable "instance_type" {
  type        = string
  description = "an arm64 type"
}

variable "disk_iops" {
  type    = number
  default = 3000
}

variable "disk_throughput" {
  type    = number
  default = 125
}

variable "clients" {
  type        = map(string)
  description = "security groups of the programs that connect, by name"
}

variable "certificates" {
  type        = list(string)
  description = "ARNs of the secrets with each machine's certificate and key"
}

variable "authority" {
  type        = string
  description = "ARN of the secret with the certificate of the authority"
}

variable "programs_arn" {
  type        = string
  description = "the bucket that programs come from"
}

variable "setup" {
  type        = list(string)
  description = "what each machine runs at its first start"
}

variable "protect" { type = bool }

variable "snapshots" {
  type        = object({ hours = number, keep = number })
  description = "every how many hours the data disks are copied, and how many copies are kept"
  validation {
    condition     = contains([1, 2, 3, 4, 6, 8, 12, 24], var.snapshots.hours) && var.snapshots.keep >= 3
    error_message = "Copies are made every 1, 2, 3, 4, 6, 8, 12 or 24 hours, and at least three are kept."
  }
}
