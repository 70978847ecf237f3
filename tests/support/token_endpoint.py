"""The token endpoint of an OpenID provider on loopback, which answers what a test wants."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

from environments.client.loopback import Endpoints


class TokenEndpoint:
    """Answers every request with `status` and `body`, and keeps the forms that came."""

    def __init__(self) -> None:
        self.status, self.body = 200, json.dumps({"id_token": "a.b.c"}).encode()
        self.asked: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                provider.asked.append({name: values[0] for name, values in form.items()})
                self.send_response(provider.status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(provider.body)))
                self.end_headers()
                self.wfile.write(provider.body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.site = f"http://127.0.0.1:{self._server.server_port}"
        self.endpoints = Endpoints(
            issuer="https://id.example.net",
            client_id="programs",
            authorization="https://id.example.net/authorize?tenant=1",
            token=f"{self.site}/token",
            scopes=("openid", "groups"),
        )

    def close(self) -> None:
        """Stops it; once is enough."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
