"""Portunus's API, as far as the bench needs it: a token, manifests in batches, a change."""

import http.client
import json
import urllib.parse

import work

CLIENT = "control-plane-api"


class Control:
    """A connection to the control listener of a Portunus."""

    def __init__(self, port, secret):
        self.port = port
        self.secret = secret
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.token = None

    def log_in(self):
        """Gets a token, which lasts some minutes."""
        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": self.secret}
        told = self.send(
            "POST",
            "/realms/portunus/protocol/openid-connect/token",
            urllib.parse.urlencode(form),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        self.token = told["access_token"]

    def call(self, method, path, body, kind="application/json"):
        """An authorized call; gives its answer."""
        if not self.token:
            self.log_in()
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self.token}"}
        return self.send(method, path, json.dumps(body, separators=(",", ":")), headers)

    def send(self, method, path, body, headers):
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise work.Fault(
                f"Portunus: {method} {path} is answered {answer.status}: {text[:500].decode(errors='replace')}"
            )
        return json.loads(text) if text else None

    def apply(self, manifests):
        """Stores manifests."""
        # The token of the last batch may have run out while a large one was stored.
        self.token = None
        self.call("POST", "/v1/apply", {"manifests": manifests})

    def patch(self, path, change):
        """Changes some fields of a resource."""
        return self.call("PATCH", path, change, "application/merge-patch+json")
