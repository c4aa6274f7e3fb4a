output "name" { value = aws_lambda_function.this.function_name }
# Of the alias, by which it is called.
output "arn" { value = aws_lambda_alias.live.arn }
output "alias" { value = aws_lambda_alias.live.name }
output "function_arn" { value = aws_lambda_function.this.arn }
output "security_group" { value = aws_security_group.this.id }
output "failed_queue" { value = one(aws_sqs_queue.failed[*].name) }
