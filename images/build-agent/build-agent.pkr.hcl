# All that `python -m images.pipeline` needs beside the sources, which it gets with each build: the libraries, Packer with
# its plugin, programs that images are given, mmdebstrap, and a client of the engine.

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

source "docker" "build-agent" {
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
      "WORKDIR /var/lib/calvinverse",
      "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
      "CMD [\"build-agent\"]",
      join(" ", [
        "HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3",
        "CMD [\"build-agent\", \"health\"]",
      ]),
    ],
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}

build {
  sources = ["source.docker.build-agent"]

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
