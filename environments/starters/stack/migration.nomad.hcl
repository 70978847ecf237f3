# Makes the tables of the database, once. A migration that changes later runs again: write it so that it may.

variable "image" {
  type = string
}

job "migration" {
  type = "batch"

  group "migration" {
    # The database may still refuse connections for a moment. What fails three times fails the deployment.
    restart {
      attempts = 3
      interval = "5m"
      delay    = "3s"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    network {
      mode = "bridge"
    }

    consul {}

    task "migration" {
      driver = "docker"
      user   = "10001"

      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["psql"]
        args       = ["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file=${NOMAD_TASK_DIR}/migration.sql"]

        healthchecks {
          disable = true
        }
      }

      # psql reads these. The server has to prove its name with a certificate of OpenBao's authority.
      env {
        PGHOST        = "${NOMAD_NAMESPACE}--database.service.consul"
        PGPORT        = "5432"
        PGDATABASE    = "calvinverse"
        PGUSER        = "calvinverse"
        PGPASSFILE    = "${NOMAD_SECRETS_DIR}/pgpass"
        PGSSLMODE     = "verify-full"
        PGSSLROOTCERT = "${NOMAD_SECRETS_DIR}/authority.pem"
      }

      vault {}

      # psql ignores a file with a password that others can read.
      template {
        destination = "${NOMAD_SECRETS_DIR}/pgpass"
        perms       = "0600"
        uid         = 10001
        gid         = 10001
        change_mode = "noop"
        data        = <<-EOT
          {{- with secret (printf "secret/data/environments/%s/secrets" (env "NOMAD_NAMESPACE")) }}*:*:*:*:{{ .Data.data.database }}{{ end -}}
        EOT
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/authority.pem"
        change_mode = "noop"
        data        = <<-EOT
          {{- with pkiCert (printf "pki/issue/%s" (env "NOMAD_NAMESPACE")) (printf "common_name=%s--database.service.consul" (env "NOMAD_NAMESPACE")) }}{{ .CA }}{{ end -}}
        EOT
      }

      template {
        destination = "${NOMAD_TASK_DIR}/migration.sql"
        change_mode = "noop"
        data        = <<-EOT
          CREATE TABLE IF NOT EXISTS greetings (id integer PRIMARY KEY, text text NOT NULL);
          CREATE TABLE IF NOT EXISTS seeds (at timestamptz NOT NULL DEFAULT now());
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
