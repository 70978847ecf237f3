"""A program that takes the port of a part while the part is down, and writes down what it is told there.

It runs alone (`python3 -c`), so it needs the standard library only. Its environment: `PORT`, on loopback; `PEM`, a
certificate with its key, for callers that speak TLS, those of PostgreSQL too. It tries until the port is free. Every
line that it prints is a JSON object: `{"event": "bound"}`, `{"event": "refused", "peer": …}` for a caller that didn't
like its certificate, and `{"event": "told", "text": …}` for what a caller said, in plain text or over TLS.
"""

import json
import os
import socket
import ssl
import sys
import tempfile
import threading
import time

TLS_WANTED = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""What a client of PostgreSQL says first when it wants TLS (SSLRequest)."""


def say(**event: str) -> None:
    """Prints one line."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def bound(port: int) -> socket.socket:
    """The listener, once the port is free."""
    while True:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
        except OSError:
            listener.close()
            time.sleep(0.005)
        else:
            return listener


def meet(plain: socket.socket, peer: str, context: ssl.SSLContext) -> None:
    """Lets one caller say what it has to say, and answers that all is well."""
    plain.settimeout(10)
    try:
        channel = plain
        if plain.recv(8, socket.MSG_PEEK) == TLS_WANTED:
            plain.recv(8)
            plain.sendall(b"S")
        if plain.recv(1, socket.MSG_PEEK) == b"\x16":  # a TLS record with a handshake
            channel = context.wrap_socket(plain, server_side=True)
        text = channel.recv(65536)
        if not text:
            say(event="refused", peer=peer, why="it said nothing")
            return
        say(event="told", peer=peer, text=text.decode(errors="replace"))
        channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    except OSError as error:
        say(event="refused", peer=peer, why=str(error))
    finally:
        plain.close()


def main() -> None:
    """Takes the port and keeps it until the process ends."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(os.environ["PEM"])
        file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    listener = bound(int(os.environ["PORT"]))
    say(event="bound")
    while True:
        caller, (peer, _) = listener.accept()
        threading.Thread(target=meet, args=(caller, peer, context), daemon=True).start()


if __name__ == "__main__":
    main()
