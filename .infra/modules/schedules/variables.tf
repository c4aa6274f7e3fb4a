variable "name" { type = string }
variable "account" { type = string }

variable "timezone" {
  type        = string
  description = "the bank's time zone"
}

variable "schedules" {
  type = map(object({
    what         = string
    expression   = string
    function_arn = string
    input        = string
  }))
}
