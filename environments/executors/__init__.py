"""One module per step kind."""
