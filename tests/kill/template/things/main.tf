# Objects whose ids are known beforehand, on a server that counts them, each made after a short while.

terraform {
  required_providers {
    restapi = {
      source = "Mastercard/restapi"
    }
    time = {
      source = "hashicorp/time"
    }
  }
}

variable "environment" {
  type = string
}

variable "server" {
  type = string
}

variable "objects" {
  type = number
}

variable "note" {
  type = string
}

provider "restapi" {
  uri                  = var.server
  write_returns_object = true
}

resource "time_sleep" "before" {
  create_duration  = "200ms"
  destroy_duration = "200ms"
}

resource "restapi_object" "thing" {
  count      = var.objects
  path       = "/objects"
  data       = jsonencode({ id = "${var.environment}-${count.index}", note = var.note })
  depends_on = [time_sleep.before]
}
