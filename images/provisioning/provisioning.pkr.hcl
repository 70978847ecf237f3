# The provisioning service in a virtual environment of its own, from wheels that were made ready on the host.

locals {
  changes = [
    "ENV PYTHONDONTWRITEBYTECODE=1",
    "ENV CALVINVERSE_STATE=/var/lib/calvinverse",
    "ENV CALVINVERSE_PROVIDERS=/opt/providers",
    "WORKDIR /var/lib/calvinverse",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\", \"calvinverse\"]",
    "CMD [\"serve\"]",
    join(" ", [
      "HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3",
      "CMD [\"/opt/calvinverse/bin/python\", \"-I\", \"/opt/calvinverse/health.py\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

  provisioner "file" {
    sources = [
      "${var.work}/bin", "${var.work}/providers", "${var.work}/debs", "${var.work}/wheels", "${var.work}/own",
      "${var.work}/pip",
    ]
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
