output "security_group" { value = aws_security_group.this.id }
output "instances" { value = { for k, i in aws_instance.this : k => i.id } }
output "volumes" { value = [for v in aws_ebs_volume.data : v.id] }
