# The build agent: nothing runs until a build is dispatched, and then one task for each. It holds the engine's socket, so
# whoever may dispatch it is root of the node. What a build needs besides its image comes with the sources.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type        = string
  description = "By its id or digest: what stands behind a tag could change"
}

variable "registry" {
  type        = string
  description = "Host and port: has the sources and gets the images"
}

variable "memory" {
  type    = number
  default = 1024
}

variable "cpu" {
  type    = number
  default = 500
}

job "build-agent" {
  type = "batch"

  parameterized {
    payload       = "forbidden"
    meta_required = ["source"]
    meta_optional = ["images", "anew"]
  }

  group "agent" {
    count = 1

    # A person must inspect a failed build.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    volume "docker-socket" {
      type   = "host"
      source = "docker-socket"
    }

    volume "builds" {
      type   = "host"
      source = "builds"
    }

    task "agent" {
      driver       = "docker"
      user         = "10001"
      kill_timeout = "30s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        group_add    = ["${meta.calvinverse_docker_gid}"]
      }

      volume_mount {
        volume      = "docker-socket"
        destination = "/var/run/docker.sock"
      }

      # The engine finds the folders of a build under the same path.
      volume_mount {
        volume      = "builds"
        destination = "${meta.calvinverse_builds}"
      }

      env {
        REGISTRY    = var.registry
        BUILDS      = "${meta.calvinverse_builds}"
        ENVIRONMENT = var.environment
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
