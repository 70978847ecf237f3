variable "environment" {
  type = string
}

variable "count" {
  type = number
}

variable "image" {
  type = string
}

job "app" {
  type = "batch"



  group "g" {
    count = var.count

    restart {
      attempts = 1
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }


    task "main" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"
        args         = ["-c", "print(1)"]
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }

  }

}
