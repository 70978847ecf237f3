# The web service, and a task beside it that reads the greeting through the cache from the database.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type = string
}

variable "reader" {
  type        = string
  description = "An image with psql and Python"
}

job "web" {
  type = "service"

  update {
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "2m"
    progress_deadline = "3m"
  }

  group "web" {
    network {
      mode = "bridge"

      port "https" {
        to = 8443
      }
    }

    consul {}

    # `host`: the edge and people on the node reach it.
    service {
      name         = "${var.environment}--web"
      port         = "https"
      address_mode = "host"
      tags         = ["https"]

      meta {
        scheme = "https"
      }

      check {
        type            = "http"
        protocol        = "https"
        path            = "/health"
        interval        = "1s"
        timeout         = "1s"
        tls_server_name = "${var.environment}--web.service.consul"
      }
    }

    task "web" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        init       = true

        healthchecks {
          disable = true
        }
      }

      env {
        WEB_ADDRESS          = "0.0.0.0"
        WEB_PORT             = "${NOMAD_PORT_https}"
        WEB_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/web.pem"
        WEB_KEY_FILE         = "${NOMAD_SECRETS_DIR}/web.pem"
        WEB_MESSAGE_FILE     = "${NOMAD_ALLOC_DIR}/data/greeting"
        WEB_SECRET_FILE      = "${NOMAD_SECRETS_DIR}/proof"
        WEB_ENVIRONMENT      = var.environment
      }

      vault {}

      template {
        destination = "${NOMAD_SECRETS_DIR}/proof"
        change_mode = "noop"
        data        = <<-EOT
          {{- with secret (printf "secret/data/environments/%s/secrets" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.proof }}{{ end -}}
        EOT
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/web.pem"
        change_mode = "noop"
        data        = <<-EOT
          {{- with pkiCert (printf "pki/issue/%s" (env "NOMAD_NAMESPACE")) (printf "common_name=%s--web.service.consul" (env "NOMAD_NAMESPACE")) "alt_names=localhost" (printf "ip_sans=%s" (env "NOMAD_IP_https")) }}
          {{ .Cert }}
          {{ .CA }}
          {{ .Key }}
          {{- end }}
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }

    # Tasks of a group share a folder: this one writes the greeting there, the other one shows it.
    task "reader" {
      driver       = "docker"
      user         = "10001"
      kill_timeout = "2s"

      config {
        image      = var.reader
        force_pull = false
        init       = true
        entrypoint = ["python3"]
        args       = ["${NOMAD_TASK_DIR}/reader.py"]

        healthchecks {
          disable = true
        }
      }

      env {
        CACHE         = "http://${NOMAD_NAMESPACE}--cache.service.consul:7000/greeting"
        PGHOST        = "${NOMAD_NAMESPACE}--database.service.consul"
        PGPORT        = "5432"
        PGDATABASE    = "calvinverse"
        PGUSER        = "calvinverse"
        PGPASSFILE    = "${NOMAD_SECRETS_DIR}/pgpass"
        PGSSLMODE     = "verify-full"
        PGSSLROOTCERT = "${NOMAD_SECRETS_DIR}/authority.pem"
      }

      vault {}

      template {
        destination = "${NOMAD_SECRETS_DIR}/pgpass"
        perms       = "0600"
        uid         = 10001
        gid         = 10001
        change_mode = "restart"
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
        destination = "${NOMAD_TASK_DIR}/reader.py"
        change_mode = "restart"
        data        = <<-EOT
          import os
          import subprocess
          import time
          import urllib.request

          SQL = "SELECT text || ' (seeded ' || (SELECT count(*) FROM seeds) || ' times)' FROM greetings WHERE id = 1"
          cache, file = os.environ["CACHE"], os.environ["NOMAD_ALLOC_DIR"] + "/data/greeting"
          without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler(dict()))

          def greeting():
              try:
                  return without_proxy.open(cache, timeout=2).read()
              except OSError:
                  pass  # it isn't in the cache, or there is no cache
              found = subprocess.run(["psql", "-XAtc", SQL], capture_output=True, check=True, timeout=10).stdout
              try:
                  without_proxy.open(urllib.request.Request(cache, found, method="PUT"), timeout=2)
              except OSError:
                  pass
              return found

          while True:
              try:
                  text = greeting()
                  with open(file + ".new", "wb") as new:
                      new.write(text)
                  os.replace(file + ".new", file)
              except (OSError, subprocess.SubprocessError) as error:
                  print("the greeting can't be read:", error, flush=True)
              time.sleep(1)
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
