# The provisioning service: API, worker and clock in one process, and with PostgreSQL as many more workers as one wants.
# With SQLite its database is on a host volume. It holds no token: with the identities that Nomad gives to this very job
# (no other may), each process logs in to Nomad, Consul and OpenBao for an hour at a time. It serves over TLS, with a
# certificate of OpenBao's mount for the parts of this environment.

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

variable "host_network" {
  type        = string
  default     = "default"
  description = "Name of the client's network that its port is on: one with loopback"
}

variable "deployer" {
  type = string
}

variable "deployer_token" {
  type        = string
  description = "Prefix and SHA-256 of the first token: not the token"
}

variable "database" {
  type        = string
  default     = ""
  description = "URL of the PostgreSQL, without a password; empty: SQLite on the host volume. With `sslmode=verify-full` its certificate is of the parts' authority, or of the one in `sslrootcert`"
}

variable "workers" {
  type        = number
  default     = 0
  description = "Workers beside the one in the service; with PostgreSQL only"
}

variable "edge" {
  type        = bool
  default     = false
  description = "Whether the edge stands in front of the service, and tells it who its clients are"
}

variable "entry_domain" {
  type        = string
  default     = ""
  description = "Domain below which the edge serves entry points of environments; empty: there are none"
}

variable "entry_port" {
  type    = number
  default = 443
}

variable "external_address" {
  type        = string
  default     = ""
  description = "Address by which people reach the service: links in warnings begin with it; empty: they have no links"
}

variable "warnings" {
  type        = bool
  default     = false
  description = "Whether channels deliver warnings: their file is the field `file` of the secret `warning-channels`"
}

variable "providers" {
  type        = bool
  default     = false
  description = "Whether people sign in with providers of one's own too: their file is the field `file` of the secret `identity-providers`"
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

# The names that their certificates must have; empty: the hosts of the addresses.
variable "consul_server_name" {
  type    = string
  default = ""
}

variable "openbao_server_name" {
  type    = string
  default = ""
}

variable "nomad_server_name" {
  type    = string
  default = ""
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

locals {
  # Paths in it start at its own folder, where Nomad puts the identities.
  connections = jsonencode({
    consul = {
      address        = var.consul_address
      ca_file        = var.consul_ca == "" ? null : "consul-ca.pem"
      server_name    = var.consul_server_name
      authentication = { jwt_file = "nomad_consul-manager.jwt", method = "calvinverse-manager" }
    }
    vault = {
      address        = var.openbao_address
      ca_file        = var.openbao_ca == "" ? null : "openbao-ca.pem"
      server_name    = var.openbao_server_name
      authentication = { jwt_file = "nomad_openbao-manager.jwt", method = "jwt-nomad", role = "calvinverse-manager" }
    }
    nomad = {
      address        = var.nomad_address
      ca_file        = var.nomad_ca == "" ? null : "nomad-ca.pem"
      server_name    = var.nomad_server_name
      authentication = { jwt_file = "nomad_nomad-manager.jwt", method = "nomad-manager" }
    }
  })

  identities = { nomad-manager = "nomad-manager", consul-manager = "consul.io", openbao-manager = "vault.io" }

  # Certificate, chain and key of a process. It reads them again by itself.
  certificate = {
    "certificate.pem" = "{{ with pkiCert (printf \"pki-parts/issue/%s\" (env \"NOMAD_NAMESPACE\")) (printf \"common_name=%s\" (env \"CERTIFICATE_NAME\")) \"alt_names=localhost\" \"ip_sans=127.0.0.1\" (printf \"ttl=%s\" (env \"CERTIFICATE_TTL\")) }}{{ .Cert }}\n{{ .CA }}\n{{ .Key }}\n{{ end }}"
  }

  # What the processes of one database share, out of OpenBao: file → what stands in it. The key is one of Fernet, 32 bytes
  # in base64.
  shared = merge(local.certificate, var.database == "" ? {} : {
    database-password = "{{ with secret \"secret/data/environments/${var.environment}/database-password\" }}{{ .Data.data.password }}{{ end }}"
    sealing-key       = "{{ with secret \"secret/data/environments/${var.environment}/sealing-key\" }}{{ .Data.data.key }}={{ end }}"
    }, var.warnings ? {
    "warning-channels.toml" = "{{ with secret \"secret/data/environments/${var.environment}/warning-channels\" }}{{ .Data.data.file }}{{ end }}"
  } : {})

  # What the service alone has: what it shares with the edge, and the providers by which people sign in.
  of_service = merge(local.shared, var.providers ? {
    "identity-providers.toml" = "{{ with secret \"secret/data/environments/${var.environment}/identity-providers\" }}{{ .Data.data.file }}{{ end }}"
    } : {}, var.edge ? {
    edge-secret = "{{ with secret \"secret/data/environments/${var.environment}/edge-secret\" }}{{ .Data.data.secret }}{{ end }}"
  } : {})

  # Certificates: file → what stands in it. They come through the environment, so that nothing in them is a template.
  authorities = {
    "consul-ca.pem"  = "{{ env \"CONSUL_CA\" }}"
    "openbao-ca.pem" = "{{ env \"OPENBAO_CA\" }}"
    "nomad-ca.pem"   = "{{ env \"NOMAD_CA\" }}"
    "parts-ca.pem"   = "{{ env \"PARTS_CA\" }}"
  }

  # What Nomad fills in on the node is written with two dollar signs here.
  settings = {
    CALVINVERSE_STATE                  = "/var/lib/calvinverse"
    CALVINVERSE_HOST                   = "127.0.0.1"
    CALVINVERSE_PORT                   = "$${NOMAD_PORT_http}"
    CALVINVERSE_CONNECTIONS            = "$${NOMAD_SECRETS_DIR}/connections.json"
    CALVINVERSE_LOG_FORMAT             = "json"
    CALVINVERSE_WORKER_HOST            = "$${node.unique.name}/$${NOMAD_SHORT_ALLOC_ID}"
    CALVINVERSE_ENTRY_DOMAIN           = var.entry_domain
    CALVINVERSE_ENTRY_PORT             = var.entry_port
    CALVINVERSE_EXTERNAL_ADDRESS       = var.external_address
    CALVINVERSE_WARNING_CHANNELS       = var.warnings ? "$${NOMAD_SECRETS_DIR}/warning-channels.toml" : ""
    CALVINVERSE_TLS_CERTIFICATE        = "$${NOMAD_SECRETS_DIR}/certificate.pem"
    CALVINVERSE_TLS_KEY                = "$${NOMAD_SECRETS_DIR}/certificate.pem"
    CALVINVERSE_DATABASE               = var.database
    CALVINVERSE_DATABASE_PASSWORD_FILE = var.database == "" ? "" : "$${NOMAD_SECRETS_DIR}/database-password"
    CALVINVERSE_SEALING_KEY            = var.database == "" ? "" : "$${NOMAD_SECRETS_DIR}/sealing-key"
    PGSSLROOTCERT                      = length(split("sslmode=verify-", var.database)) > 1 ? "$${NOMAD_SECRETS_DIR}/parts-ca.pem" : ""
    CONSUL_CA                          = var.consul_ca
    OPENBAO_CA                         = var.openbao_ca
    NOMAD_CA                           = var.nomad_ca
    PARTS_CA                           = var.parts_ca
    CERTIFICATE_TTL                    = var.certificate_ttl
  }
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
        static       = var.port
        host_network = var.host_network
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
      tags         = ["https"]

      meta {
        scheme = "https"
      }

      check {
        type            = "http"
        protocol        = "https"
        path            = "/self/readiness"
        interval        = "2s"
        timeout         = "2s"
        tls_server_name = "provisioning.calvinverse.internal"
        tls_skip_verify = !var.verified_checks
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

      dynamic "identity" {
        for_each = local.identities

        content {
          name = identity.key
          aud  = [identity.value]
          file = true
          ttl  = "1h"
        }
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/calvinverse"
      }

      env = merge(local.settings, {
        CERTIFICATE_NAME           = "provisioning.calvinverse.internal"
        CALVINVERSE_DEPLOYER       = var.deployer
        CALVINVERSE_DEPLOYER_TOKEN = var.deployer_token
      }, var.edge ? { CALVINVERSE_EDGE_SECRET = "$${NOMAD_SECRETS_DIR}/edge-secret" } : {}, var.providers ? { CALVINVERSE_IDENTITY_PROVIDERS = "$${NOMAD_SECRETS_DIR}/identity-providers.toml" } : {})

      # For the files below alone.
      vault {
        env          = false
        disable_file = true
        change_mode  = "noop"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/connections.json"
        change_mode = "noop"
        data        = local.connections
      }

      dynamic "template" {
        for_each = local.authorities

        content {
          destination = "${NOMAD_SECRETS_DIR}/${template.key}"
          change_mode = "noop"
          data        = template.value
        }
      }

      # The service reads them again by itself.
      dynamic "template" {
        for_each = local.of_service

        content {
          destination = "${NOMAD_SECRETS_DIR}/${template.key}"
          change_mode = "noop"
          data        = template.value
        }
      }

      resources {
        cpu    = 200
        memory = 768 # with two modules of OpenTofu side by side
      }
    }
  }

  # As many as one wants: they keep nothing.
  dynamic "group" {
    for_each = var.workers > 0 ? ["workers"] : []
    labels   = [group.value]

    content {
      count = var.workers

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
          host_network = var.host_network
        }
      }

      # Asked for and not mounted: they run where PostgreSQL does, for they meet on loopback.
      volume "database" {
        type      = "host"
        source    = "calvinverse-postgres"
        read_only = true
      }

      shutdown_delay = "0s"

      consul {}

      service {
        name         = "${var.environment}--worker"
        port         = "http"
        address_mode = "host"
        tags         = ["https"]

        meta {
          scheme = "https"
        }

        check {
          type            = "http"
          protocol        = "https"
          path            = "/self/readiness"
          interval        = "2s"
          timeout         = "2s"
          tls_server_name = "worker.calvinverse.internal"
          tls_skip_verify = !var.verified_checks
        }
      }

      task "worker" {
        driver       = "docker"
        user         = "10001"
        kill_timeout = "20s"

        config {
          image        = var.image
          force_pull   = false
          network_mode = "host"
          init         = true

          healthchecks {
            disable = true
          }
        }

        dynamic "identity" {
          for_each = local.identities

          content {
            name = identity.key
            aud  = [identity.value]
            file = true
            ttl  = "1h"
          }
        }

        env = merge(local.settings, {
          CALVINVERSE_ROLE = "worker"
          CERTIFICATE_NAME = "worker.calvinverse.internal"
        })

        vault {
          env          = false
          disable_file = true
          change_mode  = "noop"
        }

        template {
          destination = "${NOMAD_SECRETS_DIR}/connections.json"
          change_mode = "noop"
          data        = local.connections
        }

        dynamic "template" {
          for_each = local.authorities

          content {
            destination = "${NOMAD_SECRETS_DIR}/${template.key}"
            change_mode = "noop"
            data        = template.value
          }
        }

        # The service reads them again by itself.
        dynamic "template" {
          for_each = local.shared

          content {
            destination = "${NOMAD_SECRETS_DIR}/${template.key}"
            change_mode = "noop"
            data        = template.value
          }
        }

        resources {
          cpu    = 200
          memory = 768
        }
      }
    }
  }
}
