output "services" {
  description = "by service: its role, settings, the secrets that fill the others, and its image's repository"
  value = { for s in local.services : s => {
    role_arn   = module.roles.arns[s]
    settings   = local.service_settings[s]
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

output "target_groups" {
  description = "by service and port, for TargetGroupBinding"
  value       = local.target_groups
}

output "load_balancer_controller_role_arn" { value = module.roles.arns["load-balancer-controller"] }
output "delivery_role_arn" { value = module.delivery.role_arn }
output "cluster" { value = module.cluster.name }
output "operator" { value = module.operator.instance }
output "api_origin" { value = module.gateway.origin }
output "name_servers" { value = module.dns.name_servers }
output "buckets" { value = module.storage.names }
output "portal_repository" { value = module.registry.urls["ui"] }

output "kafka" {
  value = { brokers = module.kafka.brokers, operator_brokers = module.kafka.operator_brokers }
}

output "cassandra" { value = module.cassandra.hosts }
output "etcd" { value = module.etcd.endpoints }

output "postgres" {
  value = { address = module.postgres.address, master_secret_arn = module.postgres.master_secret_arn }
}
