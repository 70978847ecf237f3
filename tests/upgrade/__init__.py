"""Upgrading in place: a deployed older commit, with environments of every kind, becomes this checkout."""
