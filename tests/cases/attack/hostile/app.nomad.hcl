variable "environment" {
  type = string
}

variable "image" {
  type = string
}

variable "victim" {
  type = string
}

variable "addresses" {
  type = map(string)
}

job "app" {
  type = "batch"

  group "g" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    consul {}

    service {
      name = "${var.environment}--hostile"
    }

    task "main" {
      driver       = "docker"
      kill_timeout = "2s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"

        args = ["-u", "-c", <<-EOT
          import json, os, ssl, urllib.error, urllib.request

          victim, me = os.environ["VICTIM"], os.environ["NOMAD_NAMESPACE"]
          at = {part: os.environ["AT_" + part] for part in ("consul", "vault", "nomad", "service")}
          tokens = {
              "consul": ("X-Consul-Token", os.environ["CONSUL_HTTP_TOKEN"]),
              "vault": ("X-Vault-Token", os.environ["VAULT_TOKEN"]),
              "nomad": ("Authorization", "Bearer " + os.environ["NOMAD_TOKEN"]),
              "service": ("Authorization", "Bearer " + os.environ["NOMAD_TOKEN"]),
          }

          whoever = ssl.create_default_context()
          whoever.check_hostname, whoever.verify_mode = False, ssl.CERT_NONE

          def ask(part, method, path, body=None):
              header, token = tokens[part]
              data = None if body is None else json.dumps(body).encode()
              headers = {header: token, "Content-Type": "application/json"}
              request = urllib.request.Request(at[part] + path, data, headers, method=method)
              try:
                  with urllib.request.urlopen(request, timeout=20, context=whoever) as answer:
                      return answer.status, answer.read(200).decode(errors="replace")
              except urllib.error.HTTPError as error:
                  return error.code, error.read(200).decode(errors="replace")

          secret = "/v1/secret/data/environments/"
          task = {"Name": "t", "Driver": "docker", "Config": {"image": "none:none"}}

          def job(namespace):
              group = {"Name": "g", "Tasks": [task]}
              return {"Job": {"ID": "evil", "Name": "evil", "Namespace": namespace, "Type": "batch", "TaskGroups": [group]}}

          own = {
              "own key": ask("consul", "GET", f"/v1/kv/environments/{me}/own"),
              "own secret": ask("vault", "GET", secret + me + "/secret"),
          }
          shut = {
              "consul key": ask("consul", "GET", f"/v1/kv/environments/{victim}/message"),
              "consul keys": ask("consul", "GET", f"/v1/kv/environments/{victim}/?keys"),
              "consul write": ask("consul", "PUT", f"/v1/kv/environments/{victim}/message", "mine"),
              "consul own write": ask("consul", "PUT", f"/v1/kv/environments/{me}/own", "other"),
              "consul service": ask("consul", "PUT", "/v1/agent/service/register", {"Name": victim + "--web"}),
              "consul part": ask("consul", "PUT", "/v1/agent/service/register", {"Name": "meta--provisioning"}),
              "consul tokens": ask("consul", "GET", "/v1/acl/tokens"),
              "consul token": ask("consul", "PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
              "vault secret": ask("vault", "GET", secret + victim + "/database"),
              "vault names": ask("vault", "GET", f"/v1/secret/metadata/environments/{victim}?list=true"),
              "vault environments": ask("vault", "GET", "/v1/secret/metadata/environments?list=true"),
              "vault service": ask("vault", "GET", secret + "meta/sealing-key"),
              "vault module": ask("vault", "GET", f"/v1/secret/data/modules/{me}"),
              "vault webhook": ask("vault", "GET", "/v1/secret/data/webhooks/shop/1"),
              "vault certificate": ask("vault", "POST", f"/v1/pki/issue/{victim}", {"common_name": "x"}),
              "vault entry point": ask("vault", "POST", f"/v1/pki/issue/{me}--edge", {"alt_names": f"web--{me}.apps.localhost"}),
              "vault signature": ask("vault", "POST", f"/v1/pki/sign/{me}--edge", {"alt_names": f"web--{me}.apps.localhost"}),
              "vault token": ask("vault", "POST", "/v1/auth/token/create", {"policies": ["root"]}),
              "vault login": ask("vault", "POST", "/v1/auth/token/create/calvinverse-module", {}),
              "nomad jobs": ask("nomad", "GET", "/v1/jobs?namespace=meta"),
              "nomad submit": ask("nomad", "POST", "/v1/jobs?namespace=meta", job("meta")),
              "nomad own submit": ask("nomad", "POST", f"/v1/jobs?namespace={me}", job(me)),
              "nomad variables": ask("nomad", "GET", "/v1/vars?namespace=meta"),
              "nomad tokens": ask("nomad", "GET", "/v1/acl/tokens"),
              "service environments": ask("service", "GET", "/v1/environments"),
              "service metrics": ask("service", "GET", "/metrics"),
              "service routes": ask("service", "POST", "/v1/edge/routes", {"edge": "mine"}),
          }
          names = sorted(os.environ)
          tokens_seen = [name for name in names if "cv_" in os.environ[name]]
          print("REPORT " + json.dumps({"own": own, "shut": shut, "names": names, "tokens": tokens_seen}))
        EOT
        ]
      }

      env {
        VICTIM     = var.victim
        AT_consul  = var.addresses["consul"]
        AT_vault   = var.addresses["vault"]
        AT_nomad   = var.addresses["nomad"]
        AT_service = var.addresses["service"]
      }

      vault {}
      consul {}

      identity {
        env = true
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
