variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "replicas" {
  type = number
}

job "web" {
  type = "service"

  update {
    health_check     = "checks"
    min_healthy_time = "0s"
  }

  group "web" {
    count = var.replicas

    network {
      mode = "bridge"

      port "http" {
        to = 8080
      }
    }

    # Requests that have begun may end.
    shutdown_delay = "2s"

    service {
      name         = "${var.environment}--web"
      port         = "http"
      address_mode = "host"
      tags         = ["http"]

      check {
        type     = "http"
        path     = "/health"
        interval = "1s"
        # What answers late, on a busy machine, isn't sick.
        timeout  = "30s"
      }
    }

    task "web" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        command    = "python3"
        args       = ["-u", "${NOMAD_TASK_DIR}/server.py"]
      }

      template {
        destination = "${NOMAD_TASK_DIR}/server.py"
        data        = <<-EOT
          import os, time
          from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

          well = [True]

          class Handler(BaseHTTPRequestHandler):
              protocol_version = "HTTP/1.1"

              def do_GET(self):
                  if self.path == "/sick":
                      well[0] = False
                  if self.headers.get("Upgrade"):
                      self.send_response(101)
                      self.send_header("Upgrade", "websocket")
                      self.send_header("Connection", "Upgrade")
                      self.end_headers()
                      self.close_connection = True
                      while piece := self.connection.recv(65536):
                          self.connection.sendall(piece)
                      return
                  if self.path == "/events":
                      self.send_response(200)
                      self.send_header("Content-Type", "text/event-stream")
                      self.send_header("Connection", "close")
                      self.end_headers()
                      self.close_connection = True
                      number = 0
                      while True:
                          self.wfile.write(b"data: %d\n\n" % number)
                          number += 1
                          time.sleep(0.05)
                  status = 200 if well[0] or self.path != "/health" else 503
                  body = (os.environ["NOMAD_NAMESPACE"] + " " + os.environ["NOMAD_ALLOC_ID"]).encode()
                  self.send_response(status)
                  self.send_header("Content-Length", str(len(body)))
                  self.end_headers()
                  self.wfile.write(body)

              def log_message(self, *args):
                  pass

          ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
        EOT
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
