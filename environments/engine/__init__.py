"""Durable execution: leases, journal, workers, the scheduler."""
