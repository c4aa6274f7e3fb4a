output "arns" { value = { for k, v in aws_kms_key.data : k => v.arn } }
output "token_key_arns" { value = [for k in var.token_keys : aws_kms_key.tokens[k].arn] }
