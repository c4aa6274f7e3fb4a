variable "name" { type = string }
variable "topic_arn" { type = string }

variable "dollars" {
  type        = number
  description = "US dollars a month"
  validation {
    condition     = var.dollars > 0
    error_message = "A budget is more than nothing."
  }
}
