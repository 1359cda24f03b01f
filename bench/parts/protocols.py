"""Cost by protocol: a connection for each request, HTTP/2, a body in the request."""

import load
from chapter import Chapter, table
from rounds import Shot

NAME = "protocols"
POSTED = 10 << 10
PROTOCOLS = {
    "HTTP/1.1, keep-alive": lambda case, seconds: load.wrk(case.url(), seconds),
    "HTTP/1.1, a connection for each request": lambda case, seconds: load.wrk(
        case.url(), seconds, headers=["Connection: close"]
    ),
    "HTTP/1.1, POST of 10 KB": lambda case, seconds: load.wrk(case.url(), seconds, body=POSTED),
    "HTTP/2 over plain TCP": lambda case, seconds: load.h2(case.url(h2=True), seconds),
}
H2 = "HTTP/2 over plain TCP"


def run(field):
    """Measures every plain proxy with every protocol that it speaks."""
    costs = {}
    errors = 0
    for protocol, fire in PROTOCOLS.items():
        cases = [case for case in field.plain if protocol != H2 or load.speaks_h2(case.url(h2=True))]
        shots = [
            Shot(f"{case.proxy}, {protocol}", case, lambda case=case, fire=fire: fire(case, field.brief))
            for case in cases
        ]
        if not shots:
            continue
        for name, result in field.rounds.run(shots, field.few).items():
            costs[name] = result.cost()
            errors += result.errors()
    proxies = [case.proxy for case in field.plain]
    rows = [[protocol] + [cell(costs, proxy, protocol) for proxy in proxies] for protocol in PROTOCOLS]
    lines = [
        "CPU µs per request of the plain proxies, and in brackets × nginx plain with the same protocol. The upstream is",
        "asked over HTTP/1.1 in all of them. n/a: the proxy does not answer it.",
        "",
        *table(["from the client", *proxies], rows),
    ]
    return Chapter("By protocol", lines, errors=errors)


def cell(costs, proxy, protocol):
    """Its cost and the ratio to nginx."""
    cost, base = costs.get(f"{proxy}, {protocol}"), costs.get(f"nginx, {protocol}")
    if cost is None:
        return "n/a"
    return f"{cost:.1f} ({cost / base:.2f})" if base else f"{cost:.1f}"
