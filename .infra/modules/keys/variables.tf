variable "name" { type = string }
variable "region" { type = string }
variable "account" { type = string }

variable "token_keys" {
  type        = list(string)
  description = "names of the keys that sign tokens, the one that signs first"
  validation {
    condition     = length(var.token_keys) >= 1 && length(distinct(var.token_keys)) == length(var.token_keys)
    error_message = "At least one key signs tokens, and each has a name of its own."
  }
}
