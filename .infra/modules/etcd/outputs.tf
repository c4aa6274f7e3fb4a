output "endpoints" { value = [for a in local.addresses : "https://${a}:2379"] }
output "security_group" { value = module.machines.security_group }
output "instances" { value = module.machines.instances }
# For the tests, which read what the machines will run.
output "setup" { value = local.setup }
