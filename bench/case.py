"""A proxy with an amount of work, ready to be measured."""

import dataclasses
import http.client
import json
import pathlib
import time

import work

PLAIN = "plain"
GUARDED = "key + limit + log"
BYTES = "bytes only"
SHORT = {PLAIN: "plain", GUARDED: "guarded", BYTES: "bytes"}
# 128 bytes, the size of a small JSON answer.
BODY = json.dumps({"id": 1, "name": "a small answer", "padding": "x" * 83}, separators=(",", ":"))
# A limit per second that is checked on every request and refuses none.
LIMIT = 1_000_000
# One that refuses, to see that the limit is checked.
LOW_LIMIT = 3
IN_A_ROW = 40


def name_of(proxy, what, tag=""):
    """A name for processes, files and history: `nginx-guarded`, `haproxy-bytes`."""
    return "-".join(part for part in (proxy.lower(), SHORT[what], tag) if part)


def prefix(route):
    """The path of a route; all are equally long, so that only their number differs."""
    return f"/bench/{route:05}"


PATH = f"{prefix(0)}/item"


@dataclasses.dataclass
class Case:
    """A proxy with an amount of work."""

    proxy: str
    work: str
    process: work.Process
    port: int
    key: str | None = None
    log: pathlib.Path | None = None
    # A listener for HTTP/2 over plain TCP, where the first one does not take both.
    h2_port: int | None = None

    @property
    def name(self):
        return f"{self.proxy}, {self.work}"

    @property
    def headers(self):
        """What a load must send along."""
        return [f"X-API-Key: {self.key}"] if self.key else []

    def url(self, path=PATH, h2=False):
        return f"http://127.0.0.1:{(h2 and self.h2_port) or self.port}{path}"

    def check(self):
        """Fails unless it does what it is measured for."""
        status, body = self.ask(self.key)
        if status != 200 or body != BODY:
            raise work.Fault(f"{self.name}: the answer is {status} with {body[:200]!r}")
        if self.key:
            for wrong in (None, "x" * len(self.key)):
                status, _ = self.ask(wrong)
                if status not in (401, 403):
                    raise work.Fault(f"{self.name}: a wrong key is answered {status} instead of 401")
        if self.log:
            deadline = time.monotonic() + 5
            while not (self.log.exists() and self.log.stat().st_size):
                if time.monotonic() > deadline:
                    raise work.Fault(f"{self.name}: nothing is written to its access log")
                time.sleep(0.05)

    def check_limit(self):
        """Fails unless a limit of `LOW_LIMIT` refuses some of many requests."""
        statuses = [self.ask(self.key)[0] for _ in range(IN_A_ROW)]
        if statuses[0] != 200 or 429 not in statuses:
            raise work.Fault(f"{self.name}: the limit is not applied, the answers are {sorted(set(statuses))}")

    def ask(self, key, path=PATH):
        """Status and body of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"X-API-Key": key} if key else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()
