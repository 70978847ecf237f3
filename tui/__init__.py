"""The terminal application. It reaches the service only through `environments.client`."""
