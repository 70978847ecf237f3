variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "text" {
  type = string
}

variable "lines" {
  type = list(string)
}

variable "tree" {
  type = map(string)
}

job "app" {
  type = "batch"

  group "g" {
    network {
      mode = "bridge"
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "main" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image      = var.image
        force_pull = false
        command    = "python3"

        args = concat([
          "-c",
          "import json, os, sys; json.dump({'env': os.environ['SAID'], 'list': os.environ['LIST'], 'tree': os.environ['TREE'], 'args': sys.argv[1:]}, open(os.environ['NOMAD_ALLOC_DIR'] + '/said.json', 'w'))",
        ], [var.text], var.lines)
      }

      env {
        SAID = var.text
        LIST = jsonencode(var.lines)
        TREE = jsonencode(var.tree)
      }

      vault {}

      resources {
        cpu    = 20
        memory = 48
      }
    }
  }
}
