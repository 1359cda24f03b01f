"""Latency at a fixed rate, through each proxy and directly at the upstream."""

import dataclasses
import statistics
import sys

import load
from chapter import Chapter, spread, table
from rounds import observe

NAME = "latency"
# A rate that every proxy can keep up.
RATE = 4_000


@dataclasses.dataclass
class Pair:
    """The same load through a proxy and directly."""

    through: load.Latency
    direct: load.Latency
    others: float

    @property
    def added99(self):
        return self.through.p99 - self.direct.p99


def run(field):
    """Measures at the same rate for all, and at half of what each can do."""
    cases = field.plain + [case for case in field.guarded if case.proxy in ("nginx", "Portunus")]
    lines = [
        f'`h2load --h1` over {load.CONNECTIONS} connections at a fixed rate, milliseconds. "Added" is the difference to the same',
        "load sent to the upstream directly, round by round.",
    ]
    figures, errors = {}, 0
    for label, title, rate_of in (
        ("fixed", f"At {RATE:,} requests/s", lambda case: RATE),
        ("half", "At half of what each can do", lambda case: capacity(field, case) / 2),
    ):
        rows = []
        for case in cases:
            pairs = pairs_of(field, case, rate_of(case))
            rows.append(row(case, pairs))
            figures[f"added p99 {case.name}, {label}"] = statistics.median(one.added99 for one in pairs)
            errors += sum(one.through.errors for one in pairs)
            print(f"latency  {'  '.join(rows[-1])}", file=sys.stderr)
        lines += ["", f"{title}:", "", *table(["case", "requests/s", "p50", "p99", "added p50", "added p99"], rows)]
    return Chapter("Latency", lines, figures, errors=errors)


def row(case, pairs):
    """One line of a table: medians."""
    return [
        case.name,
        f"{statistics.median(one.through.rate for one in pairs):,.0f}",
        f"{statistics.median(one.through.p50 for one in pairs):.2f}",
        f"{statistics.median(one.through.p99 for one in pairs):.2f}",
        spread([one.through.p50 - one.direct.p50 for one in pairs]),
        spread([one.added99 for one in pairs]),
    ]


def capacity(field, case):
    """Requests per second at full load."""
    if case.name not in field.capacity:
        outcome = load.wrk(case.url(), 3, headers=case.headers)
        field.capacity[case.name] = outcome.requests / outcome.seconds
    return field.capacity[case.name]


def pairs_of(field, case, rate):
    """As many measurements as there are rounds."""
    return [field.rounds.quiet(lambda: pair(field, case, rate)) for _ in range(field.few)]


def pair(field, case, rate):
    """One measurement through the proxy and one directly at the upstream."""
    seconds = field.short
    direct = f"http://127.0.0.1:{field.upstream_port}/"

    def fire():
        through = load.at_rate(case.url(), rate, seconds, field.place, case.headers)
        return through, load.at_rate(direct, rate, seconds, field.place, case.headers)

    latencies, usage = observe([case.process, field.upstream], fire)
    return Pair(*latencies, usage.others)
