"""nginx."""

import os
import secrets

import work
from case import GUARDED, LIMIT, Case, name_of, prefix

NAME = "nginx"

CONFIG = """
daemon off;
worker_processes {workers};
error_log stderr error;
pid {folder}/nginx.pid;
{user}
worker_rlimit_nofile 16384;
events {{ worker_connections {connections}; }}
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

PROXY = """
  upstream backend {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  {guard}
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{h2_port} http2;
    client_max_body_size 100m;
    # Large answers are streamed and not parked in files.
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {checks}
    {routes}
  }}
"""
ROUTE = """location {prefix}/ {{ {check} proxy_pass http://backend/; }}
    """

# What Portunus does with a key, a limit and a log, said in nginx's words. Both write their log through a buffer.
GUARD = """
  map_hash_max_size 1000000;
  map_hash_bucket_size 128;
  map $http_x_api_key $consumer {{ default ""; {keys} }}
  limit_req_zone $consumer zone=consumers:64m rate={limit}r/s;
  limit_req_status 429;
  log_format line escape=json '{{"timestamp":"$time_iso8601","level":"info","message":"request completed",'
    '"method":"$request_method","path":"$uri","status":$status,"latency":"$request_time",'
    '"request_id":"$request_id","client_ip":"$remote_addr","bytes":$body_bytes_sent,"tenant":"default",'
    '"api":"bench","consumer":"$consumer","upstream_latency":"$upstream_response_time","upstream":"$upstream_addr"}}';
"""
CHECKS = """
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


def server(place, name, workers, http_part, connections=1024):
    """Starts an nginx with this part in its `http` block."""
    folder = place.folder / name
    folder.mkdir()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(CONFIG.format(folder=folder, user=user, workers=workers, http=http_part, connections=connections))
    return place.start(name, [work.program("nginx"), "-p", folder, "-c", config, "-e", "stderr"])


def start(place, upstream, what, limit=LIMIT, tag="", connections=1024, routes=1, keys=None):
    """nginx as a proxy, one worker per core; `keys` are those that are accepted, one if left out."""
    name = name_of(NAME, what, tag)
    port, h2_port = work.free_port(), work.free_port()
    log = None
    guard = checks = check = ""
    if what == GUARDED:
        keys = keys or [secrets.token_urlsafe(32)]
        log = place.folder / f"{name}.log"
        named = " ".join(f'"{key}" consumer-{number:07};' for number, key in enumerate(keys))
        guard = GUARD.format(keys=named, limit=limit)
        checks = CHECKS.format(limit=limit, log=log)
        check = 'if ($consumer = "") { return 401; }'
    paths = "".join(ROUTE.format(prefix=prefix(route), check=check) for route in range(routes))
    http_part = PROXY.format(upstream=upstream, guard=guard, checks=checks, routes=paths, port=port, h2_port=h2_port)
    process = server(place, name, work.cores(), http_part, connections)
    process.wait_for(port, 60)
    return Case(NAME, what, process, port, keys[0] if keys else None, log, h2_port)
