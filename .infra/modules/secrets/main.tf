# The places of secrets. Their values never pass through Terraform, whose state would keep them: bin/secrets
# makes them and puts them here.

resource "aws_secretsmanager_secret" "this" {
  for_each                = var.secrets
  name                    = "${var.name}/${each.key}"
  description             = each.value
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.recovery_days
}

# Amazon MSK takes users from secrets whose names begin so, under a key that is not AWS's own.
resource "aws_secretsmanager_secret" "kafka" {
  for_each                = toset(var.kafka_users)
  name                    = "AmazonMSK_${var.name}_${each.key}"
  description             = "Kafka's user ${each.key}"
  kms_key_id              = var.kafka_key_arn
  recovery_window_in_days = var.recovery_days
}
