# The provisioning service in a virtual environment of its own, from wheels that were made ready on the host.

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

source "docker" "provisioning" {
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
    ],
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}

build {
  sources = ["source.docker.provisioning"]

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
