# A job file for `nomad.job`. What the page says reaches it through Consul, and never becomes a part of `template.data`.

variable "environment" {
  type = string
}

variable "image" {
  type = string
}

job "app" {
  type = "service"

  update {
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "2m"
    progress_deadline = "3m"
  }

  group "app" {
    # A fault that restarts don't fix fails the deployment within seconds.
    restart {
      attempts = 2
      interval = "2m"
      delay    = "2s"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A network of its own: the node forwards one of its ports to this one.
    network {
      mode = "bridge"

      port "http" {
        to = 8000
      }
    }

    consul {}

    service {
      name         = "${var.environment}--app" # the names that an environment may have
      port         = "http"
      address_mode = "host"

      check {
        type     = "http"
        path     = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }

    task "app" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["python3", "-m", "http.server"]
        args       = ["--bind", "0.0.0.0", "--directory", "${NOMAD_TASK_DIR}", "${NOMAD_PORT_http}"]
      }

      consul {} # the job's own identity: reads the keys of its environment, and no other's

      template {
        destination = "${NOMAD_TASK_DIR}/index.html"
        change_mode = "noop"
        data        = "{{ keyOrDefault (printf \"environments/%s/page\" (env \"NOMAD_NAMESPACE\")) \"\" }}"
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
