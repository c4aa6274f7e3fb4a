variable "vpc_id" { type = string }

variable "domain" {
  type        = string
  description = "the domain of this environment, such as rewards.bank.example"
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.)+[a-z]+$", var.domain))
    error_message = "domain is a name in lower case, such as rewards.bank.example."
  }
}
