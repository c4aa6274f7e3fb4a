variable "name" { type = string }
variable "environment" { type = string }
variable "namespace" { type = string }
variable "cluster_name" { type = string }
variable "cluster_arn" { type = string }
variable "repository_arns" { type = list(string) }
variable "function_arns" { type = list(string) }

variable "repository" {
  type        = string
  description = "GitHub's owner/repository"
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository is owner/name; a star would let other repositories in."
  }
}

variable "provider_arn" {
  type        = string
  description = "GitHub's OIDC provider, where the account has it already; \"\": it is made here"
}
