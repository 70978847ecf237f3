# The edge: Caddy at the one address that other machines reach, in front of the service and the web page. Its certificate comes from
# OpenBao with the job's own identity, from the authority there or as a secret that deploy has put there: Nomad renders
# it again when it changes, and then tells the edge to read it again. Or the edge gets it by ACME itself.

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

variable "ui_port" {
  type        = number
  default     = 0
  description = "Port of the web page, on loopback; 0: there is none, and everything is the service's"
}

variable "entry_domain" {
  type        = string
  default     = ""
  description = "Domain below which it serves entry points of environments; empty: there are none"
}

variable "parts_ca" {
  type        = string
  default     = ""
  description = "Certificate (PEM) of the authority that signed the service's certificate; empty: the service has no TLS"
}

variable "certificate_ttl" {
  type    = string
  default = "24h"
}

variable "source" {
  type        = string
  default     = "authority"
  description = "Where the certificate comes from: authority, files or acme"
}

variable "acme_directory" {
  type    = string
  default = ""
}

variable "acme_email" {
  type    = string
  default = ""
}

variable "acme_ca" {
  type        = string
  default     = ""
  description = "Certificates (PEM) of the CA of the directory; empty: the well-known ones"
}

locals {
  acme = var.source == "acme"

  # Files of secrets. What Nomad fills in on the node is written with two dollar signs here.
  files = {
    authority = {
      # Certificate, chain and key in one file.
      "edge.pem" = <<-EOT
        {{- with pkiCert (printf "pki/issue/%s" (env "NOMAD_NAMESPACE")) (printf "common_name=%s" (env "EDGE_ADDRESS")) (printf "ttl=%s" (env "CERTIFICATE_TTL")) }}
        {{ .Cert }}
        {{ .CA }}
        {{ .Key }}
        {{- end }}
      EOT
    }
    files = {
      "edge.pem" = <<-EOT
        {{- with secret (printf "secret/data/environments/%s/edge-certificate" (env "NOMAD_NAMESPACE")) }}
        {{ .Data.data.certificate }}
        {{ .Data.data.key }}
        {{- end }}
      EOT
    }
    acme = {
      "acme-account" = <<-EOT
        {{- with secret (printf "secret/data/environments/%s/edge-certificate" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.account }}{{ end -}}
      EOT
    }
  }

  # Those of ACME come through the environment, so that nothing in them is a template.
  settings = {
    files = {
      EDGE_CERTIFICATE_FILE = "$${NOMAD_SECRETS_DIR}/edge.pem"
    }
    acme = {
      EDGE_ACME_DIRECTORY    = var.acme_directory
      EDGE_ACME_EMAIL        = var.acme_email
      EDGE_ACME_CA_FILE      = var.acme_ca == "" ? "" : "$${NOMAD_SECRETS_DIR}/acme-ca.pem"
      EDGE_ACME_ACCOUNT_FILE = "$${NOMAD_SECRETS_DIR}/acme-account"
      EDGE_ACME_STORAGE      = "/var/lib/edge"
      ACME_CA                = var.acme_ca
    }
  }

  # How the service is verified, for the same reason.
  service = var.parts_ca == "" ? {} : {
    EDGE_UPSTREAM_CA_FILE = "$${NOMAD_SECRETS_DIR}/parts-ca.pem"
    EDGE_UPSTREAM_NAME    = "provisioning.calvinverse.internal"
    PARTS_CA              = var.parts_ca
  }

  # The web page beside it. It has a certificate of the same authority, which it doesn't run without.
  page = var.ui_port == 0 || var.parts_ca == "" ? {} : {
    EDGE_UI         = "https://127.0.0.1:${var.ui_port}"
    EDGE_UI_CA_FILE = "$${NOMAD_SECRETS_DIR}/parts-ca.pem"
    EDGE_UI_NAME    = "ui.calvinverse.internal"
    # The page passes this on to the service. What the edge may ask the service for doesn't follow from it.
    EDGE_UI_SECRET_FILE = "$${NOMAD_SECRETS_DIR}/page-secret"
  }
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

    # What ACME gave must outlive the allocation: authorities limit how often they sign.
    dynamic "volume" {
      for_each = local.acme ? ["storage"] : []
      labels   = [volume.value]

      content {
        type   = "host"
        source = "calvinverse-edge"
      }
    }

    # Asked for and not mounted: it runs where the service does, for they meet on loopback.
    volume "service" {
      type      = "host"
      source    = "calvinverse-data"
      read_only = true
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
        # Consul knows OpenBao's authority alone.
        tls_skip_verify = var.source != "authority"

        header {
          Host = [var.address]
        }
      }
    }

    task "edge" {
      driver = "docker"
      user   = "10002"

      # It accepts connections for 5 s more, and waits 8 s for requests in progress.
      kill_timeout = "20s"

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

      env = merge({
        EDGE_LISTEN       = "${var.host}:${var.port}"
        EDGE_ADDRESS      = var.address
        EDGE_ENTRY_DOMAIN = var.entry_domain
        CERTIFICATE_TTL   = var.certificate_ttl
        EDGE_UPSTREAM     = "${var.parts_ca == "" ? "" : "https://"}127.0.0.1:${var.service_port}"
        EDGE_SECRET_FILE  = "${NOMAD_SECRETS_DIR}/edge-secret"
        # In memory, like all of the folder, and in no other job's sight: the socket of Caddy's admin API is there.
        EDGE_FOLDER = "${NOMAD_SECRETS_DIR}/edge"
      }, local.settings[local.acme ? "acme" : "files"], local.service, local.page)

      dynamic "volume_mount" {
        for_each = local.acme ? ["storage"] : []

        content {
          volume      = volume_mount.value
          destination = "/var/lib/edge"
        }
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

      # The label is that of `environments.api.clients`.
      dynamic "template" {
        for_each = length(local.page) == 0 ? [] : ["page-secret"]

        content {
          destination = "${NOMAD_SECRETS_DIR}/${template.value}"
          change_mode = "noop"
          data        = <<-EOT
            {{- with secret (printf "secret/data/environments/%s/edge-secret" (env "NOMAD_NAMESPACE")) }}{{ hmacSHA256Hex "calvinverse: what the web page passes on" .Data.data.secret }}{{ end -}}
          EOT
        }
      }

      dynamic "template" {
        for_each = local.files[var.source]

        content {
          destination   = "${NOMAD_SECRETS_DIR}/${template.key}"
          change_mode   = "signal"
          change_signal = "SIGHUP"
          data          = template.value
        }
      }

      dynamic "template" {
        for_each = var.acme_ca == "" ? {} : { "acme-ca.pem" = "{{ env \"ACME_CA\" }}" }

        content {
          destination = "${NOMAD_SECRETS_DIR}/${template.key}"
          change_mode = "noop"
          data        = template.value
        }
      }

      # It comes through the environment, so that nothing in it is a template.
      dynamic "template" {
        for_each = var.parts_ca == "" ? {} : { "parts-ca.pem" = "{{ env \"PARTS_CA\" }}" }

        content {
          destination = "${NOMAD_SECRETS_DIR}/${template.key}"
          change_mode = "noop"
          data        = template.value
        }
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
