variable "name" { type = string }
variable "region" { type = string }
variable "account" { type = string }
variable "log_days" { type = number }

variable "function" {
  type        = string
  description = "the lambda's name in the repository"
}

variable "image" {
  type        = string
  description = "the image that it starts with"
}

variable "architecture" {
  type        = string
  description = "what the image is built for: x86_64 or arm64"
}

variable "network" {
  type = object({ vpc_id = string, cidr = string, subnets = list(string), s3_prefix_list_id = string })
}

variable "keys" {
  type = object({ logs = string, secrets = string, store = string, queues = string })
}

variable "memory" { type = number }
variable "timeout" { type = number }

variable "disk" {
  type        = number
  description = "MiB of /tmp"
  default     = 512
}

variable "concurrency" {
  type        = number
  description = "most that run at once, kept for it; -1: whatever the account has"
}

variable "settings" {
  type        = map(string)
  description = "environment variables, docs/configuration.md"
}

variable "secrets" {
  type        = map(string)
  description = "by the variable that it fills: the secret's ARN, and with :key:: one value of it"
}

variable "egress" {
  type        = list(number)
  description = "ports within the VPC that it connects to"
}

variable "s3" {
  type    = bool
  default = false
}

variable "mail" {
  type    = bool
  default = false
}

variable "statements" {
  type        = any
  description = "IAM statements beyond logs, network and secrets"
  default     = []
}

variable "asynchronous" {
  type        = object({ retries = number, age = number })
  description = "for lambdas whose caller does not wait: how often and how long AWS tries again"
  default     = null
}
