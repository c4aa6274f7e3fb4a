output "target_group" { value = aws_lb_target_group.this.arn }
