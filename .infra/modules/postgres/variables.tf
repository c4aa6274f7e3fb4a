variable "name" { type = string }
variable "vpc_id" { type = string }
variable "subnets" { type = list(string) }
variable "key_arn" { type = string }
variable "instance_class" { type = string }
variable "multi_az" { type = bool }
variable "disk_gib" { type = number }

variable "postgres" {
  type        = string
  description = "PostgreSQL's version, 15 or newer"
  validation {
    condition     = tonumber(split(".", var.postgres)[0]) >= 15
    error_message = "AngelOwl needs PostgreSQL 15 or newer."
  }
}

variable "backup_days" {
  type        = number
  description = "how far back the database can be restored to any second"
  validation {
    condition     = var.backup_days >= 7 && var.backup_days <= 35
    error_message = "Backups are kept from 7 to 35 days."
  }
}

variable "protect" {
  type        = bool
  description = "whether destroy is refused"
}

variable "clients" {
  type        = map(string)
  description = "security groups of the programs that use PostgreSQL, by name"
}
