# A registry: one static program and its configuration.

packer {
  required_plugins {
    docker = {
      source  = "github.com/hashicorp/docker"
      version = ">= 1.1.0"
    }
  }
}

variable "parent" {
  type        = string
  description = "Id of the image to start from"
}

variable "work" {
  type        = string
  description = "Folder for what the build makes"
}

variable "container" {
  type        = string
  description = "Name of the container in which the image is made"
}

variable "labels" {
  type        = map(string)
  description = "OCI labels of the image"
}

source "docker" "registry" {
  image         = var.parent
  pull          = false
  commit        = true
  exec_user     = "0"
  container_dir = "/mnt"
  run_command = [
    "-d", "-i", "-t", "--user=0", "--network=none", "--name=${var.container}",
    "--entrypoint=/bin/sh", "--", "{{ .Image }}",
  ]
  changes = concat(
    [
      "USER 10001:10001",
      # Without it the registry looks for a collector of traces.
      "ENV OTEL_TRACES_EXPORTER=none",
      "WORKDIR /var/lib/registry",
      "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\", \"registry\"]",
      "CMD [\"serve\", \"/etc/registry/config.yml\"]",
      join(" ", [
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3",
        "CMD [\"python3\", \"-I\", \"/usr/local/lib/registry/health.py\"]",
      ]),
    ],
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}

build {
  sources = ["source.docker.registry"]

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
