# PostgreSQL as Debian packages it. What it stores is in /var/lib/calvinverse, which is empty until the first start.

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

source "docker" "postgres" {
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
      "CMD [\"postgres-start\"]",
      join(" ", [
        "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3",
        "CMD [\"postgres-health\"]",
      ]),
    ],
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}

build {
  sources = ["source.docker.postgres"]

  provisioner "file" {
    sources     = ["${var.work}/debs"]
    destination = "/tmp"
  }

  provisioner "file" {
    sources = [
      "${path.root}/provision/postgres-start", "${path.root}/provision/postgres-health",
      "${path.root}/provision/postgresql.conf", "${path.root}/provision/pg_hba.conf",
    ]
    destination = "/tmp/"
  }

  provisioner "shell" {
    script = "${path.root}/provision/install.sh"
  }

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
