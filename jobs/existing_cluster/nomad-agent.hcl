# What the agents of an existing Nomad need for Calvinverse, beside what connects them with Consul and OpenBao. Copy it into
# their configuration folder and restart them. The host volumes belong on one client: there the meta environment runs.

client {
  # The service, PostgreSQL and the edge keep their data here. The folders belong to user 10001, that of the edge to
  # user 10002, and nobody else may read them.
  host_volume "calvinverse-data" {
    path = "/srv/calvinverse/data"
  }

  host_volume "calvinverse-postgres" {
    path = "/srv/calvinverse/postgres"
  }

  host_volume "calvinverse-edge" {
    path = "/srv/calvinverse/edge"
  }

  # The service and PostgreSQL listen on loopback: their ports and checks are there.
  host_network "loopback" {
    cidr = "127.0.0.0/8"
  }

  # Otherwise a task is killed when OpenBao, Consul or Nomad is away for a while.
  template {
    vault_retry {
      attempts = 0
    }

    consul_retry {
      attempts = 0
    }

    nomad_retry {
      attempts = 0
    }
  }
}

# Without it Nomad doesn't measure what tasks use, and no environment is ever idle by its processor time.
telemetry {
  publish_allocation_metrics = true
  collection_interval        = "5s"
}

# Jobs log in to Consul and OpenBao with the identities that Nomad signs for them.
consul {
  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }

  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
}

vault {
  enabled               = true
  jwt_auth_backend_path = "jwt-nomad"
  create_from_role      = "environment"

  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}

# Agents that configure this plugin already need the block `gc` there: of several blocks Nomad takes the last one.
plugin "docker" {
  config {
    gc {
      # Images that no registry has stay.
      image = false

      # Containers of another Nomad on the same engine stay.
      dangling_containers {
        enabled = false
      }
    }
  }
}
