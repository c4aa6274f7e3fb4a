# A role of AWS for each service account of Kubernetes (IRSA): a service reads its own secrets, and does nothing in
# AWS beyond what is listed for it.

locals {
  secret_arns = { for k, s in var.services : k => distinct([for a in s.secrets : join(":", slice(split(":", a), 0, 7))]) }
}

resource "aws_iam_role" "this" {
  for_each = var.services
  name     = "${var.name}-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = var.issuer_arn }
      Condition = { StringEquals = {
        "${var.issuer}:sub" = "system:serviceaccount:${each.value.namespace}:${each.value.account}"
        "${var.issuer}:aud" = "sts.amazonaws.com"
      } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = { for k, s in var.services : k => s if length(s.secrets) + length(s.statements) > 0 }
  name     = "own"
  role     = aws_iam_role.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([for s in [
      {
        Sid      = "OwnSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        Resource = local.secret_arns[each.key]
      },
      {
        Sid       = "OpenSecrets"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.secret_keys
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ] : s if length(each.value.secrets) > 0], [for s in each.value.statements : jsondecode(s)])
  })
}
