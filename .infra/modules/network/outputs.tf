output "vpc_id" { value = aws_vpc.this.id }
output "cidr" { value = aws_vpc.this.cidr_block }
output "private_subnets" { value = [for z in local.zones : aws_subnet.this["private-${z}"].id] }
output "data_subnets" { value = [for z in local.zones : aws_subnet.this["data-${z}"].id] }
output "data_cidrs" { value = [for z in local.zones : local.subnets["data-${z}"].cidr] }
output "s3_prefix_list_id" { value = aws_vpc_endpoint.s3.prefix_list_id }
