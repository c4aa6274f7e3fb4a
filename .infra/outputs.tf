output "services" {
  description = "by service: its role, the secrets that fill its variables, and its image's repository"
  value = { for s in local.services : s => {
    role_arn   = module.roles.arns[s]
    secrets    = local.service_secrets[s]
    repository = module.registry.urls[s]
  } }
}

output "lambdas" {
  description = "by lambda: its name, settings and secrets"
  value = { for f in local.lambdas : f => {
    function   = module.lambda[f].name
    settings   = local.lambda_settings[f]
    secrets    = local.lambda_secrets[f]
    repository = module.registry.urls[f]
  } }
}

output "chart_values" {
  description = "what .chart/environments/ENVIRONMENT.yaml says of what was made here"
  value       = yamlencode(local.chart_values)
}

output "chart_services" {
  description = "by service: the values that are its own, as YAML"
  value = { for s in concat(local.services, ["ui"]) : s => yamlencode(
    { image = { repository = "${local.name}/${s}" }, targetGroups = local.target_groups[s], serviceAccount = { roleArn = module.roles.arns[s] } },
  ) }
}

output "workflow_variables" {
  description = "variables of GitHub's environment, which the workflows read"
  value = {
    AWS_REGION    = var.region
    AWS_ROLE      = module.delivery.role_arn
    ECR_REGISTRY  = split("/", module.registry.urls["profiler"])[0]
    ECR_PREFIX    = local.name
    LAMBDA_PREFIX = "${local.name}-"
    EKS_CLUSTER   = module.cluster.name
    NAMESPACE     = var.namespace
    PORTAL_ORIGIN = local.portal_origin
  }
}

output "load_balancer_controller_role_arn" { value = module.roles.arns["load-balancer-controller"] }
output "cluster" { value = module.cluster.name }
output "operator" { value = module.operator.instance }
output "api_origin" { value = module.gateway.origin }
output "name_servers" { value = module.dns.name_servers }
output "buckets" { value = module.storage.names }

output "kafka" {
  value = { brokers = module.kafka.brokers, operator_brokers = module.kafka.operator_brokers }
}

output "cassandra" { value = module.cassandra.hosts }
output "etcd" { value = module.etcd.endpoints }

output "postgres" {
  value = { address = module.postgres.address, master_secret_arn = module.postgres.master_secret_arn }
}

output "secrets" {
  description = "the secrets by name, for bin/secrets and access/"
  value       = merge(module.secrets.arns, { for k, v in module.secrets.kafka_arns : "kafka/${k}" => v })
}
