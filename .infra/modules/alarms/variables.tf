variable "name" { type = string }
variable "account" { type = string }
variable "key_arn" { type = string }
variable "postgres" { type = string }
variable "kafka" { type = string }
variable "brokers" { type = number }

variable "emails" {
  type        = list(string)
  description = "who is told; each confirms once"
}

variable "functions" {
  type        = list(string)
  description = "names of the lambdas"
}

variable "failed_queues" {
  type        = list(string)
  description = "names of the queues of failed events"
}

variable "api" { type = object({ name = string, stage = string }) }

variable "machines" {
  type        = map(string)
  description = "ids of Cassandra's and etcd's machines, by name"
}
