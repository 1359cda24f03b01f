"""Memory after the start, and for each idle connection."""

import socket
import time

import work
from case import BODY, GUARDED, PATH, PLAIN
from chapter import Chapter, table
from proxies import caddy, envoy, haproxy, nginx

NAME = "memory"
CONNECTIONS = 5000


def run(field):
    """Starts each proxy anew and opens connections that then do nothing."""
    port, place = field.upstream_port, field.place
    starts = [
        (nginx.NAME, lambda: nginx.start(place, port, PLAIN, tag="idle", connections=8192)),
        (haproxy.NAME, lambda: haproxy.start(place, port, PLAIN, tag="idle", connections=6000)),
        (envoy.NAME, lambda: envoy.start(place, port, PLAIN, tag="idle")),
        (caddy.NAME, lambda: caddy.start(place, port, tag="idle")),
        ("Portunus", lambda: field.portunus(PLAIN, tag="idle").start_first()),
        ("Portunus with key", lambda: field.portunus(GUARDED, tag="idle").start_first()),
    ]
    rows, figures = [], {}
    for name, start in starts:
        case = field.attempt(name, start)
        if not case:
            rows.append([name, "n/a", "n/a", "n/a"])
            continue
        before = steady(case.process)
        each, with_all = idle(case)
        case.process.stop()
        rows.append([case.name, f"{before / 2**20:.1f}", f"{with_all / 2**20:.1f}", f"{each / 1024:.1f}"])
        if case.proxy == "Portunus":
            figures["memory at start"] = max(before, figures.get("memory at start", 0))
            figures["memory of a connection"] = max(each, figures.get("memory of a connection", 0))
    lines = [
        f"Resident memory (VmRSS) of all processes: after the start, with {CONNECTIONS:,} connections that have each had one",
        "answer and are kept alive, and the difference for each of them. nginx's processes share pages, which are counted",
        "for each; Portunus includes its control plane and its store.",
        "",
        *table(["case", "MiB at start", f"MiB with {CONNECTIONS:,}", "KiB each"], rows),
    ]
    return Chapter("Memory", lines, figures)


def idle(case):
    """Bytes of memory for each idle connection, and in all."""
    key = f"X-API-Key: {case.key}\r\n" if case.key else ""
    request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{case.port}\r\n{key}\r\n".encode()
    connections = []
    try:
        # What the first requests make is not for the connections.
        ask(connections, case.port, request, 50)
        before = steady(case.process)
        ask(connections, case.port, request, CONNECTIONS)
        after = steady(case.process)
    finally:
        for connection in connections:
            connection.close()
    return (after - before) / CONNECTIONS, after


def ask(connections, port, request, count):
    """Opens connections and asks once over each."""
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connections.append(connection)
        connection.sendall(request)
        answer = b""
        while BODY.encode() not in answer:
            more = connection.recv(65536)
            if not more:
                raise work.Fault(f"the connection was closed after {answer[:200]!r}")
            answer += more


def steady(process, seconds=5):
    """Memory once it does not change any more."""
    deadline = time.monotonic() + seconds
    found = [process.memory()]
    while time.monotonic() < deadline and len(found) - found.index(found[-1]) < 5:
        time.sleep(0.1)
        found.append(process.memory())
    return found[-1]
