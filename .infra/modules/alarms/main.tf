# What AWS itself sees and nobody else does. What the services see, lag and the like, are Prometheus's alerts in the
# chart. Each alarm names its page in docs/runbooks or says what to look at.

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsAndBudgets"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
      },
      {
        Sid       = "TLSOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "mail" {
  for_each  = toset(var.emails)
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

locals {
  lambdas = merge([for f in var.functions : {
    "${f}-errors" = {
      namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", dimensions = { FunctionName = f }
      above     = 3, periods = 3, what = "the lambda fails; its log /aws/lambda/${f} says why"
    }
    "${f}-throttles" = {
      namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum", dimensions = { FunctionName = f }
      above     = 10, periods = 5, what = "more calls than the lambda's reserved concurrency; raise it, or look who calls"
    }
  }]...)
  queues = { for q in var.failed_queues : q => {
    namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", dimensions = { QueueName = q }
    above     = 0, periods = 1, what = "events that failed for good; sending the file again mends it: docs/runbooks/failed-events.md"
  } }
  gateway = {
    gateway-5xx = {
      namespace = "AWS/ApiGateway", metric = "5XXError", statistic = "Average", dimensions = { ApiName = var.api.name, Stage = var.api.stage }
      above     = 0.01, periods = 5, what = "more than 1 % of the answers are errors of ours"
    }
    gateway-slow = {
      namespace = "AWS/ApiGateway", metric = "Latency", statistic = "p99", dimensions = { ApiName = var.api.name, Stage = var.api.stage }
      above     = 2000, periods = 10, what = "the slowest hundredth of the answers takes more than 2 s"
    }
  }
  postgres = {
    postgres-disk = {
      namespace = "AWS/RDS", metric = "FreeStorageSpace", statistic = "Minimum", dimensions = { DBInstanceIdentifier = var.postgres }
      below     = 5368709120, periods = 5, what = "PostgreSQL has less than 5 GiB left"
    }
    postgres-cpu = {
      namespace = "AWS/RDS", metric = "CPUUtilization", statistic = "Average", dimensions = { DBInstanceIdentifier = var.postgres }
      above     = 85, periods = 15, what = "PostgreSQL has been busy for a quarter of an hour"
    }
  }
  kafka = merge({
    kafka-controllers = {
      namespace = "AWS/Kafka", metric = "ActiveControllerCount", statistic = "Average", dimensions = { "Cluster Name" = var.kafka }
      below     = 0.2, periods = 5, what = "Kafka has no controller"
    }
    kafka-offline = {
      namespace = "AWS/Kafka", metric = "OfflinePartitionsCount", statistic = "Maximum", dimensions = { "Cluster Name" = var.kafka }
      above     = 0, periods = 1, what = "partitions without a leader: nothing can be read or written there"
    }
    }, { for b in range(1, var.brokers + 1) : "kafka-disk-${b}" => {
      namespace = "AWS/Kafka", metric = "KafkaDataLogsDiskUsed", statistic = "Maximum", dimensions = { "Cluster Name" = var.kafka, "Broker ID" = tostring(b) }
      above     = 80, periods = 5, what = "the broker's disk is 80 % full: docs/runbooks/disk-full.md"
      } }, { for b in range(1, var.brokers + 1) : "kafka-replicas-${b}" => {
      namespace = "AWS/Kafka", metric = "UnderReplicatedPartitions", statistic = "Maximum", dimensions = { "Cluster Name" = var.kafka, "Broker ID" = tostring(b) }
      above     = 0, periods = 15, what = "partitions have a replica less than they should"
  } })
  machines = { for k, id in var.machines : "machine-${k}" => {
    namespace = "AWS/EC2", metric = "StatusCheckFailed", statistic = "Maximum", dimensions = { InstanceId = id }
    above     = 0, periods = 3, what = "a machine of Cassandra or etcd does not answer; two of three must stand"
  } }
  mail = {
    mail-bounces = {
      namespace = "AWS/SES", metric = "Reputation.BounceRate", statistic = "Maximum", dimensions = {}
      above     = 0.04, periods = 1, what = "SES stops an account at 10 % bounces and warns at 5 %"
    }
    mail-complaints = {
      namespace = "AWS/SES", metric = "Reputation.ComplaintRate", statistic = "Maximum", dimensions = {}
      above     = 0.0008, periods = 1, what = "SES warns at 0.1 % complaints"
    }
  }
  alarms = merge(local.lambdas, local.queues, local.gateway, local.postgres, local.kafka, local.machines, local.mail)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = startswith(each.key, var.name) ? each.key : "${var.name}-${each.key}"
  alarm_description   = each.value.what
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = can(each.value.above) ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = can(each.value.above) ? each.value.above : each.value.below
  period              = 60
  evaluation_periods  = each.value.periods
  # Silence is no alarm where nothing happens at night, and is one where something always does.
  treat_missing_data = contains(["AWS/Kafka", "AWS/RDS", "AWS/EC2"], each.value.namespace) ? "breaching" : "notBreaching"
  alarm_actions      = [aws_sns_topic.this.arn]
  ok_actions         = [aws_sns_topic.this.arn]
}
