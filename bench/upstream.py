"""The upstream of every proxy: nginx with canned answers."""

import work
from case import BODY
from proxies import nginx

# Name in the path, and size of the answer in bytes.
SIZES = {
    "128 B": 128,
    "1 KB": 1 << 10,
    "10 KB": 10 << 10,
    "100 KB": 100 << 10,
    "1 MB": 1 << 20,
    "10 MB": 10 << 20,
}

HTTP = """
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    client_max_body_size 100m;
    location / {{ return 200 '{body}'; }}
    location /size/ {{
      root {root};
      sendfile on;
      tcp_nopush on;
      open_file_cache max=100;
    }}
  }}
"""


def size_path(size):
    """Below the path of a route, an answer of this size."""
    return f"/size/{SIZES[size]}"


def start(place):
    """Starts it with one worker; gives the process and its port."""
    # In memory: one slow read of a disk would stop all of its answers.
    root = place.memory / "answers"
    (root / "size").mkdir(parents=True)
    for size in SIZES.values():
        (root / "size" / str(size)).write_bytes(b"x" * size)
    port = work.free_port()
    process = nginx.server(place, "upstream", 1, HTTP.format(port=port, body=BODY, root=root))
    process.wait_for(port)
    return process, port
