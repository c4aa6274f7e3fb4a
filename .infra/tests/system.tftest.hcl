mock_provider "aws" {
  source = "./tests/mocks"
}

run "staging" {
  variables {
  }
}
