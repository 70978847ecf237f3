"""The folders in which tests of one user tell each other what they use, from whichever checkout they run."""

import os
import stat
import tempfile
from pathlib import Path


def shared_folder(what: str) -> Path:
    """The folder for `what`, made if it is missing (0700).

    It lies in the folder for temporary files, which is everybody's. Raises `PermissionError` for one that others can
    write to: what they put there would be removed, or written to, with the rights of this user.
    """
    folder = Path(tempfile.gettempdir()) / f"calvinverse-test-{what}-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"Others can write to {folder}. Remove it.")
    return folder
