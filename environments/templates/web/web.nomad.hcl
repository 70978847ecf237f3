# A job file for `nomad.job`. What a person chose reaches the job through Consul (the message) or through variables (which
# never stand inside `template.data`); secret and certificate come from OpenBao, with the job's own workload identity.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type        = string
  description = "By its id or digest: what stands behind a tag could change"
}

variable "replicas" {
  type    = number
  default = 1
}

variable "branch" {
  type    = string
  default = "main"
}

job "web" {
  type = "service"

  update {
    max_parallel      = 5
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "50s"
    progress_deadline = "1m"
  }

  group "web" {
    count = var.replicas

    # An instance that fails is started again here, then elsewhere, as long as the environment lives.
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

    # A network of its own: the node forwards one of its ports to this one.
    network {
      mode = "bridge"

      port "https" {
        to = 8443
      }
    }

    shutdown_delay = "0s"

    consul {}

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

        # The image's own check is for those who run it without Consul.
        healthchecks {
          disable = true
        }
      }

      env {
        WEB_ADDRESS          = "0.0.0.0"
        WEB_PORT             = "${NOMAD_PORT_https}"
        WEB_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/web.pem"
        WEB_KEY_FILE         = "${NOMAD_SECRETS_DIR}/web.pem"
        WEB_MESSAGE_FILE     = "${NOMAD_TASK_DIR}/message"
        WEB_SECRET_FILE      = "${NOMAD_SECRETS_DIR}/password"
        WEB_ENVIRONMENT      = var.environment
        WEB_BRANCH           = var.branch
      }

      vault {}
      consul {}

      # The service reads these files anew by itself, so nothing has to be restarted when one changes.
      template {
        destination = "${NOMAD_TASK_DIR}/message"
        change_mode = "noop"
        data        = "{{ keyOrDefault (printf \"environments/%s/message\" (env \"NOMAD_NAMESPACE\")) \"\" }}"

        # Nomad's own default waits 5 s for further changes.
        wait {
          min = "50ms"
          max = "1s"
        }
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/password"
        change_mode = "noop"
        data        = <<-EOT
          {{- with secret (printf "secret/data/environments/%s/password" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.password }}{{ end -}}
        EOT
      }

      # Certificate, chain and key in one file. Nomad renews them long before they end.
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
  }
}
