variable "name" { type = string }
variable "key_arn" { type = string }
variable "kafka_key_arn" { type = string }

variable "secrets" {
  type        = map(string)
  description = "what each secret is, by its name"
}

variable "kafka_users" { type = list(string) }

variable "recovery_days" {
  type        = number
  description = "how long a deleted secret can be had back; 0: not at all"
}
