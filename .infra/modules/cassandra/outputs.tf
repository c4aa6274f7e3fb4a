output "hosts" { value = local.addresses }
output "security_group" { value = module.machines.security_group }
output "volumes" { value = module.machines.volumes }
output "instances" { value = module.machines.instances }
# For the tests, which read what the machines will run.
output "setup" { value = local.setup }
