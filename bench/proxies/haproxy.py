"""HAProxy, in HTTP mode, and in TCP mode as the floor: it only carries bytes."""

import secrets

import work
from case import BYTES, GUARDED, LIMIT, Case, name_of, prefix

NAME = "HAProxy"

CONFIG = """
global
  nbthread {threads}
  maxconn {connections}
  {log}
defaults
  mode {mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend entry
  bind 127.0.0.1:{port}
  {rules}
  default_backend upstream
backend upstream
  {reuse}
  server upstream 127.0.0.1:{upstream}
"""

# The part of the path behind the route: fields of "/bench/00000/item" are counted from the empty one before the first slash.
STRIP = """
  bind 127.0.0.1:{h2_port} proto h2
  http-request deny deny_status 404 unless {{ path_beg {prefix}/ }}
  http-request set-path "/%[path,field(4,/,0)]"
"""

# What Portunus does with a key, a limit and a log, said in HAProxy's words.
GUARD = """
  log global
  log-format '{{"timestamp":"%Ts","level":"info","message":"request completed","method":"%HM","path":"%HPO","status":%ST,"latency":%Ta,"request_id":"%ID","client_ip":"%ci","bytes":%B,"tenant":"default","api":"bench","consumer":"%[var(txn.consumer)]","upstream_latency":%Tr,"upstream":"%si:%sp"}}'
  unique-id-format %[uuid]
  unique-id-header X-Request-ID
  http-request set-var(txn.consumer) req.hdr(X-API-Key),map({keys})
  http-request deny deny_status 401 unless {{ var(txn.consumer) -m found }}
  http-request track-sc0 var(txn.consumer) table consumers
  http-request deny deny_status 429 if {{ sc_http_req_rate(0,consumers) gt {limit} }}
  http-request del-header X-API-Key
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header Via "1.1 haproxy"
  http-response set-header X-Request-ID %[unique-id]
"""
TABLE = """
backend consumers
  stick-table type string len 64 size 1m expire 10m store http_req_rate(1s)
"""


def start(place, upstream, what, limit=LIMIT, tag="", connections=2048):
    """HAProxy, one thread per core."""
    name = name_of(NAME, what, tag)
    folder = place.folder / name
    folder.mkdir()
    port, h2_port = work.free_port(), work.free_port()
    key = log = None
    rules = "" if what == BYTES else STRIP.format(h2_port=h2_port, prefix=prefix(0))
    tail = ""
    if what == GUARDED:
        key = secrets.token_urlsafe(32)
        log = place.folder / f"{name}.log"
        keys = folder / "keys.map"
        keys.write_text(f"{key} consumer-0000000\n")
        rules = GUARD.format(keys=keys, limit=limit) + rules
        tail = TABLE
    config = folder / "haproxy.cfg"
    config.write_text(
        CONFIG.format(
            threads=work.cores(),
            connections=connections,
            # Its standard output is the log file. There is no buffer in between: it writes a line at a time.
            log="log stdout format raw local0" if log else "",
            mode="tcp" if what == BYTES else "http",
            port=port,
            rules=rules,
            reuse="" if what == BYTES else "http-reuse always",
            upstream=upstream,
        )
        + tail
    )
    process = place.start(name, [work.program("haproxy"), "-db", "-f", config], stdout=log)
    process.wait_for(port)
    return Case(NAME, what, process, port, key, log, None if what == BYTES else h2_port)
