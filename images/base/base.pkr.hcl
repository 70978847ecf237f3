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

locals {
  suite             = "bookworm"
  packages          = ["ca-certificates", "python3", "tini", "tzdata", "usr-is-merged"]
  source_date_epoch = 1735689600 # 2025-01-01: no file of the image is younger
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
      SOURCE_DATE_EPOCH = local.source_date_epoch
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
        created = local.source_date_epoch
        user    = "10001:10001"
        env     = { LANG = "C.UTF-8" }
        labels  = var.labels
        command = ["python3"]
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
