# Values for jobs/meta/edge.nomad.hcl, which describes each of them. `fill.sh` puts an authority in.
environment  = "meta"
image        = "calvinverse/edge:qa"
host         = "0.0.0.0"
port         = 8443
address      = "calvinverse.example.org"
service_port = 8400
ui_port      = 8401

# Below it are the entry points of environments. Without them: "".
entry_domain = "apps.example.net"
parts_ca     = "PARTS_CA"
