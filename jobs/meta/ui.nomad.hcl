# The web page: a process of its own in front of the service's API, behind the edge. It keeps nothing, and its job has no
# rights: of OpenBao it gets the certificate for its own name and nothing else, and each call of the API has the session
# of whoever asked. It meets edge and service on loopback, over TLS.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type = string
}

variable "port" {
  type    = number
  default = 8401
}

variable "host_network" {
  type        = string
  default     = "default"
  description = "Name of the client's network that its port is on: one with loopback"
}

variable "service_port" {
  type        = number
  default     = 8400
  description = "Port of the service, on loopback"
}

variable "external_address" {
  type        = string
  default     = ""
  description = "Address by which people reach the page; empty: the one that they have asked"
}

variable "parts_ca" {
  type        = string
  description = "Certificate (PEM) of the authority that signs for the parts of this environment"
}

variable "verified_checks" {
  type        = bool
  default     = true
  description = "Whether Consul trusts that authority, so that its checks verify certificates"
}

variable "certificate_ttl" {
  type    = string
  default = "720h"
}

variable "openbao_role" {
  type        = string
  default     = "calvinverse-ui"
  description = "Role in OpenBao that gives the page's certificate, and nothing else"
}

job "ui" {
  type = "service"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "90s"
    progress_deadline = "3m"
  }

  group "ui" {
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
        static       = var.port
        host_network = var.host_network
      }
    }

    # Asked for and not mounted: it runs where the service does, for they meet on loopback.
    volume "service" {
      type      = "host"
      source    = "calvinverse-data"
      read_only = true
    }

    shutdown_delay = "0s"

    # Without a block `consul` the task gets no token: Nomad registers the service with an identity of the service's own.
    service {
      name         = "${var.environment}--ui"
      port         = "https"
      address_mode = "host"
      tags         = ["https"]

      meta {
        scheme = "https"
      }

      check {
        type            = "http"
        protocol        = "https"
        path            = "/ui/health"
        interval        = "2s"
        timeout         = "2s"
        tls_server_name = "ui.calvinverse.internal"
        tls_skip_verify = !var.verified_checks
      }
    }

    task "ui" {
      driver       = "docker"
      user         = "10003"
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

      env {
        CALVINVERSE_UI_HOST             = "127.0.0.1"
        CALVINVERSE_UI_PORT             = "${NOMAD_PORT_https}"
        CALVINVERSE_UI_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/certificate.pem"
        CALVINVERSE_UI_KEY_FILE         = "${NOMAD_SECRETS_DIR}/certificate.pem"
        CALVINVERSE_UI_SERVICE          = "https://127.0.0.1:${var.service_port}"
        CALVINVERSE_UI_SERVICE_CA_FILE  = "${NOMAD_SECRETS_DIR}/parts-ca.pem"
        CALVINVERSE_UI_SERVICE_NAME     = "provisioning.calvinverse.internal"
        CALVINVERSE_UI_ADDRESS          = var.external_address
        CALVINVERSE_LOG_FORMAT          = "json"
        CERTIFICATE_TTL                 = var.certificate_ttl
        PARTS_CA                        = var.parts_ca
      }

      # For the certificate below alone.
      vault {
        role         = var.openbao_role
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      # Certificate, chain and key. The page reads them again by itself.
      template {
        destination = "${NOMAD_SECRETS_DIR}/certificate.pem"
        change_mode = "noop"
        data        = "{{ with pkiCert (printf \"pki-parts/issue/%s--ui\" (env \"NOMAD_NAMESPACE\")) \"common_name=ui.calvinverse.internal\" (printf \"ttl=%s\" (env \"CERTIFICATE_TTL\")) }}{{ .Cert }}\n{{ .CA }}\n{{ .Key }}\n{{ end }}"
      }

      # It comes through the environment, so that nothing in it is a template.
      template {
        destination = "${NOMAD_SECRETS_DIR}/parts-ca.pem"
        change_mode = "noop"
        data        = "{{ env \"PARTS_CA\" }}"
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
