# Values for jobs/meta/provisioning.nomad.hcl, which describes each of them. `fill.sh` puts addresses and authorities in.
environment  = "meta"
image        = "calvinverse/provisioning:qa"
port         = 8400
host_network = "loopback"

# Without PostgreSQL: database = "" and workers = 0.
database = "postgresql://calvinverse@postgres.calvinverse.internal:8432/calvinverse?hostaddr=127.0.0.1&sslmode=verify-full"
workers  = 1

# Without the edge: false.
edge = true

# As in edge.vars.hcl: what lies below this domain, and the port of the edge.
entry_domain = "apps.example.net"
entry_port   = 8443

# Links in warnings begin with the address of the edge. With channels that deliver warnings: warnings = true, and their file
# as the field `file` of the secret secret/environments/meta/warning-channels.
external_address = "https://calvinverse.example.org:8443"
warnings         = false

# With OpenID providers of your own beside the built-in one: providers = true, and their file as the field `file` of the secret
# secret/environments/meta/identity-providers.
providers = false

consul_address  = "CONSUL_HTTP_ADDR"
consul_ca       = "CONSUL_CACERT"
openbao_address = "BAO_ADDR"
openbao_ca      = "BAO_CACERT"
nomad_address   = "NOMAD_ADDR"
nomad_ca        = "NOMAD_CACERT"
parts_ca        = "PARTS_CA"
