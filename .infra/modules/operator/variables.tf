variable "name" { type = string }
variable "region" { type = string }
variable "vpc_id" { type = string }
variable "vpc_cidr" { type = string }
variable "subnet" { type = string }
variable "s3_prefix_list_id" { type = string }
variable "disks_key_arn" { type = string }
variable "files_key_arn" { type = string }
variable "programs_arn" { type = string }
variable "kafka_arn" { type = string }

variable "secret_arns" {
  type        = list(string)
  description = "the secrets that bin/secrets fills and access/ reads"
}

variable "secret_keys" { type = list(string) }
