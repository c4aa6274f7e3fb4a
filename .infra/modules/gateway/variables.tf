variable "name" { type = string }
variable "region" { type = string }
variable "account" { type = string }
variable "balancer_arn" { type = string }
variable "certificate_arn" { type = string }
variable "zone_id" { type = string }
variable "logs_key_arn" { type = string }
variable "log_days" { type = number }

variable "openapi" {
  type        = string
  description = "the gateway's file"
}

variable "host" {
  type        = string
  description = "the API's name, api.rewards.bank.example"
}

variable "portal_origin" {
  type = string
  validation {
    condition     = can(regex("^https://[^/*]+$", var.portal_origin))
    error_message = "portal_origin is https://host, without a path."
  }
}

variable "functions" {
  type        = map(object({ name = string, alias = string, arn = string }))
  description = "the lambdas authorizer, publish-single and uploads"
}

variable "services" {
  type        = map(string)
  description = "host:port of profiler, campaignex, informer and rewarder on the load balancer"
}

variable "firewall" { type = bool }

variable "portal_addresses" {
  type        = list(string)
  description = "from where the portal asks for everybody who uses it; its own load balancer counts them each by their address"
}

variable "firewall_rate" {
  type        = number
  description = "most requests of an address in five minutes"
  default     = 6000
}
