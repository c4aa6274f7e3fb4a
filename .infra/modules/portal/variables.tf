variable "name" { type = string }
variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }
variable "cluster_security_group" { type = string }
variable "certificate_arn" { type = string }
variable "zone_id" { type = string }
variable "protect" { type = bool }

variable "host" {
  type        = string
  description = "the portal's name"
}

variable "firewall" { type = bool }

variable "firewall_arn" {
  type        = string
  description = "the firewall before it, where there is one"
}
