"""Standard streams that a shell has closed (`>&-`): in Python they are None."""

import os
import sys


def open_closed() -> None:
    """Puts a stream in the place of each that is closed: nothing can be read, and writing data fails as on a full disk.

    What is said on standard error is lost then: there is nobody to tell. The numbers 0 to 2 are taken by it too, so no
    connection gets the one that a part of the program writes to.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            reads = name != "stderr"  # standard output as well: writing to it fails with EBADF
            number = os.open(os.devnull, os.O_RDONLY if reads else os.O_WRONLY)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))
