variable "name" { type = string }
variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }
variable "certificate_arn" { type = string }
variable "cluster_security_group" { type = string }
variable "protect" { type = bool }

variable "role" {
  type        = string
  description = "front: for the gateway; inside: for lambdas and services"
}

variable "services" {
  type        = map(object({ port = number, target = number, health = number }))
  description = "by name: the load balancer's port, the pods' port, and the pods' port that has /health"
}

variable "zone_id" {
  type        = string
  description = "the zone of the addresses"
}

variable "domain" {
  type        = string
  description = "what the addresses end with"
}

variable "clients" {
  type        = map(string)
  description = "security groups that may connect, by name"
}

variable "private_link" {
  type        = bool
  description = "whether API Gateway's VPC link ends here"
}
