terraform {
  # use_lockfile, the lock beside the state, is of 1.10.
  required_version = ">= 1.10.0, < 2.0.0"
  required_providers {
    aws = {
      source  = "registry.terraform.io/hashicorp/aws"
      version = "5.100.0"
    }
  }
  # Where the state is, env/*.s3.tfbackend says; bootstrap/ makes that bucket.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { System = local.name, Environment = var.environment, ManagedBy = "terraform" }
  }
}
