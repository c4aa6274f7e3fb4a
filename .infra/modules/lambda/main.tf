# One lambda from its image: a role with its own rights, a security group that lets out what it needs, a log, and,
# where nobody waits for its answer, a queue for events that failed for good.

data "aws_partition" "this" {}

locals {
  full    = "${var.name}-${var.function}"
  secrets = distinct(values(var.secrets))
  # A secret's key within it, arn:…:key::, is for the program; rights are on the secret.
  secret_arns = distinct([for s in local.secrets : join(":", slice(split(":", s), 0, 7))])
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.full}"
  retention_in_days = var.log_days
  kms_key_id        = var.keys.logs
}

resource "aws_security_group" "this" {
  name        = local.full
  description = "lambda ${var.function}"
  vpc_id      = var.network.vpc_id
  tags        = { Name = local.full }
}

resource "aws_vpc_security_group_egress_rule" "vpc" {
  for_each          = toset([for p in var.egress : tostring(p)])
  security_group_id = aws_security_group.this.id
  description       = "the system's own"
  cidr_ipv4         = var.network.cidr
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  count             = var.s3 ? 1 : 0
  security_group_id = aws_security_group.this.id
  description       = "S3"
  prefix_list_id    = var.network.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# SES has no endpoint in every region's network; the way to it leads through the NAT gateway.
resource "aws_vpc_security_group_egress_rule" "mail" {
  count             = var.mail ? 1 : 0
  security_group_id = aws_security_group.this.id
  description       = "SES"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_iam_role" "this" {
  name = local.full
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "base" {
  name = "logs-network-secrets"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "OwnLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
      {
        # Lambda itself makes the function's network interfaces, as this role; EC2 knows no resource to name.
        Sid      = "NetworkInterfaces"
        Effect   = "Allow"
        Action   = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"]
        Resource = "*"
      },
      {
        # What Lambda may do there, the program may not.
        Sid       = "NotTheProgram"
        Effect    = "Deny"
        Action    = ["ec2:*"]
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:${data.aws_partition.this.partition}:lambda:${var.region}:${var.account}:function:${local.full}" } }
      },
      ],
      [for s in [
        {
          Sid      = "OwnSecrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = local.secret_arns
        },
        {
          Sid       = "OpenSecrets"
          Effect    = "Allow"
          Action    = ["kms:Decrypt"]
          Resource  = [var.keys.secrets, var.keys.store]
          Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
        },
      ] : s if length(var.secrets) > 0],
      [for s in [
        {
          Sid      = "FailedEvents"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = aws_sqs_queue.failed[*].arn
        },
        {
          Sid      = "EncryptFailedEvents"
          Effect   = "Allow"
          Action   = ["kms:GenerateDataKey", "kms:Decrypt"]
          Resource = [var.keys.queues]
        },
      ] : s if var.asynchronous != null],
    )
  })
}

resource "aws_iam_role_policy" "own" {
  count = length(var.statements) > 0 ? 1 : 0
  name  = "own"
  role  = aws_iam_role.this.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = var.statements
  })
}

resource "aws_lambda_function" "this" {
  function_name                  = local.full
  role                           = aws_iam_role.this.arn
  package_type                   = "Image"
  image_uri                      = var.image
  architectures                  = [var.architecture]
  memory_size                    = var.memory
  timeout                        = var.timeout
  reserved_concurrent_executions = var.concurrency
  kms_key_arn                    = var.keys.secrets
  ephemeral_storage { size = var.disk }
  environment {
    # Of a secret only its name stands here; loyalty/secrets fetches it when the program starts.
    variables = merge(var.settings, { for k, v in var.secrets : "${k}_ARN" => v })
  }
  vpc_config {
    subnet_ids         = var.network.subnets
    security_group_ids = [aws_security_group.this.id]
  }
  tracing_config { mode = "PassThrough" }
  publish = true
  # The workflow that ships the lambda sets its image.
  lifecycle { ignore_changes = [image_uri] }
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.base]
}

# Everybody calls the alias. The workflow tries a new version and only then points live at it, or back.
resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version
  lifecycle { ignore_changes = [function_version] }
}

resource "aws_sqs_queue" "failed" {
  count                     = var.asynchronous == null ? 0 : 1
  name                      = "${local.full}-failed"
  message_retention_seconds = 14 * 86400
  kms_master_key_id         = var.keys.queues
}

resource "aws_sqs_queue_policy" "failed" {
  count     = var.asynchronous == null ? 0 : 1
  queue_url = aws_sqs_queue.failed[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TLSOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.failed[0].arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_lambda_function_event_invoke_config" "this" {
  count                        = var.asynchronous == null ? 0 : 1
  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_retry_attempts       = var.asynchronous.retries
  maximum_event_age_in_seconds = var.asynchronous.age
  destination_config {
    on_failure { destination = aws_sqs_queue.failed[0].arn }
  }
}
