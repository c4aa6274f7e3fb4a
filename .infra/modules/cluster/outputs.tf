output "name" { value = aws_eks_cluster.this.name }
output "arn" { value = aws_eks_cluster.this.arn }
output "security_group" { value = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id }
output "issuer_arn" { value = aws_iam_openid_connect_provider.this.arn }
output "issuer" { value = replace(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "") }
