variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "mark" {
  type = string
}

variable "count" {
  type = number
}

job "app" {
  type = "service"


  update {
    max_parallel = 2
    canary = var.count
    auto_promote = false
    min_healthy_time  = "0s"
    healthy_deadline  = "20s"
    progress_deadline = "25s"
  }


  group "g" {
    count = var.count
    restart {
      attempts = 1
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }


    network {
      port "http" {}
    }

    consul {}

    service {
      name         = "${var.environment}--web"
      port         = "http"
      address_mode = "host"

      check {
        type = "http"
        path = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }

    task "web" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"
        args         = ["-u", "-m", "http.server", "${NOMAD_PORT_http}"]
      }

      env {
        MARK = var.mark
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }

  }

}
