# What the example template runs: Python's standard library and the files of ./app.

locals {
  changes = [
    "ENV PYTHONPATH=/opt/web",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\", \"python3\", \"-m\", \"app\"]",
    "CMD []",
    # It listens once it has its certificate, which may take a while.
    join(" ", [
      "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3",
      "CMD [\"python3\", \"-m\", \"app.health\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

  provisioner "file" {
    source      = "${path.root}/app"
    destination = "/tmp"
  }

  provisioner "shell" {
    script = "${path.root}/provision/install.sh"
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
