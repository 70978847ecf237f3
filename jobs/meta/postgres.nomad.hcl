# The service's PostgreSQL: one instance, its files on a host volume, on loopback, over TLS. With SQLite it has no instance.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type        = string
  description = "Empty where there is no instance"
}

variable "instances" {
  type        = number
  description = "1 with PostgreSQL, 0 without: two can't share the files"
}

variable "port" {
  type    = number
  default = 8432
}

variable "host_network" {
  type        = string
  default     = "default"
  description = "Name of the client's network that its port is on: one with loopback"
}

variable "parts_ca" {
  type        = string
  description = "Certificate (PEM) of the authority that signs for the parts of this environment: a new one needs a new allocation, as clients accept no certificate of the old one"
}

variable "certificate_ttl" {
  type    = string
  default = "720h"
}

job "postgres" {
  type = "service"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "2m"
    progress_deadline = "3m"
  }

  group "postgres" {
    count = var.instances

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
      port "db" {
        static       = var.port
        host_network = var.host_network
      }
    }

    volume "data" {
      type   = "host"
      source = "calvinverse-postgres"
    }

    shutdown_delay = "0s"

    consul {}

    # A service without an instance would be waited for.
    dynamic "service" {
      for_each = var.instances > 0 ? ["postgres"] : []

      content {
        name         = "${var.environment}--postgres"
        port         = "db"
        address_mode = "host"

        check {
          type     = "tcp"
          interval = "1s"
          timeout  = "1s"
        }
      }
    }

    task "postgres" {
      driver = "docker"
      user   = "10001"

      # It ends its connections and writes everything down.
      kill_signal  = "SIGINT"
      kill_timeout = "30s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        init         = true

        # The image's own check is for those who run it without Consul.
        healthchecks {
          disable = true
        }
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/calvinverse"
      }

      env {
        DATABASE_PASSWORD_FILE    = "${NOMAD_SECRETS_DIR}/password"
        DATABASE_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/certificate.pem"
        DATABASE_TLS_FOLDER       = "${NOMAD_SECRETS_DIR}/tls"
        CERTIFICATE_NAME          = "postgres.calvinverse.internal"
        CERTIFICATE_TTL           = var.certificate_ttl
        PARTS_CA                  = var.parts_ca
      }

      vault {
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      # The server takes a new password when it starts.
      template {
        destination = "${NOMAD_SECRETS_DIR}/password"
        change_mode = "restart"
        data        = <<-EOT
          {{- with secret (printf "secret/data/environments/%s/database-password" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.password }}{{ end -}}
        EOT
      }

      # Certificate, chain and key. Connections go on while the server reads a renewed one.
      template {
        destination   = "${NOMAD_SECRETS_DIR}/certificate.pem"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          {{- with pkiCert (printf "pki-parts/issue/%s" (env "NOMAD_NAMESPACE")) (printf "common_name=%s" (env "CERTIFICATE_NAME")) (printf "ttl=%s" (env "CERTIFICATE_TTL")) }}
          {{ .Cert }}
          {{ .CA }}
          {{ .Key }}
          {{- end }}
        EOT
      }

      resources {
        cpu    = 200
        memory = 1024
      }
    }
  }
}
