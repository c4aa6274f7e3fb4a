output "brokers" { value = aws_msk_cluster.this.bootstrap_brokers_sasl_scram }
output "operator_brokers" { value = aws_msk_cluster.this.bootstrap_brokers_sasl_iam }
output "arn" { value = aws_msk_cluster.this.arn }
output "cluster_name" { value = aws_msk_cluster.this.cluster_name }
