variable "name" { type = string }
variable "account" { type = string }
variable "key_arn" { type = string }
variable "portal_origin" { type = string }

variable "report_days" {
  type        = number
  description = "how long reports and refused rows, with masked card numbers, are kept"
}

variable "force_destroy" {
  type        = bool
  default     = false
  description = "whether destroy deletes buckets that are not empty: in an environment for trying out alone"
}

variable "readers" {
  type        = map(object({ function = string, alias = string, arn = string }))
  default     = {}
  description = "the lambda (its name, its alias and the alias' ARN) that is told of each object, by bucket: spend, users"
  validation {
    condition     = alltrue([for k in keys(var.readers) : contains(["spend", "users"], k)])
    error_message = "Lambdas are told of objects of spend and users."
  }
}
