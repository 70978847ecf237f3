"""A program that waits for a port of loopback to be free, takes it, and says what it hears there.

It runs in a job, or as another user of the machine. Lines: `TAKEN`; for each connection `REFUSED …` if the client ended
the handshake, else `HEARD …` with what came, decrypted.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = "65534"

SCRIPT = """
import os, socket, ssl, tempfile, threading, time

with tempfile.NamedTemporaryFile("w") as file:
    file.write(os.environ["PEM"])
    file.flush()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file.name)

while True:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(os.environ["TAKE"])))
        listener.listen(50)
        break
    except OSError:
        listener.close()
        time.sleep(0.01)
print("TAKEN", flush=True)

def hear(link):
    link.settimeout(20)
    try:
        if link.recv(1, socket.MSG_PEEK) == b"\\x16":
            link = context.wrap_socket(link, server_side=True)
        print("HEARD", repr(link.recv(65536)), flush=True)
    except OSError as error:
        print("REFUSED", error, flush=True)
    link.close()

while True:
    threading.Thread(target=hear, args=(listener.accept()[0],)).start()
"""
"""The program; PEM (a certificate and its key) and TAKE (the port) come as variables."""

TEMPLATE = """
[template]
name = "taker"
version = "1"
description = "A job that waits for a port of loopback"
network = "host"

[lifetime]
default = "2h"

[parameters.port]
type = "integer"

[parameters.pem]
type = "string"

[[steps]]
name = "app"
uses = "nomad.job"

[steps.with]
file = "app.nomad.hcl"

[steps.with.variables]
image = "{{ images.base }}"
port = "{{ parameters.port }}"
pem = "{{ parameters.pem }}"
"""

JOB = """
variable "image" {
  type = string
}

variable "port" {
  type = number
}

variable "pem" {
  type = string
}

job "app" {
  group "g" {
    task "main" {
      driver       = "docker"
      kill_timeout = "1s"

      config {
        image        = var.image
        force_pull   = false
        network_mode = "host"
        command      = "python3"
        args         = ["-u", "-c", <<-EOT
SCRIPT
        EOT
        ]
      }

      env {
        TAKE = var.port
        PEM  = var.pem
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
"""


def template_files() -> dict[str, bytes]:
    """A template with that program in a job; its parameters are `port` and `pem`."""
    indented = "".join(f"          {line}\n" if line else "\n" for line in SCRIPT.strip().splitlines())
    return {"template.toml": TEMPLATE.encode(), "app.nomad.hcl": JOB.replace("SCRIPT\n", indented).encode()}


@contextmanager
def other_user(port: int, pem: str, folder: Path) -> Iterator[Path]:
    """The program as the user nobody; gives the file with its lines."""
    said, setpriv = folder / "said", shutil.which("setpriv")
    assert setpriv is not None
    as_nobody = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=KILL", "--"]
    with said.open("wb") as file:
        process = subprocess.Popen(
            [*as_nobody, shutil.which("python3", path="/usr/bin:/bin") or sys.executable, "-u", "-c", SCRIPT],
            env={"PATH": os.environ["PATH"], "PEM": pem, "TAKE": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",
        )
    try:
        yield said
    finally:
        process.kill()
        process.wait(timeout=60)
