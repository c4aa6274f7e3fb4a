# The portal's way in: a load balancer on the internet that speaks TLS alone, to browsers and to the portal's pods.

resource "aws_security_group" "this" {
  name        = "${var.name}-portal"
  description = "the portal's load balancer"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-portal" }
}

resource "aws_vpc_security_group_ingress_rule" "everybody" {
  security_group_id = aws_security_group.this.id
  description       = "browsers, TLS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "pods" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.cluster_security_group
  description                  = "the portal's pods"
  ip_protocol                  = "tcp"
  from_port                    = 3000
  to_port                      = 3000
}

resource "aws_vpc_security_group_ingress_rule" "pods" {
  security_group_id            = var.cluster_security_group
  referenced_security_group_id = aws_security_group.this.id
  description                  = "the portal's load balancer"
  ip_protocol                  = "tcp"
  from_port                    = 3000
  to_port                      = 3000
}

resource "aws_lb" "this" {
  name                       = "${var.name}-portal"
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.subnets
  security_groups            = [aws_security_group.this.id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.protect
}

resource "aws_lb_target_group" "this" {
  name_prefix          = "portal"
  target_type          = "ip"
  protocol             = "HTTPS"
  port                 = 3000
  vpc_id               = var.vpc_id
  deregistration_delay = 30
  health_check {
    protocol            = "HTTPS"
    path                = "/signin"
    healthy_threshold   = 2
    unhealthy_threshold = 2
    interval            = 10
    timeout             = 5
  }
  # A refresh token is good once: of two portals that each use it the second ends the session. So a browser stays with one.
  stickiness {
    enabled         = true
    type            = "lb_cookie"
    cookie_duration = 86400
  }
  tags = { Name = "${var.name}-portal" }
  lifecycle { create_before_destroy = true }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = var.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_route53_record" "this" {
  zone_id = var.zone_id
  name    = var.host
  type    = "A"
  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = false
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count        = var.firewall ? 1 : 0
  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.firewall_arn
}
