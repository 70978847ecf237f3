"""Use cases; each port is written beside the use case that needs it."""
