"""Calvinverse on a Debian 12 with git, make and Python 3.11, and nothing else: see `run`."""
