variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "replicas" {
  type    = number
  default = 1
}

job "app" {
  type = "service"

  group "g" {
    count = var.replicas

    network {
      mode = "bridge"
      port "http" {}
    }
    service {
      name = "${var.environment}--web"
      port = "http"

      check {
        type     = "http"
        path     = "/"
        interval = "1s"
        timeot   = "1s"
      }
    }

    service {
      name = "shop-admin"
      port = "http"
    }

    task "web" {
      driver = "dockr"

      config {
        image   = var.image
        command = "python3"
        args    = ["-u", "-m", "http.server", "${NOMAD_PORT_http}"]
      }

      resource {
        cpu    = 20
        memory = 32
      }
    }
  }
}
