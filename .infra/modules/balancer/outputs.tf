output "arn" { value = aws_lb.this.arn }
output "hosts" { value = { for k, s in var.services : k => "${k}.${var.domain}:${s.port}" } }
output "target_groups" { value = { for k, g in aws_lb_target_group.this : k => g.arn } }
