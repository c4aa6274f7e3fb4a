# Kafka on Amazon MSK: three zones, TLS alone, a user for each program by SASL/SCRAM. ACLs (access/kafka.sh) say
# what a user may do; the operator's role signs in by IAM to write them.

resource "aws_security_group" "this" {
  name        = "${var.name}-kafka"
  description = "Kafka's brokers"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-kafka" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each                     = var.clients
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value
  description                  = "${each.key}, SASL/SCRAM over TLS"
  ip_protocol                  = "tcp"
  from_port                    = 9096
  to_port                      = 9096
}

resource "aws_vpc_security_group_ingress_rule" "operator" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = var.operator
  description                  = "the operator, IAM over TLS"
  ip_protocol                  = "tcp"
  from_port                    = 9098
  to_port                      = 9098
}

resource "aws_msk_configuration" "this" {
  name           = var.name
  kafka_versions = [var.kafka]
  # Acknowledged means on two brokers at least; what an unknown user asks for is refused. A transaction stays 90
  # days, a dead letter for good: that is said by topic (access/kafka.sh).
  server_properties = <<-EOT
    auto.create.topics.enable=false
    default.replication.factor=3
    min.insync.replicas=2
    unclean.leader.election.enable=false
    allow.everyone.if.no.acl.found=false
    offsets.retention.minutes=144000
    group.max.session.timeout.ms=300000
  EOT
  lifecycle { create_before_destroy = true }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/angelowl/${var.name}/kafka"
  retention_in_days = var.log_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_msk_cluster" "this" {
  cluster_name           = var.name
  kafka_version          = var.kafka
  number_of_broker_nodes = var.brokers
  enhanced_monitoring    = "PER_TOPIC_PER_PARTITION"
  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.subnets
    security_groups = [aws_security_group.this.id]
    storage_info {
      ebs_storage_info { volume_size = var.disk_gib }
    }
    connectivity_info {
      public_access { type = "DISABLED" }
    }
  }
  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }
  encryption_info {
    encryption_at_rest_kms_key_arn = var.key_arn
    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }
  client_authentication {
    unauthenticated = false
    sasl {
      scram = true
      iam   = true
    }
  }
  open_monitoring {
    prometheus {
      jmx_exporter { enabled_in_broker = true }
      node_exporter { enabled_in_broker = true }
    }
  }
  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this.name
      }
    }
  }
  lifecycle {
    prevent_destroy = false
    ignore_changes  = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]
  }
}

resource "aws_msk_scram_secret_association" "this" {
  cluster_arn     = aws_msk_cluster.this.arn
  secret_arn_list = var.users
}

# Disks grow by themselves before they are full; they never shrink.
resource "aws_appautoscaling_target" "disk" {
  service_namespace  = "kafka"
  resource_id        = aws_msk_cluster.this.arn
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  min_capacity       = 1
  max_capacity       = var.disk_max_gib
}

resource "aws_appautoscaling_policy" "disk" {
  name               = "${var.name}-kafka-disk"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.disk.service_namespace
  resource_id        = aws_appautoscaling_target.disk.resource_id
  scalable_dimension = aws_appautoscaling_target.disk.scalable_dimension
  target_tracking_scaling_policy_configuration {
    disable_scale_in = true
    target_value     = 60
    predefined_metric_specification { predefined_metric_type = "KafkaBrokerStorageUtilization" }
  }
}
