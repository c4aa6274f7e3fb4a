# The whole system as production has it, on a made-up AWS. local/infra_test reads what this run makes and looks for
# what must not be; what concerns one module is in modules.tftest.hcl.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  checksums = {
    cassandra = "0000000000000000000000000000000000000000000000000000000000000000"
    etcd      = "0000000000000000000000000000000000000000000000000000000000000000"
  }
  domain       = "rewards.bank.example"
  mail_from    = "Example Bank <rewards@rewards.bank.example>"
  alarm_emails = ["oncall@bank.example"]
  repository   = "example-bank/angelowl"
}

run "production" {
  assert {
    condition     = output.api_origin == "https://api.rewards.bank.example"
    error_message = "The API is at api.DOMAIN."
  }
  assert {
    condition     = sort(keys(output.services)) == tolist(["campaignex", "informer", "profiler", "rewarder"])
    error_message = "The chart needs the settings of each service."
  }
}

run "names_that_are_none" {
  command = plan
  variables {
    environment = "Production!"
    log_days    = 7
  }
  expect_failures = [var.environment, var.log_days]
}
