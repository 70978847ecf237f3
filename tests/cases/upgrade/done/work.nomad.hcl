variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "seconds" {
  type = number
}

job "work" {
  type = "batch"

  group "work" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    task "work" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "none"
        init         = true
        entrypoint   = ["python3", "-c", "import time; time.sleep(${var.seconds})"]
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
