output "name" { value = aws_api_gateway_rest_api.this.name }
output "stage" { value = aws_api_gateway_stage.this.stage_name }
output "firewall_arn" { value = one(aws_wafv2_web_acl.this[*].arn) }
output "origin" { value = "https://${aws_api_gateway_domain_name.this.domain_name}" }
# For the tests.
output "body" { value = local.body }
output "throttles" { value = local.throttles }
