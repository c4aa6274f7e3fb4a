variable "name" { type = string }
variable "region" { type = string }
variable "zone_id" { type = string }

variable "domain" {
  type        = string
  description = "what stands behind the @ of MAIL_FROM"
}
