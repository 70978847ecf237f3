# PostgreSQL as Debian packages it. What it stores is in /var/lib/calvinverse, which is empty until the first start.

locals {
  changes = [
    "WORKDIR /var/lib/calvinverse",
    "ENTRYPOINT [\"/usr/bin/tini\", \"-s\", \"--\"]",
    "CMD [\"postgres-start\"]",
    join(" ", [
      "HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3",
      "CMD [\"postgres-health\"]",
    ]),
  ]
}

build {
  sources = ["source.docker.image"]

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
