# A registry: one static program and its configuration.

locals {
  changes = [
    # Without it the registry looks for a collector of traces.
    "ENV OTEL_TRACES_EXPORTER=none",
    "WORKDIR /var/lib/registry",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\", \"registry\"]",
    "CMD [\"serve\", \"/etc/registry/config.yml\"]",
    join(" ", [
      "HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3",
      "CMD [\"python3\", \"-I\", \"/usr/local/lib/registry/health.py\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

  provisioner "file" {
    sources     = ["${var.work}/bin/registry", "${path.root}/provision/config.yml", "${path.root}/provision/health.py"]
    destination = "/tmp/"
  }

  provisioner "shell" {
    script = "${path.root}/provision/install.sh"
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
