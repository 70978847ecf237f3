# Values for jobs/meta/postgres.nomad.hcl, which describes each of them. `fill.sh` puts an authority in.
environment  = "meta"
image        = "calvinverse/postgres:qa"
instances    = 1
port         = 8432
host_network = "loopback"
parts_ca     = "PARTS_CA"
