output "instance" { value = aws_instance.this.id }
output "security_group" { value = aws_security_group.this.id }
