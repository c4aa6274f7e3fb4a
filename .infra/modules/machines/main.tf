# Machines of one kind, as many in each of three zones, each with an address and a data disk that outlive it: a machine
# that is replaced comes back as the member that it was. Cassandra and etcd stand on them.

data "aws_partition" "this" {}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64"
}

locals {
  # Node 0, 1 and 2 are one of each zone, and so are 3, 4 and 5.
  members = { for i, address in var.addresses : tostring(i) => {
    subnet  = var.subnets[i % 3]
    zone    = var.zones[i % 3]
    address = address
  } }
  region = split(":", var.disks_key_arn)[3]
}

resource "aws_security_group" "this" {
  name        = "${var.name}-${var.role}"
  description = var.role
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${var.role}" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each                     = var.clients
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = each.value
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = var.client_port
  to_port                      = var.client_port
}

resource "aws_vpc_security_group_ingress_rule" "members" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = aws_security_group.this.id
  description                  = "one another, TLS"
  ip_protocol                  = "tcp"
  from_port                    = var.member_port
  to_port                      = var.member_port
}

resource "aws_vpc_security_group_egress_rule" "members" {
  security_group_id            = aws_security_group.this.id
  referenced_security_group_id = aws_security_group.this.id
  description                  = "one another, TLS"
  ip_protocol                  = "tcp"
  from_port                    = var.member_port
  to_port                      = var.member_port
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.this.id
  description       = "AWS's own interfaces"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.this.id
  description       = "programs and packages, from S3"
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# A role for each machine, so that one cannot read the other's key.
resource "aws_iam_role" "this" {
  for_each = local.members
  name     = "${var.name}-${var.role}-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "shell" {
  for_each = local.members
  role     = aws_iam_role.this[each.key].name
  # Session Manager in place of SSH: no port, no keys, and every session is on record.
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "this" {
  for_each = local.members
  name     = "own-secrets-and-programs"
  role     = aws_iam_role.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "OwnSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [var.certificates[tonumber(each.key)], var.authority]
      },
      {
        Sid      = "OpenThem"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.secrets_key_arn, var.files_key_arn]
      },
      {
        Sid      = "Programs"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${var.programs_arn}/*"]
      },
    ]
  })
}

resource "aws_iam_instance_profile" "this" {
  for_each = local.members
  name     = "${var.name}-${var.role}-${each.key}"
  role     = aws_iam_role.this[each.key].name
}

resource "aws_network_interface" "this" {
  for_each        = local.members
  subnet_id       = each.value.subnet
  private_ips     = [each.value.address]
  security_groups = [aws_security_group.this.id]
  tags            = { Name = "${var.name}-${var.role}-${each.key}" }
}

resource "aws_ebs_volume" "data" {
  for_each          = local.members
  availability_zone = each.value.zone
  type              = "gp3"
  size              = var.disk_gib
  iops              = var.disk_iops
  throughput        = var.disk_throughput
  encrypted         = true
  kms_key_id        = var.disks_key_arn
  tags              = { Name = "${var.name}-${var.role}-${each.key}", Backup = "${var.name}-${var.role}" }
}

resource "aws_instance" "this" {
  for_each                    = local.members
  ami                         = data.aws_ssm_parameter.image.value
  instance_type               = var.instance_type
  iam_instance_profile        = aws_iam_instance_profile.this[each.key].name
  user_data_base64            = base64gzip(var.setup[tonumber(each.key)])
  user_data_replace_on_change = true
  disable_api_termination     = var.protect
  network_interface {
    network_interface_id = aws_network_interface.this[each.key].id
    device_index         = 0
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  root_block_device {
    volume_type = "gp3"
    volume_size = 16
    encrypted   = true
    kms_key_id  = var.disks_key_arn
  }
  tags = { Name = "${var.name}-${var.role}-${each.key}" }
  # Newer images come with a deliberate replacement, one machine after another: docs/deploy.md.
  lifecycle { ignore_changes = [ami] }
}

resource "aws_volume_attachment" "data" {
  for_each    = local.members
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data[each.key].id
  instance_id = aws_instance.this[each.key].id
}

# Copies of the data disks: a disk as it was at one moment is what a machine finds after a power cut, and both
# engines start from that.
resource "aws_iam_role" "snapshots" {
  name = "${var.name}-${var.role}-snapshots"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "dlm.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "snapshots" {
  name = "snapshots"
  role = aws_iam_role.snapshots.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "FindDisks"
        Effect   = "Allow"
        Action   = ["ec2:DescribeVolumes", "ec2:DescribeSnapshots", "ec2:DescribeInstances"]
        Resource = "*"
      },
      {
        Sid      = "CopyDisks"
        Effect   = "Allow"
        Action   = ["ec2:CreateSnapshot"]
        Resource = concat([for v in aws_ebs_volume.data : v.arn], ["arn:${data.aws_partition.this.partition}:ec2:${local.region}::snapshot/*"])
      },
      {
        Sid       = "ForgetOldCopies"
        Effect    = "Allow"
        Action    = ["ec2:DeleteSnapshot"]
        Resource  = "arn:${data.aws_partition.this.partition}:ec2:${local.region}::snapshot/*"
        Condition = { StringEquals = { "aws:ResourceTag/Backup" = "${var.name}-${var.role}" } }
      },
      {
        Sid       = "NameCopies"
        Effect    = "Allow"
        Action    = ["ec2:CreateTags"]
        Resource  = "arn:${data.aws_partition.this.partition}:ec2:${local.region}::snapshot/*"
        Condition = { StringEquals = { "ec2:CreateAction" = "CreateSnapshot" } }
      },
    ]
  })
}

resource "aws_dlm_lifecycle_policy" "this" {
  description        = "${var.name} ${var.role} data disks"
  execution_role_arn = aws_iam_role.snapshots.arn
  state              = "ENABLED"
  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = { Backup = "${var.name}-${var.role}" }
    schedule {
      name      = "copies"
      copy_tags = true
      create_rule {
        interval      = var.snapshots.hours
        interval_unit = "HOURS"
        times         = ["18:00"]
      }
      retain_rule { count = var.snapshots.keep }
    }
  }
}
