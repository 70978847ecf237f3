"""Component tests make as much that stays as unit tests do."""

import gc

gc.set_threshold(50_000, 20, 20)  # as in `tests/unit/conftest.py`
