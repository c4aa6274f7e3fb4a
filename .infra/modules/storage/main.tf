# Buckets for files of spend, files of users, and reports, and one for the programs of Cassandra's and etcd's machines.
# What the bank uploads is encrypted and gone after a week; the lambdas are told of each object, and their schedule
# finds what was not told.

locals {
  buckets = {
    spend   = { days = 7, uploads = true }
    users   = { days = 7, uploads = true }
    reports = { days = var.report_days, uploads = false }
    # Nothing but what a person puts there; nobody's data.
    programs = { days = 0, uploads = false }
  }
}

resource "aws_s3_bucket" "this" {
  for_each = local.buckets
  # S3's names are all banks' together, so a suffix that AWS makes follows.
  bucket_prefix = "${var.name}-${each.key}-"
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule { object_ownership = "BucketOwnerEnforced" }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = local.buckets
  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

# An uploaded file has card numbers in it: its seven days are seven days, so there are no older versions to keep.
resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  versioning_configuration { status = each.value.uploads ? "Suspended" : "Enabled" }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    dynamic "expiration" {
      for_each = each.value.days > 0 ? [each.value.days] : []
      content { days = expiration.value }
    }
    noncurrent_version_expiration { noncurrent_days = 7 }
    abort_incomplete_multipart_upload { days_after_initiation = 1 }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TLSOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "NoOldTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      {
        Sid       = "NoOtherEncryption"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.this[each.key].arn}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
      },
    ]
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}

# The portal's pages PUT files to presigned URLs, and read reports from them.
resource "aws_s3_bucket_cors_configuration" "this" {
  for_each = { for k, b in local.buckets : k => b if k != "programs" }
  bucket   = aws_s3_bucket.this[each.key].id
  cors_rule {
    allowed_origins = [var.portal_origin]
    allowed_methods = each.value.uploads ? ["PUT"] : ["GET"]
    allowed_headers = ["content-type", "content-length", "content-md5", "x-amz-*"]
    expose_headers  = ["ETag"]
    max_age_seconds = 600
  }
}

resource "aws_lambda_permission" "s3" {
  for_each       = var.readers
  statement_id   = "bucket-${each.key}"
  action         = "lambda:InvokeFunction"
  function_name  = each.value.function
  qualifier      = each.value.alias
  principal      = "s3.amazonaws.com"
  source_account = var.account
  source_arn     = aws_s3_bucket.this[each.key].arn
}

resource "aws_s3_bucket_notification" "this" {
  for_each = var.readers
  bucket   = aws_s3_bucket.this[each.key].id
  lambda_function {
    lambda_function_arn = each.value.arn
    events              = ["s3:ObjectCreated:*"]
  }
  depends_on = [aws_lambda_permission.s3]
}
