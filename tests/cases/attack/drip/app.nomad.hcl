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
    healthy_deadline  = "60s"
    progress_deadline = "70s"
  }

  group "g" {
    restart {
      attempts = 1
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }

    network {
      mode = "bridge"

      port "http" {
        to = 8000
      }
    }

    consul {}

    service {
      name         = "${var.environment}--web"
      port         = "http"
      address_mode = "host"

      check {
        type     = "http"
        path     = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }

    task "main" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        command    = "python3"

        args = ["-u", "-c", <<-EOT
          import http.server, os, time

          class Handler(http.server.BaseHTTPRequestHandler):
              def do_GET(self):
                  self.send_response(200)
                  self.send_header("Content-Length", "2" if self.path == "/" else "1000000")
                  self.end_headers()
                  if self.path == "/":
                      self.wfile.write(b"ok")
                      return
                  while True:
                      self.wfile.write(b"x")
                      time.sleep(1)

              def log_message(self, *arguments):
                  pass

          address = ("0.0.0.0", int(os.environ["NOMAD_PORT_http"]))
          http.server.ThreadingHTTPServer(address, Handler).serve_forever()
        EOT
        ]
      }

      resources {
        cpu    = 20
        memory = 64
      }
    }
  }
}
