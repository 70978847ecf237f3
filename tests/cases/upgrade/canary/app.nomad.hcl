variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "mark" {
  type = string
}

job "app" {
  type = "service"

  update {
    canary            = 1
    auto_promote      = false
    health_check      = "task_states"
    min_healthy_time  = "1s"
    healthy_deadline  = "2m"
    progress_deadline = "4m"
  }

  group "app" {
    task "app" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "none"
        init         = true
        entrypoint   = ["python3", "-c", "import time; time.sleep(86400)"]
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
