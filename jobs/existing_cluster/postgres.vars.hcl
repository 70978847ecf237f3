# Values for jobs/meta/postgres.nomad.hcl, which describes each of them.
environment  = "meta"
image        = "calvinverse/postgres:qa"
instances    = 1
port         = 8432
host_network = "loopback"
