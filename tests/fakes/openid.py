"""An OpenID provider on this machine, as far as a login by authorization code with PKCE needs one."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


class Provider(BaseHTTPRequestHandler):
    """An OpenID provider that lets everybody in at once."""

    issued: dict[str, dict[str, str]]
    token = ""

    def do_OPTIONS(self) -> None:
        self._send(204, {})

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        issuer = f"http://{self.headers['Host']}"
        if asked.path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": f"{issuer}/in", "token_endpoint": f"{issuer}/token"}
            self._send(200, {"issuer": issuer} | places)
            return
        wanted = {name: values[0] for name, values in parse_qs(asked.query).items()}
        code = secrets.token_urlsafe(8)
        self.issued[code] = wanted
        self.send_response(303)
        answer = urlencode({"code": code, "state": wanted["state"]})
        self.send_header("Location", f"{wanted['redirect_uri']}?{answer}")
        self.end_headers()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        wanted = self.issued.pop(form["code"][0])
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"][0].encode()).digest())
        if challenge.decode().rstrip("=") != wanted["code_challenge"] or form["client_id"] != ["console"]:
            self._send(400, {})
            return
        claims = base64.urlsafe_b64encode(json.dumps({"nonce": wanted["nonce"]}).encode()).decode().rstrip("=")
        self._send(200, {"id_token": f"e30.{claims}.x", "access_token": type(self).token})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        if status != 204:
            self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        """Nothing to the terminal."""
