# The public zone, delegated to by whoever has the domain above it; a zone that the VPC alone sees; certificates
# that renew themselves.

resource "aws_route53_zone" "public" {
  name = var.domain
}

resource "aws_route53_zone" "private" {
  name = "internal.${var.domain}"
  vpc { vpc_id = var.vpc_id }
}

# No certificate for these names but Amazon's.
resource "aws_route53_record" "caa" {
  zone_id = aws_route53_zone.public.zone_id
  name    = var.domain
  type    = "CAA"
  ttl     = 3600
  records = ["0 issue \"amazon.com\"", "0 issuewild \"amazon.com\""]
}

locals {
  certificates = {
    api      = "api.${var.domain}"
    internal = "*.internal.${var.domain}"
    portal   = "portal.${var.domain}"
  }
}

resource "aws_acm_certificate" "this" {
  for_each          = local.certificates
  domain_name       = each.value
  validation_method = "DNS"
  key_algorithm     = "EC_prime256v1"
  lifecycle { create_before_destroy = true }
}

resource "aws_route53_record" "validation" {
  for_each        = local.certificates
  zone_id         = aws_route53_zone.public.zone_id
  name            = one(aws_acm_certificate.this[each.key].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[each.key].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[each.key].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  for_each                = local.certificates
  certificate_arn         = aws_acm_certificate.this[each.key].arn
  validation_record_fqdns = [aws_route53_record.validation[each.key].fqdn]
}
