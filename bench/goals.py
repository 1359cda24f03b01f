"""What the design promises, beside what was measured."""

import dataclasses
import typing

from case import GUARDED, PLAIN
from chapter import table

MB = 10**6
# What the allocator keeps back differs from run to run.
NOISE = 8 * MB
# What "far below" the others is taken for.
FAR_BELOW = 0.5

# What the design measured with small programs, as ratios to nginx's plain proxy; the names are those of the figures.
MEASURED_BEFORE = [
    ("HAProxy, bytes only", 0.7, "ratio haproxy-bytes"),
    ("Portunus, plain", 0.93, "ratio portunus-plain"),
    ("Portunus, key + limit + log, one key", 0.98, "ratio portunus-guarded"),
    ("Portunus, key + limit + log, one of 100,000 keys", 0.98, "one of many Portunus"),
    ("HAProxy, plain", 1.15, "ratio haproxy-plain"),
    ("nginx, key + limit + log, one of 100,000 keys", 1.33, "one of many nginx"),
    ("Envoy, plain", 5, "ratio envoy-plain"),
    ("Caddy, plain", 8, "ratio caddy-plain"),
]


@dataclasses.dataclass
class Goal:
    """A figure that must not be above a limit."""

    what: str
    figure: str
    most: float
    show: typing.Callable[[float], str]


def ratio(value):
    return f"{value:.2f} ×"


GOALS = [
    Goal("plain route, × nginx plain", "ratio portunus-plain", 0.95, ratio),
    Goal("key + limit + log, × nginx plain", "ratio portunus-guarded", 1.0, ratio),
    Goal("key + limit + log, × nginx doing the same", "guarded to nginx", 0.75, ratio),
    Goal("key + limit + log, × HAProxy doing the same", "guarded to HAProxy", FAR_BELOW, ratio),
    Goal("key + limit + log, × Envoy doing the same", "guarded to Envoy", FAR_BELOW, ratio),
    Goal("one of 5,000 routes and 100,000 keys, × one of each, CPU", "scale one", 1.05, ratio),
    Goal("all of 5,000 routes and 100,000 keys at random, × one of each, CPU", "scale all", 1.05, ratio),
    Goal(
        "all of 5,000 routes and 100,000 keys at random, × one of each, instructions", "instructions scale", 1.05, ratio
    ),
    Goal(
        "added latency at half load, p99, plain", f"added p99 Portunus, {PLAIN}, half", 1.0, lambda ms: f"{ms:.2f} ms"
    ),
    Goal(
        "added latency at half load, p99, key + limit + log",
        f"added p99 Portunus, {GUARDED}, half",
        1.0,
        lambda ms: f"{ms:.2f} ms",
    ),
    Goal("memory after the start", "memory at start", 30 * MB, lambda size: f"{size / MB:.1f} MB"),
    Goal("memory of an idle connection", "memory of a connection", 20_000, lambda size: f"{size / 1000:.1f} KB"),
    Goal("growth of memory from 2,000 to 10,000 changes", "growth", NOISE, lambda size: f"{size / MB:.1f} MB"),
    Goal("one change among 100,000 consumers, live on the node", "change", 0.05, lambda s: f"{s * 1000:.1f} ms"),
    Goal("cold start with 100,000 consumers", "cold start", 2, lambda s: f"{s:.2f} s"),
]
# Goals that only making the path cheaper reaches.
CPU = {"ratio portunus-plain", "ratio portunus-guarded", "guarded to nginx", "guarded to HAProxy", "guarded to Envoy"}


def missed(figures):
    """The goals that were measured and not reached."""
    return [goal for goal in GOALS if goal.figure in figures and figures[goal.figure] > goal.most]


def lines(figures, whole):
    """The table of goals; of a run in parts, only those that were measured."""
    rows = []
    for goal in GOALS:
        most = f"≤ {goal.show(goal.most)}"
        value = figures.get(goal.figure)
        if value is None and whole:
            rows.append([goal.what, most, "not measured", ""])
        elif value is not None:
            verdict = "reached" if value <= goal.most else f"missed by {value / goal.most - 1:.0%}"
            rows.append([goal.what, most, goal.show(value), verdict])
    return table(["goal", "at most", "measured", ""], rows)


def before(figures, whole):
    """What the design expected of the ratios, and what they are."""
    rows = []
    for what, was, figure in MEASURED_BEFORE:
        if figure not in figures and not whole:
            continue
        rows.append([what, f"{was:.2f}", f"{figures[figure]:.2f}" if figure in figures else "not measured"])
    return table(["CPU per request, × nginx plain", "design", "measured"], rows)
