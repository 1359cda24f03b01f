"""Caddy: a plain proxy only, for keys and limits are not part of it."""

import work
from case import PLAIN, Case, name_of, prefix

NAME = "Caddy"

CONFIG = """
{{
  admin off
  auto_https off
  servers {{
    protocols h1 h2c
  }}
}}
http://127.0.0.1:{port} {{
  handle_path {prefix}/* {{
    reverse_proxy 127.0.0.1:{upstream} {{
      transport http {{
        keepalive_idle_conns_per_host 128
      }}
    }}
  }}
}}
"""


def start(place, upstream, what=PLAIN, tag=""):
    """Caddy, with as many threads running Go code as there are cores."""
    name = name_of(NAME, what, tag)
    folder = place.folder / name
    folder.mkdir()
    port = work.free_port()
    config = folder / "Caddyfile"
    config.write_text(CONFIG.format(port=port, prefix=prefix(0), upstream=upstream))
    env = {
        "GOMAXPROCS": str(work.cores()),
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    process = place.start(name, [work.program("caddy"), "run", "--config", config, "--adapter", "caddyfile"], env)
    process.wait_for(port)
    return Case(NAME, what, process, port)
