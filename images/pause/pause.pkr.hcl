# What Nomad runs beside the tasks of a group in bridge mode, its `infra_image`: it waits, and ends at once when told to.

locals {
  changes = [
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
    "CMD [\"sleep\", \"infinity\"]",
    # Every group has such a container: a check that never fails would cost more than the container.
    "HEALTHCHECK --interval=1h --timeout=5s CMD [\"true\"]",
  ]
}

build {
  sources = ["source.docker.image"]

  post-processor "manifest" {
    output = "${var.work}/manifest.json"
  }
}
