"""The guard of unit tests: whatever a unit test must not do fails it with a sentence."""

import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (lambda: threading.Thread(target=print).start(), "start a thread"),
        (lambda: ThreadPoolExecutor(1).submit(print), "start a thread"),
        (socket.socket, "open a socket"),
        (lambda: sqlite3.connect(":memory:"), "connect to a database"),
        (lambda: psycopg.connect("host=127.0.0.1 port=1"), "connect to a database"),
        (lambda: subprocess.run(["true"], check=True), "start a program"),
        (os.fork, "start a process"),
    ],
)
def test_what_needs_more_than_the_locked_packages_fails(deed: Callable[[], object], words: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"A unit test must not {words}"):
        deed()
