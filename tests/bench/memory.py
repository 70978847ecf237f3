"""The memory of processes."""

import re
from pathlib import Path


def resident(pid: int | str = "self") -> float:
    """Bytes that a process has in memory (proc(5))."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
