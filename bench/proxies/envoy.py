"""Envoy, from the package that `scripts/setup bench` fetches from PyPI."""

import json
import os
import secrets

import work
from case import GUARDED, LIMIT, Case, name_of, prefix

NAME = "Envoy"
BINARY = work.OUT / "envoy" / "envoy" / "_bin" / "envoy"
TYPE = "type.googleapis.com/envoy.extensions."
CONSUMER = "X-Consumer"


def binary():
    """Where it is installed."""
    if not os.access(BINARY, os.X_OK):
        raise work.Fault("Envoy is missing; `scripts/setup bench` fetches it from PyPI")
    return BINARY


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed(name, kind, **config):
    return {"name": name, "typed_config": {"@type": TYPE + kind, **config}}


def guard(key, limit):
    """What Portunus does with a key and a limit, said in Envoy's words."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": limit, "tokens_per_fill": limit, "fill_interval": "1s"}
    return [
        typed(
            "envoy.filters.http.api_key_auth",
            "filters.http.api_key_auth.v3.ApiKeyAuth",
            credentials=[{"key": key, "client": "consumer-0000000"}],
            key_sources=[{"header": "X-API-Key"}],
            forwarding={"header": CONSUMER, "hide_credentials": True},
        ),
        typed(
            "envoy.filters.http.local_ratelimit",
            "filters.http.local_ratelimit.v3.LocalRateLimit",
            stat_prefix="limit",
            token_bucket=bucket,
            filter_enabled=always,
            filter_enforced=always,
            rate_limits=[{"actions": [{"request_headers": {"header_name": CONSUMER, "descriptor_key": "consumer"}}]}],
            descriptors=[{"entries": [{"key": "consumer", "value": "consumer-0000000"}], "token_bucket": bucket}],
        ),
    ]


def access_log(path):
    """The line that the others write, too."""
    return typed(
        "envoy.access_loggers.file",
        "access_loggers.file.v3.FileAccessLog",
        path=str(path),
        log_format={
            "json_format": {
                "timestamp": "%START_TIME%",
                "level": "info",
                "message": "request completed",
                "method": "%REQ(:METHOD)%",
                "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                "status": "%RESPONSE_CODE%",
                "latency": "%DURATION%",
                "request_id": "%REQ(X-REQUEST-ID)%",
                "client_ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                "bytes": "%BYTES_SENT%",
                "tenant": "default",
                "api": "bench",
                "consumer": f"%REQ({CONSUMER})%",
                "upstream_latency": "%RESPONSE_DURATION%",
                "upstream": "%UPSTREAM_HOST%",
            }
        },
    )


def config(port, upstream, key, limit, log):
    """The whole configuration, fixed at the start."""
    route = {
        "match": {"prefix": f"{prefix(0)}/"},
        "route": {"cluster": "upstream", "prefix_rewrite": "/", "timeout": "60s"},
    }
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        codec_type="AUTO",
        use_remote_address=True,
        access_log=[access_log(log)] if log else [],
        route_config={"virtual_hosts": [{"name": "bench", "domains": ["*"], "routes": [route]}]},
        http_filters=[
            *(guard(key, limit) if key else []),
            typed("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
    )
    endpoint = {"endpoint": {"address": address(upstream)}}
    plenty = {"max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [plenty]},
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "entry", "address": address(port), "filter_chains": [{"filters": [manager]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def start(place, upstream, what, limit=LIMIT, tag=""):
    """Envoy, one worker per core."""
    name = name_of(NAME, what, tag)
    folder = place.folder / name
    folder.mkdir()
    port = work.free_port()
    key = secrets.token_urlsafe(32) if what == GUARDED else None
    log = place.folder / f"{name}.log" if what == GUARDED else None
    path = folder / "envoy.json"
    path.write_text(json.dumps(config(port, upstream, key, limit, log)))
    command = [binary(), "-c", path, "--concurrency", work.cores(), "--disable-hot-restart", "--log-level", "error"]
    # By default it writes what is in the buffer of its log every ten seconds.
    process = place.start(name, [*command, "--file-flush-interval-msec", 1000])
    process.wait_for(port)
    return Case(NAME, what, process, port, key, log)
