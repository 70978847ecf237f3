# The registry of a build environment: on the node's own address, for loopback that is. Its images are gone with the
# environment.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type        = string
  description = "By its id or digest: what stands behind a tag could change"
}

variable "disk" {
  type    = number
  default = 2000
}

job "registry" {
  type = "service"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "50s"
    progress_deadline = "1m"
  }

  group "registry" {
    count = 1

    # A new version of the job, or another node, finds the images of the one before.
    ephemeral_disk {
      size    = var.disk
      sticky  = true
      migrate = true
    }

    restart {
      attempts = 3
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }

    reschedule {
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "1m"
      unlimited      = true
    }

    network {
      port "http" {}
    }

    shutdown_delay = "0s"

    consul {}

    service {
      name         = "${var.environment}--registry"
      port         = "http"
      address_mode = "host"
      tags         = ["http"]

      meta {
        scheme = "http"
      }

      check {
        type     = "http"
        path     = "/v2/"
        interval = "1s"
        timeout  = "1s"
      }
    }

    task "registry" {
      driver       = "docker"
      user         = "10001"
      kill_timeout = "5s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
      }

      env {
        REGISTRY_HTTP_ADDR                        = "${NOMAD_ADDR_http}"
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY = "${NOMAD_ALLOC_DIR}/data"
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
