# Caddy, which is one static program, and what makes its configuration: Python's standard library and the files of ./app.

locals {
  changes = [
    # Its own: programs of one user may share a port, and read each other's memory.
    "USER 10002:10002",
    "ENV PYTHONPATH=/opt/edge",
    # Caddy's admin socket is here. Whoever makes the root read-only mounts something else in its place.
    "WORKDIR /var/lib/edge",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
    "CMD [\"python3\", \"-m\", \"app\"]",
    join(" ", [
      "HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3",
      "CMD [\"python3\", \"-m\", \"app.health\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

  provisioner "file" {
    sources     = ["${var.work}/bin/caddy", "${path.root}/app"]
    destination = "/tmp/"
  }

  provisioner "shell" {
    script = "${path.root}/provision/install.sh"
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
