variable "environment" {
  type        = string
  description = "staging, production, …: part of every name"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment is 2 to 12 lower case letters and digits."
  }
}

variable "region" {
  type        = string
  description = "the AWS region; the bank's data stay there"
}

variable "zones" {
  type        = list(string)
  description = "three availability zones of the region"
}

variable "cidr" {
  type        = string
  description = "the VPC's range, a /16 that no other network of the bank has"
}

variable "domain" {
  type        = string
  description = "the domain of this environment, such as rewards.bank.example; the API is api.DOMAIN, the portal portal.DOMAIN"
}

variable "mail_from" {
  type        = string
  description = "whom mail is from, of the domain: Example Bank <rewards@rewards.bank.example>"
  validation {
    condition     = can(regex("@[a-z0-9.-]+>?$", var.mail_from))
    error_message = "mail_from is an address, with or without a name before it."
  }
}

variable "alarm_emails" {
  type        = list(string)
  description = "who hears of alarms and of the budget"
}

variable "home_currency" {
  type        = string
  description = "the bank's currency, ISO 4217"
  validation {
    condition     = can(regex("^[A-Z]{3}$", var.home_currency))
    error_message = "home_currency is three capital letters."
  }
}

variable "timezone" {
  type        = string
  description = "the bank's time zone, of the IANA database; fixed for the life of the reward store"
}

variable "architecture" {
  type        = string
  description = "what the images are built for: x86_64 or arm64"
}

variable "image_tag" {
  type        = string
  description = "the tag of the lambdas' first images; after that the workflow sets them"
  default     = "first"
}

variable "protect" {
  type        = bool
  description = "whether what holds data refuses to be destroyed"
}

variable "nat_per_zone" {
  type        = bool
  description = "a NAT gateway in each zone, or one for all"
}

variable "log_days" {
  type        = number
  description = "how long logs are kept"
  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "log_days is one of CloudWatch's: 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, …"
  }
}

variable "report_days" {
  type        = number
  description = "how long reports of uploads are kept"
}

variable "token_keys" {
  type        = list(string)
  description = "names of the keys that sign tokens; the first signs"
  default     = ["first"]
}

variable "cluster" {
  type = object({
    kubernetes    = string
    instance_type = string
    nodes         = object({ min = number, max = number })
    admin_cidrs   = list(string)
    admin_roles   = list(string)
  })
}

variable "kafka" {
  type = object({ version = string, instance_type = string, brokers = number, partitions = number, disk_gib = number, disk_max_gib = number })
}

variable "postgres" {
  type = object({ version = string, instance_class = string, multi_az = bool, disk_gib = number, backup_days = number })
}

variable "cassandra" {
  type = object({
    version         = string
    instance_type   = string
    heap_gib        = number
    disk_gib        = number
    disk_iops       = number
    disk_throughput = number
    commitlog_sync  = string
    nodes_per_zone  = number
    snapshots       = object({ hours = number, keep = number })
  })
}

variable "etcd" {
  type = object({
    version       = string
    instance_type = string
    disk_gib      = number
    snapshots     = object({ hours = number, keep = number })
  })
}

variable "checksums" {
  type        = object({ cassandra = string, etcd = string })
  description = "SHA-256 of what bin/programs puts into the bucket: apache-cassandra-VERSION-bin.tar.gz and etcd-vVERSION-linux-arm64.tar.gz"
}

variable "concurrency" {
  type        = map(number)
  description = "reserved concurrency, by lambda, beside emailer's, which is 1; -1: whatever the account has"
}

variable "send_rate" {
  type        = number
  description = "most mails a second; no more than SES lets the account send"
}

variable "firewall" {
  type        = bool
  description = "whether AWS WAF stands before the gateway"
}

variable "repository" {
  type        = string
  description = "GitHub's owner/repository whose workflows ship"
}

variable "github_provider_arn" {
  type        = string
  description = "GitHub's OIDC provider, where the account has one already"
  default     = ""
}

variable "namespace" {
  type        = string
  description = "the services' namespace in Kubernetes"
  default     = "angelowl"
}

variable "budget_dollars" {
  type        = number
  description = "US dollars a month"
}

