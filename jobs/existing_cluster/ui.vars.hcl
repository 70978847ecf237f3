# Values for jobs/meta/ui.nomad.hcl, which describes each of them. `fill.sh` puts an authority in.
environment      = "meta"
image            = "calvinverse/ui:qa"
port             = 8401
host_network     = "loopback"
service_port     = 8400
external_address = "https://calvinverse.example.org:8443"
parts_ca         = "PARTS_CA"
