# What every image that starts from another one shares: the variables that the builder gives, and the container that the
# image is made in. An image's folder has a link to this file beside its own recipe, which sets `local.changes` (instructions of a
# Dockerfile) and builds `source.docker.image`.

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

source "docker" "image" {
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
    ["USER 10001:10001"],
    local.changes,
    [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"],
  )
}
