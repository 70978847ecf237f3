# PostgreSQL, for the jobs of this environment alone: it listens in the network of its group, over TLS.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type = string
}

variable "folder" {
  type        = string
  description = "Name of the folder with the database's files"
}

job "database" {
  type = "service"

  update {
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "3m"
    progress_deadline = "4m"
  }

  group "database" {
    # A server that is replaced has to end before the next one starts: both would work on the same files.
    count = 1

    network {
      mode = "bridge"

      port "sql" {
        to = 5432
      }
    }

    volume "data" {
      type   = "host"
      source = "builds"
    }

    consul {}

    # `alloc`: only groups of this environment, and programs on the node, reach it.
    service {
      name         = "${var.environment}--database"
      port         = "sql"
      address_mode = "alloc"

      check {
        type         = "tcp"
        address_mode = "alloc"
        interval     = "1s"
        timeout      = "1s"
      }
    }

    task "database" {
      driver = "docker"
      user   = "10001"

      # SIGINT lets PostgreSQL end its connections and write everything to disk: a stop loses nothing.
      kill_signal  = "SIGINT"
      kill_timeout = "30s"

      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["/usr/bin/sh", "-c"]
        args       = ["mkdir -p \"$DATABASE_FOLDER\" && exec postgres-start"]

        healthchecks {
          disable = true
        }
      }

      volume_mount {
        volume      = "data"
        destination = "${meta.calvinverse_builds}"
      }

      env {
        DATABASE_FOLDER           = "${meta.calvinverse_builds}/stack-${var.folder}"
        DATABASE_PASSWORD_FILE    = "${NOMAD_SECRETS_DIR}/password"
        DATABASE_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/database.pem"
        DATABASE_TLS_FOLDER       = "${NOMAD_SECRETS_DIR}/tls"

        # Without these two it serves its own loopback alone.
        DATABASE_LISTEN  = "0.0.0.0"
        DATABASE_CLIENTS = "samenet"
      }

      vault {}

      template {
        destination = "${NOMAD_SECRETS_DIR}/password"
        change_mode = "restart"
        data        = <<-EOT
          {{- with secret (printf "secret/data/environments/%s/secrets" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.database }}{{ end -}}
        EOT
      }

      # Certificate, chain and key. SIGHUP lets PostgreSQL read a renewed one, and connections go on.
      template {
        destination   = "${NOMAD_SECRETS_DIR}/database.pem"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-EOT
          {{- with pkiCert (printf "pki/issue/%s" (env "NOMAD_NAMESPACE")) (printf "common_name=%s--database.service.consul" (env "NOMAD_NAMESPACE")) }}
          {{ .Cert }}
          {{ .CA }}
          {{ .Key }}
          {{- end }}
        EOT
      }

      resources {
        cpu    = 100
        memory = 384
      }
    }
  }
}
