# A made-up AWS: what it would answer where the provider looks at the form of an answer.

mock_data "aws_caller_identity" {
  defaults = { account_id = "000000000000" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_ssm_parameter" {
  defaults = { value = "ami-mock" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::000000000000:role/mock" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:ap-southeast-1:000000000000:key/mock" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:ap-southeast-1:000000000000:log-group:mock" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:ap-southeast-1:000000000000:mock" }
}

mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:ap-southeast-1:000000000000:mock" }
}

mock_resource "aws_lambda_function" {
  defaults = { arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:mock" }
}

mock_resource "aws_ecr_repository" {
  defaults = { arn = "arn:aws:ecr:ap-southeast-1:000000000000:repository/mock" }
}

mock_resource "aws_lb" {
  defaults = { arn = "arn:aws:elasticloadbalancing:ap-southeast-1:000000000000:loadbalancer/net/mock/0" }
}

mock_resource "aws_lb_target_group" {
  defaults = { arn = "arn:aws:elasticloadbalancing:ap-southeast-1:000000000000:targetgroup/mock/0" }
}

mock_resource "aws_acm_certificate" {
  defaults = {
    arn = "arn:aws:acm:ap-southeast-1:000000000000:certificate/mock"
    domain_validation_options = [{
      domain_name           = "mock"
      resource_record_name  = "_mock.bank.example"
      resource_record_type  = "CNAME"
      resource_record_value = "_mock.acm-validations.aws"
    }]
  }
}

mock_resource "aws_iam_openid_connect_provider" {
  defaults = { arn = "arn:aws:iam::000000000000:oidc-provider/mock" }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = { arn = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:mock" }
}

mock_resource "aws_wafv2_ip_set" {
  defaults = { arn = "arn:aws:wafv2:ap-southeast-1:000000000000:regional/ipset/mock/0" }
}

mock_resource "aws_wafv2_web_acl" {
  defaults = { arn = "arn:aws:wafv2:ap-southeast-1:000000000000:regional/webacl/mock/0" }
}

mock_resource "aws_sesv2_email_identity" {
  defaults = {
    arn                     = "arn:aws:ses:ap-southeast-1:000000000000:identity/mock"
    dkim_signing_attributes = { tokens = ["one", "two", "three"] }
  }
}

mock_resource "aws_sesv2_configuration_set" {
  defaults = { arn = "arn:aws:ses:ap-southeast-1:000000000000:configuration-set/mock" }
}

mock_resource "aws_ebs_volume" {
  defaults = { arn = "arn:aws:ec2:ap-southeast-1:000000000000:volume/mock" }
}

mock_resource "aws_msk_configuration" {
  defaults = { arn = "arn:aws:kafka:ap-southeast-1:000000000000:configuration/mock/0" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::mock" }
}

mock_resource "aws_eks_cluster" {
  defaults = {
    arn        = "arn:aws:eks:ap-southeast-1:000000000000:cluster/mock"
    identity   = [{ oidc = [{ issuer = "https://oidc.eks.ap-southeast-1.amazonaws.com/id/MOCK" }] }]
    vpc_config = { cluster_security_group_id = "sg-cluster" }
  }
}

mock_resource "aws_msk_cluster" {
  defaults = {
    arn                          = "arn:aws:kafka:ap-southeast-1:000000000000:cluster/mock/0"
    bootstrap_brokers_sasl_scram = "b-1.mock:9096,b-2.mock:9096,b-3.mock:9096"
    bootstrap_brokers_sasl_iam   = "b-1.mock:9098,b-2.mock:9098,b-3.mock:9098"
  }
}

mock_resource "aws_db_instance" {
  defaults = {
    address            = "postgres.mock"
    master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:rds" }]
  }
}

mock_resource "aws_acm_certificate_validation" {
  defaults = { certificate_arn = "arn:aws:acm:ap-southeast-1:000000000000:certificate/mock" }
}

mock_resource "aws_api_gateway_rest_api" {
  defaults = { execution_arn = "arn:aws:execute-api:ap-southeast-1:000000000000:mock" }
}

mock_resource "aws_api_gateway_stage" {
  defaults = { arn = "arn:aws:apigateway:ap-southeast-1::/restapis/mock/stages/v1" }
}

mock_resource "aws_launch_template" {
  defaults = { id = "lt-mock", latest_version = 1 }
}

mock_resource "aws_lambda_alias" {
  defaults = { arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:mock:live" }
}
