# An OpenTofu module as everywhere else, without a block `backend`: the service keeps the state.
# The service's own image holds the provider hashicorp/time; others come from their registry or from your mirror.

terraform {
  required_providers {
    time = {
      source = "hashicorp/time"
    }
  }
}

variable "environment" {
  type = string
}

variable "message" {
  type = string
}

# When the environment was made: it is in the state, so updates keep it.
resource "time_static" "made" {}

output "page" {
  description = "The text of the page"
  value       = "${var.message} (${var.environment}, since ${time_static.made.rfc3339})"
}

output "since" {
  value = time_static.made.rfc3339
}

output "replicas" {
  description = "How many instances the job runs: a number stays a number"
  value       = 1
}
