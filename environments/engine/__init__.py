"""Durable execution: leases, journal, workers, the clock."""
