# The provisioning service: API, worker and clock in one process, its database on a host volume. It holds no token: with
# the identities that Nomad gives to this very job (no other may), it logs in to Nomad, Consul and OpenBao for an hour at
# a time.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type = string
}

variable "port" {
  type    = number
  default = 8400
}

variable "deployer" {
  type = string
}

variable "deployer_token" {
  type        = string
  description = "Prefix and SHA-256 of the first token: not the token"
}

variable "consul_address" {
  type    = string
  default = "http://127.0.0.1:8500"
}

variable "openbao_address" {
  type    = string
  default = "http://127.0.0.1:8200"
}

variable "nomad_address" {
  type    = string
  default = "http://127.0.0.1:4646"
}

# Certificates (PEM) of the CAs of those addresses; empty: the well-known ones.
variable "consul_ca" {
  type    = string
  default = ""
}

variable "openbao_ca" {
  type    = string
  default = ""
}

variable "nomad_ca" {
  type    = string
  default = ""
}

job "provisioning" {
  type = "service"

  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "1s"
    healthy_deadline  = "90s"
    progress_deadline = "3m"
  }

  group "provisioning" {
    count = 1

    # The service has to come back whatever happens, also after its cluster was away for hours.
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
      port "http" {
        static = var.port
      }
    }

    volume "data" {
      type   = "host"
      source = "calvinverse-data"
    }

    shutdown_delay = "0s"

    consul {}

    service {
      name         = "${var.environment}--provisioning"
      port         = "http"
      address_mode = "host"
      tags         = ["http"]

      meta {
        scheme = "http"
      }

      check {
        type     = "http"
        path     = "/self/readiness"
        interval = "2s"
        timeout  = "2s"
      }
    }

    task "provisioning" {
      driver       = "docker"
      user         = "10001"
      kill_timeout = "20s"

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

      identity {
        name = "nomad-manager"
        aud  = ["nomad-manager"]
        file = true
        ttl  = "1h"
      }

      identity {
        name = "consul-manager"
        aud  = ["consul.io"]
        file = true
        ttl  = "1h"
      }

      identity {
        name = "openbao-manager"
        aud  = ["vault.io"]
        file = true
        ttl  = "1h"
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/calvinverse"
      }

      env {
        CALVINVERSE_STATE          = "/var/lib/calvinverse"
        CALVINVERSE_HOST           = "127.0.0.1"
        CALVINVERSE_PORT           = "${NOMAD_PORT_http}"
        CALVINVERSE_CONNECTIONS    = "${NOMAD_SECRETS_DIR}/connections.json"
        CALVINVERSE_DEPLOYER       = var.deployer
        CALVINVERSE_DEPLOYER_TOKEN = var.deployer_token
        CALVINVERSE_LOG_FORMAT     = "json"
        CONSUL_CA                  = var.consul_ca
        OPENBAO_CA                 = var.openbao_ca
        NOMAD_CA                   = var.nomad_ca
      }

      # Paths in it start at its own folder, where Nomad puts the identities.
      template {
        destination = "${NOMAD_SECRETS_DIR}/connections.json"
        change_mode = "noop"
        data = jsonencode({
          consul = {
            address        = var.consul_address
            ca_file        = var.consul_ca == "" ? null : "consul-ca.pem"
            authentication = { jwt_file = "nomad_consul-manager.jwt", method = "calvinverse-manager" }
          }
          vault = {
            address        = var.openbao_address
            ca_file        = var.openbao_ca == "" ? null : "openbao-ca.pem"
            authentication = { jwt_file = "nomad_openbao-manager.jwt", method = "jwt-nomad", role = "calvinverse-manager" }
          }
          nomad = {
            address        = var.nomad_address
            ca_file        = var.nomad_ca == "" ? null : "nomad-ca.pem"
            authentication = { jwt_file = "nomad_nomad-manager.jwt", method = "nomad-manager" }
          }
        })
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/consul-ca.pem"
        change_mode = "noop"
        data        = "{{ env \"CONSUL_CA\" }}"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/openbao-ca.pem"
        change_mode = "noop"
        data        = "{{ env \"OPENBAO_CA\" }}"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/nomad-ca.pem"
        change_mode = "noop"
        data        = "{{ env \"NOMAD_CA\" }}"
      }

      resources {
        cpu    = 200
        memory = 384
      }
    }
  }
}
