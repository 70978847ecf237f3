"""The terminal application: all that it knows of the service comes through `environments.client`."""
