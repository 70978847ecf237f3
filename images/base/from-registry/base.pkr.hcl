# The parent of every other image, made from an image of Debian 12 that a registry has, for organisations that start from
# one of their own. `from` and `recipe` in image.toml choose it; the recipe beside that file starts from nothing.

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
  description = "Folder for what the build makes, with the sources.list to install from"
}

variable "container" {
  type        = string
  description = "Name of the container in which the image is made"
}

variable "labels" {
  type        = map(string)
  description = "OCI labels of the image"
}

locals {
  packages = ["ca-certificates", "python3", "tini", "tzdata"]
}

source "docker" "base" {
  image         = var.parent
  pull          = false
  commit        = true
  exec_user     = "0"
  container_dir = "/mnt"
  # With a network, unlike the others: what the image lacks is installed in the container.
  run_command = [
    "-d", "-i", "-t", "--user=0", "--name=${var.container}", "--entrypoint=/bin/sh", "--", "{{ .Image }}",
  ]
  changes = concat(
    [
      "USER 10001:10001",
      "ENV LANG=C.UTF-8",
      "WORKDIR /",
      # An empty one would leave that of the container, which is a shell.
      "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
      "CMD [\"python3\"]",
      "HEALTHCHECK --interval=60s --timeout=10s CMD [\"python3\", \"-I\", \"-c\", \"import ssl, zoneinfo\"]",
    ],
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}

build {
  sources = ["source.docker.base"]

  provisioner "file" {
    source      = "${var.work}/sources.list"
    destination = "/tmp/sources.list"
  }

  provisioner "shell" {
    script           = "${path.root}/provision/adopt.sh"
    environment_vars = ["PACKAGES=${join(" ", local.packages)}"]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/packages.tsv"
    destination = "${var.work}/packages.tsv"
  }

  provisioner "shell" {
    inline = ["rm -rf /tmp/packages.tsv"]
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
