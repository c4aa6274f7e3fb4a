# The one front door: API Gateway serves api/openapi.yaml, the file that local/gateway serves on a laptop. What is
# not AWS's in it, x-angelowl-throttle, becomes settings here.

locals {
  filled = templatefile(var.openapi, {
    AWS_REGION         = var.region
    authorizer_arn     = var.functions["authorizer"].arn
    publish_single_arn = var.functions["publish-single"].arn
    uploads_arn        = var.functions["uploads"].arn
    profiler           = var.services["profiler"]
    campaignex         = var.services["campaignex"]
    informer           = var.services["informer"]
    rewarder           = var.services["rewarder"]
    portal_origin      = var.portal_origin
    vpc_link_id        = aws_api_gateway_vpc_link.this.id
  })
  # On a laptop services are on loopback; here the way to them is encrypted.
  body = replace(local.filled, "uri: http://", "uri: https://")

  # The same file again with nothing filled in, for what has to be known before anything is made.
  plain = yamldecode(templatefile(var.openapi, {
    AWS_REGION = "x", authorizer_arn = "x", publish_single_arn = "x", uploads_arn = "x", profiler = "x", campaignex = "x",
    informer   = "x", rewarder = "x", portal_origin = "x", vpc_link_id = "x"
  }))
  throttles = merge([for path, operations in local.plain.paths : {
    for method, o in operations : "${trimprefix(path, "/")}/${upper(method)}" => o["x-angelowl-throttle"]
    if try(o["x-angelowl-throttle"], null) != null
  }]...)
  everything = local.plain["x-angelowl-throttle"]
}

resource "aws_api_gateway_vpc_link" "this" {
  name        = var.name
  target_arns = [var.balancer_arn]
}

resource "aws_api_gateway_rest_api" "this" {
  name                         = var.name
  body                         = local.body
  put_rest_api_mode            = "overwrite"
  disable_execute_api_endpoint = true
  endpoint_configuration { types = ["REGIONAL"] }
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  triggers    = { body = sha256(local.body) }
  lifecycle { create_before_destroy = true }
}

resource "aws_cloudwatch_log_group" "access" {
  name              = "/angelowl/${var.name}/gateway"
  retention_in_days = var.log_days
  kms_key_id        = var.logs_key_arn
}

# API Gateway writes logs as one role for the whole account and region.
resource "aws_iam_role" "logs" {
  name = "${var.name}-gateway-logs"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "apigateway.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "logs" {
  name = "write-access-logs"
  role = aws_iam_role.logs.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"]
        Resource = "${aws_cloudwatch_log_group.access.arn}:*"
      },
      {
        # API Gateway tries this when the role is set, and refuses a role that may not.
        Sid      = "FindGroups"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:DescribeLogGroups"]
        Resource = "arn:aws:logs:${var.region}:${var.account}:*"
      },
    ]
  })
}

resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = aws_iam_role.logs.arn
  depends_on          = [aws_iam_role_policy.logs]
}

resource "aws_api_gateway_stage" "this" {
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = "v1"
  xray_tracing_enabled = false
  # Who called what, and how it went. No body, no query, no header: they hold card numbers' owners, tokens and
  # passwords. The path is the route's, with {id} for ids.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      time           = "$context.requestTime"
      request_id     = "$context.requestId"
      method         = "$context.httpMethod"
      route          = "$context.resourcePath"
      status         = "$context.status"
      error          = "$context.error.responseType"
      who            = "$context.authorizer.principalId"
      address        = "$context.identity.sourceIp"
      took_ms        = "$context.responseLatency"
      service_ms     = "$context.integration.latency"
      service_status = "$context.integration.status"
      bytes          = "$context.responseLength"
    })
  }
  depends_on = [aws_api_gateway_account.this]
}

# Data trace would write bodies and headers to the log; it stays off, for every route.
resource "aws_api_gateway_method_settings" "all" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"
  settings {
    metrics_enabled        = true
    logging_level          = "OFF"
    data_trace_enabled     = false
    caching_enabled        = false
    throttling_rate_limit  = local.everything.rate
    throttling_burst_limit = local.everything.burst
  }
}

resource "aws_api_gateway_method_settings" "one" {
  for_each    = local.throttles
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = each.key
  settings {
    metrics_enabled        = true
    logging_level          = "OFF"
    data_trace_enabled     = false
    caching_enabled        = false
    throttling_rate_limit  = each.value.rate
    throttling_burst_limit = each.value.burst
  }
  depends_on = [aws_api_gateway_method_settings.all]
}

resource "aws_lambda_permission" "authorizer" {
  statement_id  = "gateway"
  action        = "lambda:InvokeFunction"
  function_name = var.functions["authorizer"].name
  qualifier     = var.functions["authorizer"].alias
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/*"
}

resource "aws_lambda_permission" "integration" {
  for_each      = toset(["publish-single", "uploads"])
  statement_id  = "gateway"
  action        = "lambda:InvokeFunction"
  function_name = var.functions[each.key].name
  qualifier     = var.functions[each.key].alias
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/*/*/*"
}

resource "aws_api_gateway_domain_name" "this" {
  domain_name              = var.host
  regional_certificate_arn = var.certificate_arn
  security_policy          = "TLS_1_2"
  endpoint_configuration { types = ["REGIONAL"] }
}

resource "aws_api_gateway_base_path_mapping" "this" {
  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  domain_name = aws_api_gateway_domain_name.this.domain_name
}

resource "aws_route53_record" "this" {
  zone_id = var.zone_id
  name    = aws_api_gateway_domain_name.this.domain_name
  type    = "A"
  alias {
    name                   = aws_api_gateway_domain_name.this.regional_domain_name
    zone_id                = aws_api_gateway_domain_name.this.regional_zone_id
    evaluate_target_health = false
  }
}

resource "aws_wafv2_ip_set" "portal" {
  count              = var.firewall ? 1 : 0
  name               = "${var.name}-portal"
  scope              = "REGIONAL"
  ip_address_version = "IPV4"
  addresses          = [for a in var.portal_addresses : "${a}/32"]
}

# A firewall where the bank wants one: known bad addresses and inputs, and a rate for each address. It logs nothing.
resource "aws_wafv2_web_acl" "this" {
  count = var.firewall ? 1 : 0
  name  = var.name
  scope = "REGIONAL"
  default_action {
    allow {}
  }
  dynamic "rule" {
    for_each = { AWSManagedRulesAmazonIpReputationList = 1, AWSManagedRulesKnownBadInputsRuleSet = 2 }
    content {
      name     = rule.key
      priority = rule.value
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = false
      }
    }
  }
  rule {
    name     = "rate"
    priority = 3
    action {
      block {}
    }
    statement {
      rate_based_statement {
        limit              = var.firewall_rate
        aggregate_key_type = "IP"
        scope_down_statement {
          not_statement {
            statement {
              ip_set_reference_statement { arn = aws_wafv2_ip_set.portal[0].arn }
            }
          }
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate"
      sampled_requests_enabled   = false
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count        = var.firewall ? 1 : 0
  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this[0].arn
}
