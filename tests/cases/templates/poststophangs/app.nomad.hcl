variable "environment" {
  type = string
}

variable "image" {
  type = string
}

job "app" {
  type = "service"


  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "20s"
    progress_deadline = "25s"
  }


  group "g" {

    restart {
      attempts = 1
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }


    network {
      port "http" {}
    }


    task "init" {
      driver       = "docker"
      kill_timeout = "2s"

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"
        args         = ["-c", "import time; time.sleep(2)"]
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }

    task "side" {
      driver       = "docker"
      kill_timeout = "2s"

      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"
        args         = ["-c", "import time; time.sleep(600)"]
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }

    task "after" {
      driver       = "docker"
      kill_timeout = "2s"

      lifecycle {
        hook    = "poststart"
        sidecar = false
      }

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

    task "bye" {
      driver       = "docker"
      kill_timeout = "2s"

      lifecycle {
        hook    = "poststop"
        sidecar = false
      }

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"
        args         = ["-c", "import time; time.sleep(3600)"]
      }

      resources {
        cpu    = 20
        memory = 32
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

      resources {
        cpu    = 20
        memory = 32
      }
    }

  }

}
