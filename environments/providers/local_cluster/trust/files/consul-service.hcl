# The provisioning service: keys and services of environments, and the policies that go with them.
# Writing access control amounts to management; that it can't be narrower is Consul's.
acl = "write"
key_prefix "environments/" { policy = "write" }
service_prefix "" { policy = "write" }
node_prefix "" { policy = "write" }
agent_prefix "" { policy = "read" }
