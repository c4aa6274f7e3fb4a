variable "name" { type = string }
variable "region" { type = string }
variable "account" { type = string }

variable "cidr" {
  type        = string
  description = "a /16"
  validation {
    condition     = endswith(var.cidr, "/16")
    error_message = "The VPC's range must be a /16; the subnets are cut from it."
  }
}

variable "zones" {
  type        = list(string)
  description = "availability zones; the first three are used"
  validation {
    condition     = length(var.zones) >= 3
    error_message = "Kafka, Cassandra and etcd each need three zones: two must be left when one is lost."
  }
}

variable "nat_per_zone" {
  type        = bool
  description = "false: one NAT gateway for all, whose zone takes mail along when it is lost"
}

variable "endpoints" {
  type    = list(string)
  default = ["secretsmanager", "kms", "ecr.api", "ecr.dkr", "logs", "sts", "lambda", "ssm", "ssmmessages"]
}

variable "log_days" { type = number }
variable "logs_key_arn" { type = string }
