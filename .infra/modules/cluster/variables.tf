variable "name" { type = string }
variable "subnets" { type = list(string) }
variable "key_arn" { type = string }
variable "disks_key_arn" { type = string }
variable "logs_key_arn" { type = string }
variable "log_days" { type = number }

variable "kubernetes" {
  type        = string
  description = "Kubernetes' minor version"
}

variable "architecture" {
  type        = string
  description = "what the images are built for: x86_64 or arm64"
  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture is x86_64 or arm64."
  }
}

# Between nodes of these families AWS's hardware encrypts what pods say to one another.
variable "instance_type" {
  type        = string
  description = "a type of the architecture whose traffic is encrypted between nodes"
  validation {
    condition     = can(regex(var.architecture == "arm64" ? "^[cmr](7g|7gd|8g|8gd)\\." : "^[cmr](6a|6i|6id|6in|7a|7i)\\.", var.instance_type))
    error_message = "The nodes must be of the architecture and of a family whose network cards encrypt, such as m7i (x86_64) or m7g (arm64)."
  }
}

variable "nodes" {
  type = object({ min = number, max = number })
  validation {
    condition     = var.nodes.min >= 3 && var.nodes.max >= var.nodes.min
    error_message = "There must be at least three nodes, one for each zone."
  }
}

variable "admin_cidrs" {
  type        = list(string)
  description = "from where the API server can be reached beside the VPC; none: from the VPC alone"
  validation {
    condition     = !contains(var.admin_cidrs, "0.0.0.0/0") && !contains(var.admin_cidrs, "::/0")
    error_message = "The cluster's API is not for the whole internet; name the bank's own ranges, or none."
  }
}

variable "admin_roles" {
  type        = list(string)
  description = "ARNs of the IAM roles that administer the cluster"
}
