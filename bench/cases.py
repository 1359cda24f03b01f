"""What is measured: nginx and Portunus, each with two amounts of work, before one upstream."""

import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import typing

import work

PLAIN = "plain"
GUARDED = "key + limit + log"
# 128 bytes, the size of a small JSON answer.
BODY = json.dumps({"id": 1, "name": "a small answer", "padding": "x" * 83}, separators=(",", ":"))
PATH = "/bench/item"
# A limit that is checked on every request and refuses none.
LIMIT = 1_000_000


@dataclasses.dataclass
class Case:
    """A proxy with an amount of work."""

    proxy: str
    work: str
    process: work.Process
    port: int
    key: typing.Optional[str]
    log: typing.Optional[pathlib.Path]

    @property
    def name(self):
        return f"{self.proxy}, {self.work}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{PATH}"

    def check(self):
        """Fails unless it does what it is measured for."""
        status, body, headers = self.ask(self.key)
        if status != 200 or body != BODY:
            raise work.Fault(f"{self.name}: the answer is {status} with {body[:200]!r}")
        if self.key:
            # nginx tells no caller of its limit.
            if self.proxy == "Portunus" and headers.get("X-RateLimit-Limit") != str(LIMIT):
                raise work.Fault(f"{self.name}: the limit is not applied")
            for wrong in (None, "x" * len(self.key)):
                status, *_ = self.ask(wrong)
                if status != 401:
                    raise work.Fault(f"{self.name}: a wrong key is answered {status} instead of 401")

    def ask(self, key):
        """Status, body and headers of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", PATH, headers={"X-API-Key": key} if key else {})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, body, answer.headers


NGINX = """
daemon off;
worker_processes {workers};
error_log stderr error;
pid {folder}/nginx.pid;
{user}
worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  access_log off;
  # The default closes connections after 1000 requests.
  keepalive_requests 1000000000;
  {http}
}}
"""

UPSTREAM = """
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    location / {{ return 200 '{body}'; }}
  }}
"""

PROXY = """
  upstream backend {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  {guard}
  server {{
    listen 127.0.0.1:{port};
    location /bench/ {{
      {checks}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://backend/;
    }}
  }}
"""

# What Portunus does with a key, a limit and a log, said in nginx's words. Both write their log through a buffer.
GUARD = """
  map $http_x_api_key $consumer {{ default ""; "{key}" bench; }}
  limit_req_zone $consumer zone=consumers:10m rate={limit}r/s;
  log_format line escape=json '{{"timestamp":"$time_iso8601","level":"info","message":"request completed",'
    '"method":"$request_method","path":"$uri","status":$status,"latency":"$request_time",'
    '"request_id":"$request_id","client_ip":"$remote_addr","bytes":$body_bytes_sent,"tenant":"default",'
    '"api":"bench","consumer":"$consumer","upstream_latency":"$upstream_response_time","upstream":"$upstream_addr"}}';
"""
CHECKS = """
      if ($consumer = "") {{ return 401; }}
      limit_req zone=consumers burst={limit} nodelay;
      access_log {log} line buffer=64k flush=1s;
      proxy_set_header X-API-Key "";
      proxy_set_header Host $proxy_host;
      proxy_set_header X-Request-ID $request_id;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header Via "1.1 nginx";
      add_header X-Request-ID $request_id;
"""


def nginx(place, name, workers, http_part):
    """Starts an nginx with this part in its `http` block."""
    folder = place.folder / name
    folder.mkdir()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(folder=folder, user=user, workers=workers, http=http_part))
    return place.start(name, [work.program("nginx"), "-p", folder, "-c", config, "-e", "stderr"])


def start_upstream(place):
    """Starts the upstream; gives the process and its port."""
    port = work.free_port()
    process = nginx(place, "upstream", 1, UPSTREAM.format(port=port, body=BODY))
    process.wait_for(port)
    return process, port


def nginx_case(place, upstream, what):
    """nginx as a proxy, one worker per core."""
    name = "nginx-guarded" if what == GUARDED else "nginx-plain"
    port = work.free_port()
    key = log = None
    guard = checks = ""
    if what == GUARDED:
        key = secrets.token_urlsafe(32)
        log = place.folder / f"{name}.log"
        guard = GUARD.format(key=key, limit=LIMIT)
        checks = CHECKS.format(limit=LIMIT, log=log)
    http_part = PROXY.format(upstream=upstream, guard=guard, checks=checks, port=port)
    process = nginx(place, name, work.cores(), http_part)
    process.wait_for(port)
    return Case("nginx", what, process, port, key, log)


def manifests(upstream, what, key):
    """What Portunus is configured with."""
    api = {
        "base_path": "/bench",
        "access": "subscription" if what == GUARDED else "public",
        "upstream": {"targets": [{"url": f"http://127.0.0.1:{upstream}"}]},
    }
    specs = [("Api", "bench", api)]
    if what == GUARDED:
        specs += [
            ("Consumer", "bench", {}),
            ("Subscription", "bench", {"consumer_id": "bench", "api_id": "bench"}),
            ("Credential", "bench", {"consumer_id": "bench", "key_sha256": hashlib.sha256(key.encode()).hexdigest()}),
            ("Policy", "limit", {"policy_type": "rate_limit", "config": {"requests_per_second": LIMIT}}),
            ("Binding", "limit", {"policy_id": "limit", "api_id": "bench"}),
        ]
    return [
        {"apiVersion": "portunus.dev/v1", "kind": kind, "metadata": {"tenant": "default", "name": name}, "spec": spec}
        for kind, name, spec in specs
    ]


class Portunus:
    """Portunus with its data folder and settings, ready to be started."""

    def __init__(self, place, binary, upstream, what):
        self.place = place
        self.binary = binary
        self.what = what
        self.name = "portunus-guarded" if what == GUARDED else "portunus-plain"
        self.key = secrets.token_urlsafe(32) if what == GUARDED else None
        self.folder = place.folder / self.name
        self.folder.mkdir()
        self.manifests = self.folder / "manifests.json"
        self.manifests.write_text(json.dumps({"manifests": manifests(upstream, what, self.key)}))
        self.log = place.folder / f"{self.name}.log" if what == GUARDED else None

    def start(self, before=(), workers=0, apply=True, seconds=20):
        """Starts it, under the program `before` if there is one."""
        port, control = work.free_port(), work.free_port()
        env = {
            "PORTUNUS_DATA_DIR": str(self.folder / "data"),
            "PORTUNUS_LISTEN": f"127.0.0.1:{port}",
            "PORTUNUS_CONTROL_LISTEN": f"127.0.0.1:{control}",
            "PORTUNUS_WORKERS": str(workers),
            # Access lines are `info`: the plain case has none, like nginx with `access_log off`.
            "LOG_LEVEL": "info" if self.what == GUARDED else "warn",
        }
        if apply:
            env["PORTUNUS_MANIFESTS"] = str(self.manifests)
        process = self.place.start(self.name, [*before, self.binary, "serve"], env, self.log)
        process.wait_for(port, seconds)
        return Case("Portunus", self.what, process, port, self.key, self.log)


def start(place, binary, upstream):
    """Starts every case, nginx's plain proxy first: the others are told as ratios to it."""
    cases = [
        nginx_case(place, upstream, PLAIN),
        nginx_case(place, upstream, GUARDED),
        Portunus(place, binary, upstream, PLAIN).start(),
        Portunus(place, binary, upstream, GUARDED).start(),
    ]
    for case in cases:
        case.check()
    return cases
