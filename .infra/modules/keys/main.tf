# The keys of the bank's data, one for each kind, so that a right to one opens no other; and the key that signs
# tokens, which nobody, not even AWS's staff, can read.

data "aws_partition" "this" {}

locals {
  root = "arn:${data.aws_partition.this.partition}:iam::${var.account}:root"
  own = {
    Sid       = "TheAccountsPoliciesDecide"
    Effect    = "Allow"
    Principal = { AWS = local.root }
    Action    = "kms:*"
    Resource  = "*"
  }
  # A service of AWS that encrypts on its own; the account's id keeps it from being used by others.
  services = {
    logs = [{
      Sid       = "Logs"
      Effect    = "Allow"
      Principal = { Service = "logs.${var.region}.amazonaws.com" }
      Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
      Resource  = "*"
      Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.this.partition}:logs:${var.region}:${var.account}:*" } }
    }]
    queues = [{
      Sid       = "AlarmsAndFailedEvents"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "ses.amazonaws.com"] }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
    disks = [{
      Sid       = "DisksOfAutoscaledNodes"
      Effect    = "Allow"
      Principal = { AWS = local.root }
      Action    = ["kms:CreateGrant"]
      Resource  = "*"
      Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
    }]
  }
  kinds = {
    files   = "files of spend and users, and their reports"
    store   = "PostgreSQL, Kafka and its users' secrets"
    disks   = "disks of Cassandra, etcd and the cluster's nodes"
    secrets = "what programs sign in with"
    logs    = "logs"
    queues  = "failed events and alarms"
    cluster = "secrets within Kubernetes, and images"
  }
}

resource "aws_kms_key" "data" {
  for_each                = local.kinds
  description             = "${var.name}: ${each.value}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.own], lookup(local.services, each.key, []))
  })
  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_kms_alias" "data" {
  for_each      = local.kinds
  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.data[each.key].key_id
}

# Asymmetric keys do not rotate by themselves: add a version before the others here, and take the old one out an
# hour later (docs/configuration.md, JWT_KMS_KEY_ID).
resource "aws_kms_key" "tokens" {
  for_each                 = toset(var.token_keys)
  description              = "${var.name}: signs access tokens, ${each.key}"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = 30
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.own]
  })
  tags = { Name = "${var.name}-tokens-${each.key}" }
}
