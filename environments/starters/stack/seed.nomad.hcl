# Fills the tables, once. What a person typed reaches it as a value, never as a part of the SQL.

variable "image" {
  type = string
}

variable "greeting" {
  type = string
}

job "seed" {
  type = "batch"

  group "seed" {
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

    task "seed" {
      driver = "docker"
      user   = "10001"

      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["psql"]
        args       = ["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file=${NOMAD_TASK_DIR}/seed.sql"]

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

        GREETING = var.greeting
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
        destination = "${NOMAD_TASK_DIR}/seed.sql"
        change_mode = "noop"
        data        = <<-EOT
          \getenv greeting GREETING
          INSERT INTO greetings VALUES (1, :'greeting') ON CONFLICT (id) DO UPDATE SET text = excluded.text;
          INSERT INTO seeds DEFAULT VALUES;
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
