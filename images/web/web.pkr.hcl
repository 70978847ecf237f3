# What the example template runs: Python's standard library and the files of ./app.

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

source "docker" "web" {
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
      "ENV PYTHONPATH=/opt/web",
      "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\", \"python3\", \"-m\", \"app\"]",
      "CMD []",
      # It listens once it has its certificate, which may take a while.
      join(" ", [
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3",
        "CMD [\"python3\", \"-m\", \"app.health\"]",
      ]),
    ],
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}

build {
  sources = ["source.docker.web"]

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
