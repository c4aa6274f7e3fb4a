# What a simulator of AWS serves of the system, applied for real and destroyed again by the long form of
# local/infra_test. AWS_ENDPOINT_URL says where the simulator is. Kafka, PostgreSQL, the cluster and the gateway are
# tested by mocks alone: no simulator has them.

terraform {
  required_version = ">= 1.10.0, < 2.0.0"
  required_providers {
    aws = {
      source  = "registry.terraform.io/hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region                      = "ap-southeast-1"
  access_key                  = "simulated"
  secret_key                  = "simulated"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

data "aws_caller_identity" "this" {}

locals {
  name    = "angelowl-simulated"
  region  = "ap-southeast-1"
  account = data.aws_caller_identity.this.account_id
}

module "keys" {
  source     = "../../modules/keys"
  name       = local.name
  region     = local.region
  account    = local.account
  token_keys = ["second", "first"]
}

module "storage" {
  source        = "../../modules/storage"
  name          = local.name
  account       = local.account
  key_arn       = module.keys.arns["files"]
  portal_origin = "https://portal.bank.example"
  report_days   = 90
  force_destroy = true
}

module "secrets" {
  source        = "../../modules/secrets"
  name          = local.name
  key_arn       = module.keys.arns["secrets"]
  kafka_key_arn = module.keys.arns["store"]
  secrets       = { "profiler/data-key" = "DATA_KEY" }
  kafka_users   = ["rewarder"]
  recovery_days = 0
}

module "registry" {
  source        = "../../modules/registry"
  name          = local.name
  account       = local.account
  key_arn       = module.keys.arns["cluster"]
  images        = ["profiler", "ingestor"]
  lambdas       = ["ingestor"]
  force_destroy = true
}

module "roles" {
  source      = "../../modules/roles"
  name        = local.name
  region      = local.region
  issuer      = "oidc.bank.example/id/1"
  issuer_arn  = "arn:aws:iam::${local.account}:oidc-provider/oidc.bank.example/id/1"
  secret_keys = [module.keys.arns["secrets"]]
  services = {
    profiler = {
      namespace  = "angelowl", account = "profiler", secrets = values(module.secrets.arns)
      statements = [jsonencode({ Sid = "SignTokens", Effect = "Allow", Action = ["kms:Sign"], Resource = module.keys.token_key_arns })]
    }
  }
}

module "schedules" {
  source   = "../../modules/schedules"
  name     = local.name
  account  = local.account
  timezone = "Asia/Singapore"
  schedules = {
    rewards-mail = {
      what         = "the night's mails"
      expression   = "cron(5/10 0-6 * * ? *)"
      function_arn = "arn:aws:lambda:${local.region}:${local.account}:function:${local.name}-emailer:live"
      input        = jsonencode({ time = "<aws.scheduler.scheduled-time>" })
    }
  }
}

output "buckets" { value = module.storage.names }
output "tokens" { value = module.keys.token_key_arns }
output "secret" { value = module.secrets.arns["profiler/data-key"] }
