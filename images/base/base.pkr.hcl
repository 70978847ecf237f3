# Debian with Python: the parent of every other image. The result is an archive with a fixed configuration, because
# `docker import` and `docker commit` stamp the time into the image.

variable "work" {
  type        = string
  description = "Folder for what the build makes, with the sources.list to install from"
}

variable "python" {
  type        = string
  description = "The interpreter that runs the builder"
}

variable "labels" {
  type        = map(string)
  description = "OCI labels of the image"
}

variable "source_date_epoch" {
  type        = number
  description = "Seconds since 1970: no file of the image is younger, and the image says that it was made then"
}

locals {
  suite    = "bookworm"
  packages = ["ca-certificates", "python3", "tini", "tzdata", "usr-is-merged"]
}

source "null" "base" {
  communicator = "none"
}

build {
  sources = ["source.null.base"]

  provisioner "shell-local" {
    script = "${path.root}/provision/rootfs.sh"
    env = {
      WORK              = var.work
      SUITE             = local.suite
      PACKAGES          = join(",", local.packages)
      LOCK              = "${abspath(path.root)}/packages.lock"
      SOURCE_DATE_EPOCH = var.source_date_epoch
    }
  }

  provisioner "shell-local" {
    command = join(" ", [
      "'${var.python}' -m images.pipeline.archive",
      "--rootfs '${var.work}/rootfs.tar'",
      "--output '${var.work}/image.tar'",
    ])
    env = {
      CONFIGURATION = jsonencode({
        created = var.source_date_epoch
        user    = "10001:10001"
        env     = { LANG = "C.UTF-8" }
        labels  = var.labels
        command = ["python3"]
        # The base runs nothing of its own: what all its children need is that its Python is whole.
        health = {
          command  = ["python3", "-I", "-c", "import ssl, zoneinfo"]
          interval = 60
          timeout  = 10
        }
      })
    }
  }

  post-processors {
    post-processor "artifice" {
      files = ["${var.work}/image.tar"]
    }
    post-processor "manifest" {
      output = "${var.work}/manifest.json"
    }
  }
}
