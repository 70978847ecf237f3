# The web page in a virtual environment of its own, from wheels and files that were made ready on the host.

locals {
  changes = [
    # Its own: programs of one user may share a port, and read each other's memory.
    "USER 10003:10003",
    "ENV PYTHONDONTWRITEBYTECODE=1",
    "ENV CALVINVERSE_UI_ASSETS=/opt/ui/assets",
    "WORKDIR /",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
    "CMD [\"/opt/ui/bin/python\", \"-m\", \"environments.ui\"]",
    join(" ", [
      "HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3",
      "CMD [\"/opt/ui/bin/python\", \"-I\", \"/opt/ui/health.py\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

  provisioner "file" {
    sources     = ["${var.work}/wheels", "${var.work}/own", "${var.work}/pip", "${var.work}/assets"]
    destination = "/tmp"
  }

  provisioner "file" {
    sources     = ["${path.root}/requirements.lock", "${path.root}/provision/health.py"]
    destination = "/tmp/"
  }

  provisioner "shell" {
    script = "${path.root}/provision/install.sh"
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
