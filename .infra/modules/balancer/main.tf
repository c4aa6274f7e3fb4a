# An internal load balancer with a TLS port for each service. The services' pods stand in its target groups: the
# load balancer controller puts them there (TargetGroupBinding, docs/deploy.md). It speaks TLS to them too, and does not
# look at whose certificate it is: AWS's load balancers take any from what is behind them.

resource "aws_security_group" "this" {
  name        = "${var.name}-${var.role}"
  description = "load balancer: ${var.role}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${var.role}" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = { for pair in setproduct(keys(var.clients), keys(var.services)) : "${pair[0]}-${pair[1]}" => {
    client = var.clients[pair[0]], name = pair[0], port = var.services[pair[1]].port
  } }
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value.client
  description                  = each.value.name
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "pods" {
  for_each                     = toset([for s in var.services : tostring(s.target)])
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.cluster_security_group
  description                  = "the services' pods"
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
}

resource "aws_vpc_security_group_ingress_rule" "pods" {
  for_each                     = toset([for s in var.services : tostring(s.target)])
  security_group_id            = var.cluster_security_group
  referenced_security_group_id = aws_security_group.this.id
  description                  = "load balancer ${var.role}"
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
}

resource "aws_lb" "this" {
  name                             = "${var.name}-${var.role}"
  load_balancer_type               = "network"
  internal                         = true
  subnets                          = var.subnets
  security_groups                  = [aws_security_group.this.id]
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = var.protect
  # API Gateway comes by PrivateLink, whose addresses no security group knows; its VPC link is made for this
  # load balancer alone, and the authorizer stands before it.
  enforce_security_group_inbound_rules_on_private_link_traffic = var.private_link ? "off" : "on"
}

resource "aws_lb_target_group" "this" {
  for_each               = var.services
  name_prefix            = substr("${replace(each.key, "-", "")}xxxxxx", 0, 6)
  target_type            = "ip"
  protocol               = "TLS"
  port                   = each.value.target
  vpc_id                 = var.vpc_id
  deregistration_delay   = 30
  preserve_client_ip     = false
  connection_termination = false
  health_check {
    protocol            = "HTTPS"
    path                = "/health"
    port                = each.value.health
    healthy_threshold   = 2
    unhealthy_threshold = 2
    interval            = 5
    timeout             = 4
  }
  tags = { Name = "${var.name}-${each.key}" }
  lifecycle { create_before_destroy = true }
}

resource "aws_lb_listener" "this" {
  for_each          = var.services
  load_balancer_arn = aws_lb.this.arn
  port              = each.value.port
  protocol          = "TLS"
  certificate_arn   = var.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }
}

resource "aws_route53_record" "this" {
  for_each = var.services
  zone_id  = var.zone_id
  name     = "${each.key}.${var.domain}"
  type     = "A"
  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = false
  }
}
