"""The template that `calvinverse template new` writes: small, commented, and complete."""

TEMPLATE = """\
# A template says what an environment of one kind is made of. Check it with `calvinverse template validate .`,
# give it to the service with `calvinverse template push .`, then `calvinverse env create demo --template {name}`.

[template]
name = "{name}"
version = "1"
description = "A small web page with a message of its own"

[lifetime]              # counted from creation; destroyed when it is over
default = "8h"
maximum = "7d"

[parameters.message]    # JSON Schema (draft 2020-12), one table a parameter; without a default it is required
type = "string"
default = "Hello"
maxLength = 200
description = "What the page says"

[parameters.replicas]
type = "integer"
default = 1
minimum = 1
maximum = 5
description = "How many instances"

# Steps run in the order of their `needs`; independent ones side by side. They are destroyed the other way round.

[[steps]]
name = "settings"       # keys below environments/<environment>/ in Consul; jobs of this environment may read them
uses = "consul.kv"
with = {{ keys = {{ message = "{{{{ parameters.message }}}}" }} }}

[[steps]]
name = "app"
uses = "nomad.job"
needs = ["settings"]
timeout = "3m"

[steps.with]
file = "app.nomad.hcl"

[steps.with.variables]  # a value that is one whole expression keeps its type: replicas stays a number
image = "{{{{ images.web }}}}"    # the published image of that name, by its id; see `calvinverse image list`
replicas = "{{{{ parameters.replicas }}}}"

[[steps]]
name = "answers"        # checks decide whether the environment is ready or failed
uses = "check.http"
needs = ["app"]
with = {{ service = "app", path = "/", timeout = "60s" }}

[outputs]
url = "{{{{ steps.app.services.app.url }}}}"
"""

JOB = """\
# A job file for Nomad, as it is: check it with `nomad job validate -var environment=demo -var image=any app.nomad.hcl`.
# Calvinverse fills `environment` in; other variables come from the step. What people type reaches the job through
# variables or through Consul, and never becomes a part of `template.data`.

variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "replicas" {
  type    = number
  default = 1
}

job "app" {
  type = "service"

  update {
    health_check      = "checks"
    min_healthy_time  = "0s"
    healthy_deadline  = "2m"
    progress_deadline = "3m"
  }

  group "app" {
    count = var.replicas

    # A fault that restarts don't fix fails the deployment within seconds.
    restart {
      attempts = 2
      interval = "2m"
      delay    = "2s"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A network of its own: the node forwards one of its ports to this one.
    network {
      mode = "bridge"

      port "http" {
        to = 8000
      }
    }

    consul {}

    service {
      name         = "${var.environment}--app" # the names that an environment may have
      port         = "http"
      address_mode = "host"

      check {
        type     = "http"
        path     = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }

    task "app" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        init       = true
        entrypoint = ["python3", "-m", "http.server"]
        args       = ["--bind", "0.0.0.0", "--directory", "${NOMAD_TASK_DIR}", "${NOMAD_PORT_http}"]
      }

      consul {} # the job's own identity: reads the keys of its environment, and no other's

      template {
        destination = "${NOMAD_TASK_DIR}/index.html"
        change_mode = "noop"
        data        = "{{ keyOrDefault (printf \\"environments/%s/message\\" (env \\"NOMAD_NAMESPACE\\")) \\"\\" }}"
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
"""
