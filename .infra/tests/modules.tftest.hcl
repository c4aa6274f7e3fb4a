# Each module for itself, on a made-up AWS: what it must have, and what it must refuse.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "network" {
  command = plan
  module {
    source = "./modules/network"
  }
  variables {
    name         = "angelowl-test"
    region       = "ap-southeast-1"
    account      = "000000000000"
    cidr         = "10.40.0.0/16"
    zones        = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
    nat_per_zone = true
    log_days     = 30
    logs_key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
  }
  assert {
    condition     = length(aws_subnet.this) == 9 && alltrue([for s in aws_subnet.this : !s.map_public_ip_on_launch])
    error_message = "Nine subnets, and nothing gets a public address by itself."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "A NAT gateway in each zone."
  }
}

run "network_of_one_gateway" {
  command = plan
  module {
    source = "./modules/network"
  }
  variables {
    name         = "angelowl-test"
    region       = "ap-southeast-1"
    account      = "000000000000"
    cidr         = "10.40.0.0/16"
    zones        = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
    nat_per_zone = false
    log_days     = 30
    logs_key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1
    error_message = "One NAT gateway for all."
  }
}

run "network_too_small" {
  command = plan
  module {
    source = "./modules/network"
  }
  variables {
    name         = "angelowl-test"
    region       = "ap-southeast-1"
    account      = "000000000000"
    cidr         = "10.40.0.0/20"
    zones        = ["ap-southeast-1a", "ap-southeast-1b"]
    nat_per_zone = true
    log_days     = 30
    logs_key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
  }
  expect_failures = [var.cidr, var.zones]
}

run "keys" {
  command = plan
  module {
    source = "./modules/keys"
  }
  variables {
    name       = "angelowl-test"
    region     = "ap-southeast-1"
    account    = "000000000000"
    token_keys = ["second", "first"]
  }
  assert {
    condition     = aws_kms_key.tokens["second"].customer_master_key_spec == "ECC_NIST_P256" && aws_kms_key.tokens["second"].key_usage == "SIGN_VERIFY"
    error_message = "Tokens are signed with ECC_NIST_P256."
  }
  assert {
    condition     = alltrue([for k in aws_kms_key.data : k.enable_key_rotation])
    error_message = "Keys of data rotate."
  }
}

run "keys_twice" {
  command = plan
  module {
    source = "./modules/keys"
  }
  variables {
    name       = "angelowl-test"
    region     = "ap-southeast-1"
    account    = "000000000000"
    token_keys = ["first", "first"]
  }
  expect_failures = [var.token_keys]
}

run "storage" {
  command = plan
  module {
    source = "./modules/storage"
  }
  variables {
    name          = "angelowl-test"
    account       = "000000000000"
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/files"
    portal_origin = "https://portal.bank.example"
    report_days   = 400
    readers       = { spend = { function = "i", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:i:live" } }
  }
  assert {
    condition     = alltrue([for k in ["spend", "users"] : aws_s3_bucket_lifecycle_configuration.this[k].rule[0].expiration[0].days == 7])
    error_message = "What the bank uploads is gone after 7 days."
  }
  assert {
    condition     = aws_s3_bucket_cors_configuration.this["spend"].cors_rule == toset([for r in aws_s3_bucket_cors_configuration.this["spend"].cors_rule : r if r.allowed_origins == toset(["https://portal.bank.example"])])
    error_message = "The portal alone may PUT from a page."
  }
  assert {
    condition     = length(aws_s3_bucket_notification.this) == 1 && aws_lambda_permission.s3["spend"].source_account == "000000000000"
    error_message = "The lambda is told, by this bucket of this account."
  }
}

run "storage_of_others" {
  command = plan
  module {
    source = "./modules/storage"
  }
  variables {
    name          = "angelowl-test"
    account       = "000000000000"
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/files"
    portal_origin = "https://portal.bank.example"
    report_days   = 400
    readers       = { reports = { function = "i", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:i:live" } }
  }
  expect_failures = [var.readers]
}

run "registry" {
  command = plan
  module {
    source = "./modules/registry"
  }
  variables {
    name    = "angelowl-test"
    account = "000000000000"
    key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/cluster"
    images  = ["profiler", "ingestor"]
    lambdas = ["ingestor"]
  }
  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_tag_mutability == "IMMUTABLE" && r.image_scanning_configuration[0].scan_on_push])
    error_message = "A tag names one image, which is scanned."
  }
  assert {
    condition     = length(aws_ecr_repository_policy.lambda) == 1
    error_message = "Lambda pulls images of lambdas alone."
  }
}

run "secrets" {
  command = plan
  module {
    source = "./modules/secrets"
  }
  variables {
    name          = "angelowl-test"
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/secrets"
    kafka_key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/store"
    secrets       = { "profiler/data-key" = "DATA_KEY" }
    kafka_users   = ["rewarder"]
    recovery_days = 30
  }
  assert {
    condition     = startswith(aws_secretsmanager_secret.kafka["rewarder"].name, "AmazonMSK_")
    error_message = "MSK takes users from secrets of that name alone."
  }
}

run "cluster" {
  command = plan
  module {
    source = "./modules/cluster"
  }
  variables {
    name          = "angelowl-test"
    subnets       = ["subnet-a", "subnet-b", "subnet-c"]
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/cluster"
    disks_key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/disks"
    logs_key_arn  = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
    log_days      = 30
    architecture  = "arm64"
    kubernetes    = "1.33"
    instance_type = "m7g.large"
    nodes         = { min = 3, max = 6 }
    admin_cidrs   = []
    admin_roles   = ["arn:aws:iam::000000000000:role/operators"]
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access == false
    error_message = "The API server is in the VPC alone."
  }
  assert {
    condition     = aws_launch_template.nodes.metadata_options[0].http_put_response_hop_limit == 1 && aws_launch_template.nodes.metadata_options[0].http_tokens == "required"
    error_message = "Pods cannot take the node's role."
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"])
    error_message = "Secrets in etcd of EKS are encrypted."
  }
}

run "cluster_for_all" {
  command = plan
  module {
    source = "./modules/cluster"
  }
  variables {
    name          = "angelowl-test"
    subnets       = ["subnet-a", "subnet-b", "subnet-c"]
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/cluster"
    disks_key_arn = "arn:aws:kms:ap-southeast-1:000000000000:key/disks"
    logs_key_arn  = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
    log_days      = 30
    architecture  = "arm64"
    kubernetes    = "1.33"
    instance_type = "t4g.large"
    nodes         = { min = 1, max = 6 }
    admin_cidrs   = ["0.0.0.0/0"]
    admin_roles   = ["arn:aws:iam::000000000000:role/operators"]
  }
  expect_failures = [var.admin_cidrs, var.nodes, var.instance_type]
}

run "kafka" {
  command = plan
  module {
    source = "./modules/kafka"
  }
  variables {
    name          = "angelowl-test"
    vpc_id        = "vpc-1"
    subnets       = ["subnet-a", "subnet-b", "subnet-c"]
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/store"
    logs_key_arn  = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
    log_days      = 30
    kafka         = "3.9.x.kraft"
    instance_type = "kafka.m7g.large"
    brokers       = 3
    disk_gib      = 100
    disk_max_gib  = 500
    users         = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:u"]
    clients       = { cluster = "sg-1" }
    operator      = "sg-2"
  }
  assert {
    condition     = aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].client_broker == "TLS" && !aws_msk_cluster.this.client_authentication[0].unauthenticated
    error_message = "Kafka is TLS alone, and knows everybody."
  }
  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "allow.everyone.if.no.acl.found=false") && strcontains(aws_msk_configuration.this.server_properties, "min.insync.replicas=2") && strcontains(aws_msk_configuration.this.server_properties, "unclean.leader.election.enable=false")
    error_message = "What is not allowed is refused, and what is acknowledged is on two brokers."
  }
}

run "kafka_of_four" {
  command = plan
  module {
    source = "./modules/kafka"
  }
  variables {
    name          = "angelowl-test"
    vpc_id        = "vpc-1"
    subnets       = ["subnet-a", "subnet-b", "subnet-c"]
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/store"
    logs_key_arn  = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
    log_days      = 30
    kafka         = "3.9.x.kraft"
    instance_type = "kafka.m7g.large"
    brokers       = 4
    disk_gib      = 100
    disk_max_gib  = 500
    users         = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:u"]
    clients       = { cluster = "sg-1" }
    operator      = "sg-2"
  }
  expect_failures = [var.brokers]
}

run "postgres" {
  command = plan
  module {
    source = "./modules/postgres"
  }
  variables {
    name           = "angelowl-test"
    vpc_id         = "vpc-1"
    subnets        = ["subnet-a", "subnet-b"]
    key_arn        = "arn:aws:kms:ap-southeast-1:000000000000:key/store"
    postgres       = "17.5"
    instance_class = "db.t4g.medium"
    multi_az       = true
    disk_gib       = 20
    backup_days    = 7
    protect        = true
    clients        = { cluster = "sg-1" }
  }
  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.deletion_protection && aws_db_instance.this.manage_master_user_password
    error_message = "PostgreSQL is encrypted, private, kept, and its master's password is AWS's to keep."
  }
  assert {
    condition     = contains([for p in aws_db_parameter_group.this.parameter : "${p.name}=${p.value}"], "rds.force_ssl=1")
    error_message = "PostgreSQL refuses connections without TLS."
  }
}

run "postgres_too_old" {
  command = plan
  module {
    source = "./modules/postgres"
  }
  variables {
    name           = "angelowl-test"
    vpc_id         = "vpc-1"
    subnets        = ["subnet-a", "subnet-b"]
    key_arn        = "arn:aws:kms:ap-southeast-1:000000000000:key/store"
    postgres       = "14.9"
    instance_class = "db.t4g.medium"
    multi_az       = true
    disk_gib       = 20
    backup_days    = 0
    protect        = true
    clients        = { cluster = "sg-1" }
  }
  expect_failures = [var.postgres, var.backup_days]
}

run "cassandra" {
  command = plan
  module {
    source = "./modules/cassandra"
  }
  variables {
    name   = "angelowl-test"
    region = "ap-southeast-1"
    network = {
      vpc_id            = "vpc-1"
      cidr              = "10.40.0.0/16"
      subnets           = ["subnet-a", "subnet-b", "subnet-c"]
      zones             = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
      cidrs             = ["10.40.8.0/24", "10.40.9.0/24", "10.40.10.0/24"]
      s3_prefix_list_id = "pl-1"
    }
    keys            = { disks = "arn:aws:kms:ap-southeast-1:000000000000:key/disks", secrets = "arn:aws:kms:ap-southeast-1:000000000000:key/secrets", files = "arn:aws:kms:ap-southeast-1:000000000000:key/files" }
    programs        = { bucket = "programs", arn = "arn:aws:s3:::programs" }
    cassandra       = "5.0.9"
    commitlog_sync  = "group"
    heap_gib        = 6
    disk_iops       = 3000
    disk_throughput = 125
    nodes_per_zone  = 2
    sha256          = "0000000000000000000000000000000000000000000000000000000000000000"
    instance_type   = "r7g.large"
    disk_gib        = 100
    snapshots       = { hours = 6, keep = 12 }
    certificates    = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n0", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n1", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n2", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n3", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n4", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n5"]
    authority       = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:authority"
    clients         = { cluster = "sg-1" }
    protect         = true
  }
  assert {
    condition     = join(",", output.hosts) == "10.40.8.10,10.40.9.10,10.40.10.10,10.40.8.20,10.40.9.20,10.40.10.20"
    error_message = "Nodes keep their addresses."
  }
  assert {
    condition     = strcontains(output.setup[0], "commitlog_sync: group") && !strcontains(output.setup[0], "periodic\n")
    error_message = "commitlog_sync is what was chosen."
  }
}

run "cassandra_unsafe" {
  command = plan
  module {
    source = "./modules/cassandra"
  }
  variables {
    name   = "angelowl-test"
    region = "ap-southeast-1"
    network = {
      vpc_id            = "vpc-1"
      cidr              = "10.40.0.0/16"
      subnets           = ["subnet-a", "subnet-b", "subnet-c"]
      zones             = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
      cidrs             = ["10.40.8.0/24", "10.40.9.0/24", "10.40.10.0/24"]
      s3_prefix_list_id = "pl-1"
    }
    keys            = { disks = "arn:aws:kms:ap-southeast-1:000000000000:key/disks", secrets = "arn:aws:kms:ap-southeast-1:000000000000:key/secrets", files = "arn:aws:kms:ap-southeast-1:000000000000:key/files" }
    programs        = { bucket = "programs", arn = "arn:aws:s3:::programs" }
    cassandra       = "5.0.9"
    commitlog_sync  = "sometimes"
    heap_gib        = 6
    disk_iops       = 3000
    disk_throughput = 125
    nodes_per_zone  = 2
    sha256          = "no"
    instance_type   = "r7g.large"
    disk_gib        = 100
    snapshots       = { hours = 6, keep = 12 }
    certificates    = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n0", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n1", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n2", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n3", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n4", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n5"]
    authority       = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:authority"
    clients         = { cluster = "sg-1" }
    protect         = true
  }
  expect_failures = [var.commitlog_sync, var.sha256]
}

run "etcd" {
  command = plan
  module {
    source = "./modules/etcd"
  }
  variables {
    name   = "angelowl-test"
    region = "ap-southeast-1"
    network = {
      vpc_id            = "vpc-1"
      cidr              = "10.40.0.0/16"
      subnets           = ["subnet-a", "subnet-b", "subnet-c"]
      zones             = ["ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"]
      cidrs             = ["10.40.8.0/24", "10.40.9.0/24", "10.40.10.0/24"]
      s3_prefix_list_id = "pl-1"
    }
    keys          = { disks = "arn:aws:kms:ap-southeast-1:000000000000:key/disks", secrets = "arn:aws:kms:ap-southeast-1:000000000000:key/secrets", files = "arn:aws:kms:ap-southeast-1:000000000000:key/files" }
    programs      = { bucket = "programs", arn = "arn:aws:s3:::programs" }
    etcd          = "3.7.3"
    sha256        = "0000000000000000000000000000000000000000000000000000000000000000"
    instance_type = "r7g.large"
    disk_gib      = 100
    snapshots     = { hours = 6, keep = 12 }
    certificates  = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n0", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n1", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n2", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n3", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n4", "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:n5"]
    authority     = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:authority"
    clients       = { cluster = "sg-1" }
    protect       = true
  }
  assert {
    condition     = join(",", output.endpoints) == "https://10.40.8.11:2379,https://10.40.9.11:2379,https://10.40.10.11:2379"
    error_message = "etcd is had by TLS at addresses that stay."
  }
}

run "balancer" {
  command = plan
  module {
    source = "./modules/balancer"
  }
  variables {
    name                   = "angelowl-test"
    role                   = "front"
    vpc_id                 = "vpc-1"
    subnets                = ["subnet-a"]
    certificate_arn        = "arn:aws:acm:ap-southeast-1:000000000000:certificate/mock"
    cluster_security_group = "sg-1"
    zone_id                = "Z1"
    domain                 = "internal.bank.example"
    protect                = true
    private_link           = true
    clients                = { authorizer = "sg-2" }
    services               = { profiler = { port = 8443, target = 8080, health = 8080 } }
  }
  assert {
    condition     = aws_lb.this.internal && alltrue([for l in aws_lb_listener.this : l.protocol == "TLS"])
    error_message = "The load balancer is internal, and TLS alone."
  }
  assert {
    condition     = alltrue([for g in aws_lb_target_group.this : g.protocol == "TLS" && g.health_check[0].protocol == "HTTPS"])
    error_message = "Pods are spoken to by TLS, and asked how they are, too."
  }
  assert {
    condition     = output.hosts["profiler"] == "profiler.internal.bank.example:8443"
    error_message = "The name is one that the certificate is for."
  }
}

run "dns" {
  command = plan
  module {
    source = "./modules/dns"
  }
  variables {
    vpc_id = "vpc-1"
    domain = "rewards.bank.example"
  }
  assert {
    condition     = aws_route53_zone.private.name == "internal.rewards.bank.example"
    error_message = "Names within are below internal."
  }
}

run "dns_of_an_address" {
  command = plan
  module {
    source = "./modules/dns"
  }
  variables {
    vpc_id = "vpc-1"
    domain = "https://rewards.bank.example"
  }
  expect_failures = [var.domain]
}

run "gateway" {
  module {
    source = "./modules/gateway"
  }
  variables {
    name             = "angelowl-test"
    region           = "ap-southeast-1"
    account          = "000000000000"
    openapi          = "api/openapi.yaml"
    host             = "api.bank.example"
    portal_origin    = "https://portal.bank.example"
    balancer_arn     = "arn:aws:elasticloadbalancing:ap-southeast-1:000000000000:loadbalancer/net/mock/0"
    certificate_arn  = "arn:aws:acm:ap-southeast-1:000000000000:certificate/mock"
    zone_id          = "Z1"
    logs_key_arn     = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
    log_days         = 30
    firewall         = true
    portal_addresses = ["203.0.113.4", "203.0.113.5"]
    functions = {
      authorizer     = { name = "a", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:a" }
      publish-single = { name = "p", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:p" }
      uploads        = { name = "u", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:u" }
    }
    services = { profiler = "profiler.internal:8443", campaignex = "campaignex.internal:8444", informer = "informer.internal:8445", rewarder = "rewarder.internal:8446" }
  }
  assert {
    condition     = !strcontains(output.body, "http://profiler.internal") && strcontains(output.body, "https://profiler.internal:8443/auth/login")
    error_message = "The way to the services is encrypted."
  }
  assert {
    condition     = output.throttles["publish/POST"].rate == 500
    error_message = "An operation's own rate becomes a setting."
  }
  assert {
    condition     = aws_wafv2_ip_set.portal[0].addresses == toset(["203.0.113.4/32", "203.0.113.5/32"])
    error_message = "The portal, which asks for all of its people, is not counted as one."
  }
  assert {
    condition     = aws_wafv2_web_acl.this[0].visibility_config[0].sampled_requests_enabled == false
    error_message = "The firewall keeps no samples of requests."
  }
  assert {
    condition     = aws_api_gateway_rest_api.this.disable_execute_api_endpoint
    error_message = "The API has one name, behind the firewall."
  }
}

run "gateway_for_all" {
  command = plan
  module {
    source = "./modules/gateway"
  }
  variables {
    name             = "angelowl-test"
    region           = "ap-southeast-1"
    account          = "000000000000"
    openapi          = "api/openapi.yaml"
    host             = "api.bank.example"
    portal_origin    = "*"
    balancer_arn     = "arn:aws:elasticloadbalancing:ap-southeast-1:000000000000:loadbalancer/net/mock/0"
    certificate_arn  = "arn:aws:acm:ap-southeast-1:000000000000:certificate/mock"
    zone_id          = "Z1"
    logs_key_arn     = "arn:aws:kms:ap-southeast-1:000000000000:key/logs"
    log_days         = 30
    firewall         = true
    portal_addresses = ["203.0.113.4", "203.0.113.5"]
    functions = {
      authorizer     = { name = "a", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:a" }
      publish-single = { name = "p", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:p" }
      uploads        = { name = "u", alias = "live", arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:u" }
    }
    services = { profiler = "profiler.internal:8443", campaignex = "campaignex.internal:8444", informer = "informer.internal:8445", rewarder = "rewarder.internal:8446" }
  }
  expect_failures = [var.portal_origin]
}

run "lambda" {
  module {
    source = "./modules/lambda"
  }
  variables {
    name         = "angelowl-test"
    function     = "ingestor"
    region       = "ap-southeast-1"
    account      = "000000000000"
    architecture = "arm64"
    image        = "000000000000.dkr.ecr.ap-southeast-1.amazonaws.com/angelowl-test/ingestor:first"
    network      = { vpc_id = "vpc-1", cidr = "10.40.0.0/16", subnets = ["subnet-a"], s3_prefix_list_id = "pl-1" }
    keys         = { logs = "arn:aws:kms:ap-southeast-1:000000000000:key/logs", secrets = "arn:aws:kms:ap-southeast-1:000000000000:key/secrets", store = "arn:aws:kms:ap-southeast-1:000000000000:key/store", queues = "arn:aws:kms:ap-southeast-1:000000000000:key/queues" }
    log_days     = 30
    memory       = 512
    timeout      = 900
    concurrency  = 5
    settings     = { TOPIC = "transaction" }
    secrets      = { BROKER_PASSWORD = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:kafka:password::" }
    egress       = [9096]
    s3           = true
    asynchronous = { retries = 2, age = 21600 }
  }
  assert {
    condition     = aws_lambda_function.this.environment[0].variables["BROKER_PASSWORD_ARN"] == "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:kafka:password::" && !contains(keys(aws_lambda_function.this.environment[0].variables), "BROKER_PASSWORD")
    error_message = "A secret's name is set, never the secret."
  }
  assert {
    condition     = aws_lambda_function_event_invoke_config.this[0].destination_config[0].on_failure[0].destination == aws_sqs_queue.failed[0].arn
    error_message = "What fails for good is kept."
  }
  assert {
    condition     = contains([for s in jsondecode(aws_iam_role_policy.base.policy).Statement : s.Resource if s.Sid == "OwnSecrets"][0], "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:kafka")
    error_message = "The right is to the secret itself."
  }
}

run "schedules" {
  command = plan
  module {
    source = "./modules/schedules"
  }
  variables {
    name      = "angelowl-test"
    account   = "000000000000"
    timezone  = "Asia/Singapore"
    schedules = { sweep = { what = "files", expression = "rate(1 minutes)", function_arn = "arn:aws:lambda:ap-southeast-1:000000000000:function:i", input = "{}" } }
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == ["arn:aws:lambda:ap-southeast-1:000000000000:function:i"]
    error_message = "The schedule starts what it is for."
  }
}

run "portal" {
  command = plan
  module {
    source = "./modules/portal"
  }
  variables {
    name                   = "angelowl-test"
    vpc_id                 = "vpc-1"
    subnets                = ["subnet-a", "subnet-b"]
    cluster_security_group = "sg-1"
    certificate_arn        = "arn:aws:acm:ap-southeast-1:000000000000:certificate/mock"
    zone_id                = "Z1"
    firewall               = true
    firewall_arn           = "arn:aws:wafv2:ap-southeast-1:000000000000:regional/webacl/mock/0"
    host                   = "portal.bank.example"
    protect                = true
  }
  assert {
    condition     = aws_lb_listener.this.protocol == "HTTPS" && aws_lb.this.drop_invalid_header_fields
    error_message = "The portal is had by TLS alone."
  }
  assert {
    condition     = aws_lb_target_group.this.protocol == "HTTPS" && aws_lb_target_group.this.health_check[0].protocol == "HTTPS"
    error_message = "The portal's pods are spoken to by TLS, and asked how they are, too."
  }
  assert {
    condition     = aws_lb_target_group.this.stickiness[0].enabled
    error_message = "A browser stays with one portal, or its session ends."
  }
}

run "mail" {
  command = plan
  module {
    source = "./modules/mail"
  }
  variables {
    name    = "angelowl-test"
    region  = "ap-southeast-1"
    zone_id = "Z1"
    domain  = "bank.example"
  }
  assert {
    condition     = length(aws_route53_record.dkim) == 3 && aws_sesv2_configuration_set.this.delivery_options[0].tls_policy == "REQUIRE"
    error_message = "Mail is signed, and goes out by TLS alone."
  }
}

run "roles" {
  command = plan
  module {
    source = "./modules/roles"
  }
  variables {
    name        = "angelowl-test"
    region      = "ap-southeast-1"
    issuer      = "oidc.example/id/1"
    issuer_arn  = "arn:aws:iam::000000000000:oidc-provider/mock"
    secret_keys = ["arn:aws:kms:ap-southeast-1:000000000000:key/secrets"]
    services    = { informer = { namespace = "angelowl", account = "informer", secrets = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:c"], statements = [] }, idle = { namespace = "angelowl", account = "idle", secrets = [], statements = [] } }
  }
  assert {
    condition     = jsondecode(aws_iam_role.this["informer"].assume_role_policy).Statement[0].Condition.StringEquals["oidc.example/id/1:sub"] == "system:serviceaccount:angelowl:informer"
    error_message = "A role is one service account's."
  }
  assert {
    condition     = length(aws_iam_role_policy.this) == 1
    error_message = "Who needs nothing may do nothing."
  }
}

run "delivery" {
  command = plan
  module {
    source = "./modules/delivery"
  }
  variables {
    name            = "angelowl-test"
    environment     = "production"
    namespace       = "angelowl"
    repository      = "example-bank/angelowl"
    provider_arn    = "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com"
    repository_arns = ["arn:aws:ecr:ap-southeast-1:000000000000:repository/r"]
    function_arns   = ["arn:aws:lambda:ap-southeast-1:000000000000:function:f"]
    cluster_name    = "c"
    cluster_arn     = "arn:aws:eks:ap-southeast-1:000000000000:cluster/c"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:example-bank/angelowl:environment:production"
    error_message = "One repository, one environment."
  }
  assert {
    condition     = aws_eks_access_entry.this.kubernetes_groups == toset(["angelowl:delivery"])
    error_message = "Helm deals with kinds that AWS' policy does not know."
  }
}

run "delivery_for_all" {
  command = plan
  module {
    source = "./modules/delivery"
  }
  variables {
    name            = "angelowl-test"
    environment     = "production"
    namespace       = "angelowl"
    repository      = "example-bank/*"
    provider_arn    = ""
    repository_arns = []
    function_arns   = []
    cluster_name    = "c"
    cluster_arn     = "arn:aws:eks:ap-southeast-1:000000000000:cluster/c"
  }
  expect_failures = [var.repository]
}

run "operator" {
  command = plan
  module {
    source = "./modules/operator"
  }
  variables {
    name              = "angelowl-test"
    region            = "ap-southeast-1"
    vpc_id            = "vpc-1"
    vpc_cidr          = "10.40.0.0/16"
    subnet            = "subnet-a"
    s3_prefix_list_id = "pl-1"
    disks_key_arn     = "arn:aws:kms:ap-southeast-1:000000000000:key/disks"
    files_key_arn     = "arn:aws:kms:ap-southeast-1:000000000000:key/files"
    programs_arn      = "arn:aws:s3:::programs"
    kafka_arn         = "arn:aws:kafka:ap-southeast-1:000000000000:cluster/k/0"
    secret_arns       = ["arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:s"]
    secret_keys       = ["arn:aws:kms:ap-southeast-1:000000000000:key/secrets"]
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.vpc) == 5 && aws_instance.this.metadata_options[0].http_tokens == "required"
    error_message = "The operator's machine reaches the stores and nothing else."
  }
}

run "alarms" {
  module {
    source = "./modules/alarms"
  }
  variables {
    name          = "angelowl-test"
    account       = "000000000000"
    key_arn       = "arn:aws:kms:ap-southeast-1:000000000000:key/queues"
    emails        = ["oncall@bank.example"]
    functions     = ["angelowl-test-ingestor"]
    failed_queues = ["angelowl-test-ingestor-failed"]
    api           = { name = "angelowl-test", stage = "v1" }
    postgres      = "angelowl-test"
    kafka         = "angelowl-test"
    brokers       = 3
    machines      = { cassandra-0 = "i-1" }
  }
  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.this : startswith(a.alarm_name, "angelowl-test-") && length(a.alarm_actions) == 1])
    error_message = "Every alarm has its environment's name, and tells somebody."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["angelowl-test-ingestor-failed"].threshold == 0
    error_message = "One event that failed for good is an alarm."
  }
}

run "budget" {
  command = plan
  module {
    source = "./modules/budget"
  }
  variables {
    name      = "angelowl-test"
    dollars   = 100
    topic_arn = "arn:aws:sns:ap-southeast-1:000000000000:t"
  }
  assert {
    condition     = contains([for f in aws_budgets_budget.this.cost_filter : f.values[0]], "user:System$angelowl-test")
    error_message = "The budget is of this environment."
  }
}

run "bootstrap" {
  command = plan
  module {
    source = "./bootstrap"
  }
  variables {
    region = "ap-southeast-1"
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.state.block_public_policy && aws_s3_bucket_public_access_block.state.restrict_public_buckets && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "Terraform's state is private, and older ones can be had back."
  }
}
