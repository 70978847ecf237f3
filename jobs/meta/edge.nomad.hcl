# The edge: Caddy at the one address that other machines reach, in front of the service. Its certificate comes from
# OpenBao with the job's own identity; Nomad renews it, and then tells the edge to read it again.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type = string
}

variable "host" {
  type        = string
  default     = "127.0.0.1"
  description = "IP address to listen on; an IPv6 one in brackets"
}

variable "port" {
  type    = number
  default = 8443
}

variable "address" {
  type        = string
  default     = "calvinverse.localhost"
  description = "The one host name that it answers for"
}

variable "service_port" {
  type        = number
  default     = 8400
  description = "Port of the service, on loopback"
}

variable "certificate_ttl" {
  type    = string
  default = "24h"
}

job "edge" {
  type = "service"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "90s"
    progress_deadline = "3m"
  }

  group "edge" {
    count = 1

    restart {
      attempts = 5
      interval = "1m"
      delay    = "2s"
      mode     = "delay"
    }

    reschedule {
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "1m"
      unlimited      = true
    }

    network {
      port "https" {
        static = var.port
      }
    }

    shutdown_delay = "0s"

    consul {}

    service {
      name         = "${var.environment}--edge"
      port         = "https"
      address_mode = "host"
      tags         = ["https"]

      meta {
        scheme = "https"
      }

      # Through the edge to the service.
      check {
        type            = "http"
        protocol        = "https"
        path            = "/self/readiness"
        interval        = "2s"
        timeout         = "2s"
        tls_server_name = var.address

        header {
          Host = [var.address]
        }
      }
    }

    task "edge" {
      driver = "docker"
      user   = "10001"

      # It waits 8 s for requests in progress.
      kill_timeout = "15s"

      config {
        image           = var.image
        force_pull      = false
        network_mode    = "host"
        init            = true
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]

        # The image's own check is for those who run it without Consul.
        healthchecks {
          disable = true
        }
      }

      env {
        EDGE_LISTEN           = "${var.host}:${var.port}"
        EDGE_ADDRESS          = var.address
        CERTIFICATE_TTL       = var.certificate_ttl
        EDGE_UPSTREAM         = "127.0.0.1:${var.service_port}"
        EDGE_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/edge.pem"
        EDGE_SECRET_FILE      = "${NOMAD_SECRETS_DIR}/edge-secret"
        # In memory, like all of the folder, and in no other job's sight: the socket of Caddy's admin API is there.
        EDGE_FOLDER = "${NOMAD_SECRETS_DIR}/edge"
      }

      vault {
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      # Caddy reads it with each request.
      template {
        destination = "${NOMAD_SECRETS_DIR}/edge-secret"
        change_mode = "noop"
        data        = <<-EOT
          {{- with secret (printf "secret/data/environments/%s/edge-secret" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.secret }}{{ end -}}
        EOT
      }

      # Certificate, chain and key in one file.
      template {
        destination   = "${NOMAD_SECRETS_DIR}/edge.pem"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          {{- with pkiCert (printf "pki/issue/%s" (env "NOMAD_NAMESPACE")) (printf "common_name=%s" (env "EDGE_ADDRESS")) (printf "ttl=%s" (env "CERTIFICATE_TTL")) }}
          {{ .Cert }}
          {{ .CA }}
          {{ .Key }}
          {{- end }}
        EOT
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
