variable "name" { type = string }
variable "account" { type = string }
variable "key_arn" { type = string }
variable "images" { type = list(string) }

variable "lambdas" {
  type        = list(string)
  description = "those of the images that Lambda pulls"
}

variable "force_destroy" {
  type    = bool
  default = false
}
