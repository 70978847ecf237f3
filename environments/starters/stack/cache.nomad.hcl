# A cache that forgets everything when it is stopped. This one is a few lines of Python; put the image of yours in its place.

variable "environment" {
  type        = string
  description = "Name of the environment: filled in by Calvinverse"
}

variable "image" {
  type = string
}

job "cache" {
  type = "service"

  update {
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "2m"
    progress_deadline = "3m"
  }

  group "cache" {
    network {
      mode = "bridge"

      port "http" {
        to = 7000
      }
    }

    consul {}

    service {
      name         = "${var.environment}--cache"
      port         = "http"
      address_mode = "alloc"

      check {
        type         = "tcp"
        address_mode = "alloc"
        interval     = "1s"
        timeout      = "1s"
      }
    }

    task "cache" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["python3"]
        args       = ["${NOMAD_TASK_DIR}/cache.py"]

        healthchecks {
          disable = true
        }
      }

      template {
        destination = "${NOMAD_TASK_DIR}/cache.py"
        change_mode = "restart"
        data        = <<-EOT
          """PUT keeps a value for 5 seconds, GET returns it."""
          import http.server
          import os
          import time

          kept = dict()

          class Cache(http.server.BaseHTTPRequestHandler):
              timeout = 5

              def do_GET(self):
                  end, value = kept.get(self.path, (0, b""))
                  self.send_response(200 if end > time.monotonic() else 404)
                  self.send_header("Content-Length", str(len(value)))
                  self.end_headers()
                  self.wfile.write(value)

              def do_PUT(self):
                  value = self.rfile.read(min(int(self.headers["Content-Length"]), 65536))
                  kept[self.path] = time.monotonic() + 5, value
                  self.send_response(204)
                  self.end_headers()

              def log_message(self, *words):
                  pass

          http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["NOMAD_PORT_http"])), Cache).serve_forever()
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
