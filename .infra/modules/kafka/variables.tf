variable "name" { type = string }
variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }
variable "key_arn" { type = string }
variable "logs_key_arn" { type = string }
variable "log_days" { type = number }
variable "instance_type" { type = string }
variable "disk_gib" { type = number }
variable "disk_max_gib" { type = number }

variable "kafka" {
  type        = string
  description = "a version of Kafka that MSK offers"
}

variable "brokers" {
  type = number
  validation {
    condition     = var.brokers >= 3 && var.brokers % 3 == 0
    error_message = "The brokers are a multiple of three: as many in each zone."
  }
}

variable "users" {
  type        = list(string)
  description = "ARNs of the secrets that hold users; bin/secrets fills them first"
}

variable "clients" {
  type        = map(string)
  description = "security groups of the programs that use Kafka, by name"
}

variable "operator" {
  type        = string
  description = "the operator's security group"
}
