"""The provisioning service: creates, updates and destroys environments."""
