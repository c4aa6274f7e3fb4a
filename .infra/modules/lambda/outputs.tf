output "name" { value = aws_lambda_function.this.function_name }
output "arn" { value = aws_lambda_function.this.arn }
output "security_group" { value = aws_security_group.this.id }
output "failed_queue" { value = one(aws_sqs_queue.failed[*].name) }
