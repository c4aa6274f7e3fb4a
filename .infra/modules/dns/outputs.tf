output "zone_id" { value = aws_route53_zone.public.zone_id }
output "private_zone_id" { value = aws_route53_zone.private.zone_id }
output "name_servers" { value = aws_route53_zone.public.name_servers }
output "api_certificate_arn" { value = aws_acm_certificate_validation.this["api"].certificate_arn }
output "portal_certificate_arn" { value = aws_acm_certificate_validation.this["portal"].certificate_arn }
output "internal_certificate_arn" { value = aws_acm_certificate_validation.this["internal"].certificate_arn }
