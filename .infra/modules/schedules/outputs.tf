output "names" { value = sort(keys(aws_scheduler_schedule.this)) }
