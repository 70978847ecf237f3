"""Fuzzing: a sample with all tests, ten minutes with `doit test:fuzz`."""

import os

SECONDS = float(os.environ.get("CALVINVERSE_FUZZ_SECONDS", "60"))
"""How long all of it may take together."""
