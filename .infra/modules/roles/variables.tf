variable "name" { type = string }
variable "region" { type = string }
variable "issuer" { type = string }
variable "issuer_arn" { type = string }

variable "secret_keys" {
  type        = list(string)
  description = "ARNs of the keys of secrets"
}

variable "services" {
  type = map(object({
    namespace  = string
    account    = string
    secrets    = list(string)
    statements = list(string)
  }))
  description = "by service: its service account, the ARNs of its secrets, and IAM statements of its own, as JSON"
}
