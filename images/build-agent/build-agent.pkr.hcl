# All that `python -m images.pipeline` needs beside the sources, which it gets with each build: the libraries, Packer with
# its plugin, programs that images are given, mmdebstrap, and a client of the engine.

locals {
  changes = [
    "WORKDIR /var/lib/calvinverse",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
    "CMD [\"build-agent\"]",
    join(" ", [
      "HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3",
      "CMD [\"build-agent\", \"health\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

  provisioner "file" {
    sources     = ["${var.work}/bin", "${var.work}/debs", "${var.work}/unpacked", "${var.work}/wheels"]
    destination = "/tmp"
  }

  provisioner "file" {
    sources     = ["${path.root}/requirements.lock", "${path.root}/agent.py"]
    destination = "/tmp/"
  }

  provisioner "shell" {
    script = "${path.root}/provision/install.sh"
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
