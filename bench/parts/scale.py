"""Cost by the number of routes and keys."""

import dataclasses
import pathlib
import statistics
import time

import load
from case import GUARDED, PLAIN, Case
from chapter import Chapter, Plot, amount, spread, table
from proxies import nginx
from rounds import Shot

NAME = "scale"
ROUTES = (1, 100, 1_000, 5_000)
KEYS = (1, 1_000, 100_000)
MOST_KEYS = 1_000_000
LARGE = (5_000, 100_000)
# Every load sends from a list of this many requests, so that the load costs the same for all.
REQUESTS = 100_000
REFERENCE = "nginx plain"


@dataclasses.dataclass
class Point:
    """A proxy with a number of routes and keys, asked for all of them at random or for one."""

    proxy: str
    what: str
    routes: int
    keys: int
    case: Case
    requests: pathlib.Path
    # Seconds that it took to start and configure it.
    configured: float
    memory: int
    one: bool = False

    @property
    def name(self):
        return f"{self.proxy}, {amount(self.what, self.routes, self.keys)}" + (", one in use" if self.one else "")

    def shot(self, seconds):
        return Shot(self.name, self.case, lambda: load.wrk(self.case.url(), seconds, requests=self.requests))


def run(field):
    """Measures Portunus and nginx with few and many."""
    keys = KEYS + ((MOST_KEYS,) if field.options.full else ())
    routes_part = family(field, PLAIN, [(routes, 0) for routes in ROUTES], field.few)
    keys_part = family(field, GUARDED, [(1, count) for count in keys] + [LARGE], field.options.rounds)
    lines = [
        f"Each request asks for a route and brings a key picked at random among all; every load goes through a list of {REQUESTS:,}.",
        'Where it says "one in use", all requests ask for the same of many. The difference between the two is the cost of',
        "caches that do not hold everything, and it has no proxy to itself. × one of each is the ratio to the same proxy with",
        "one route and one key, round by round.",
        "",
        "Plain, by the number of routes (in nginx: `location` blocks; in Portunus: APIs):",
        "",
        *rows(*routes_part),
        "",
        "Key + limit + log, by the number of keys and of both (in nginx: entries of a `map`; in Portunus: consumers, each with",
        "a subscription and a key):",
        "",
        *rows(*keys_part),
        "",
        "![Cost by number of routes](plots/routes.svg) ![Cost by number of keys](plots/keys.svg)",
    ]
    if not field.options.full:
        lines += ["", f"{MOST_KEYS:,} keys are measured with `--full`."]
    results = {**routes_part[1], **keys_part[1]}
    plots = [plot("routes", *routes_part), plot("keys", *keys_part)]
    return Chapter(
        "By number of routes and keys",
        lines,
        figures(*keys_part),
        plots,
        sum(result.errors() for result in results.values()),
    )


def family(field, what, amounts, rounds):
    """Measures points side by side, and nginx's plain proxy with them; gives the points and the results."""
    points = [point for routes, keys in amounts for point in start(field, what, routes, keys)]
    for point in points:
        load.wrk(point.case.url(), 1, requests=point.requests)
    reference = field.nginx()
    shots = [Shot(REFERENCE, reference, lambda: load.wrk(reference.url(), field.brief))]
    results = field.rounds.run(shots + [point.shot(field.brief) for point in points], rounds)
    for point in points:
        point.case.process.stop()
    return points, results


def start(field, what, routes, keys):
    """nginx and Portunus with the same routes and keys."""
    tag = f"{routes}-{keys}"
    gate = field.portunus(what, tag=tag, routes=routes, keys=keys)
    all_of_them = field.place.folder / f"requests-{gate.name}"
    gate.requests(all_of_them, REQUESTS)
    starts = [("Portunus", gate.start_first)]
    # nginx needs minutes for a map of a million.
    if keys <= KEYS[-1]:
        named = gate.keys if what == GUARDED else None
        starts.append(
            ("nginx", lambda: nginx.start(field.place, field.upstream_port, what, tag=tag, routes=routes, keys=named))
        )
    for proxy, begin in starts:
        since = time.monotonic()
        case = begin()
        point = Point(proxy, what, routes, keys, case, all_of_them, time.monotonic() - since, case.process.memory())
        yield point
        if keys == KEYS[-1]:
            yield dataclasses.replace(point, requests=only_first(all_of_them), one=True)


def only_first(requests):
    """A list as long, of its first request only."""
    path = requests.with_name(f"{requests.name}-one")
    with open(requests) as file:
        path.write_text(file.readline() * REQUESTS)
    return path


def rows(points, results):
    """The table of a family."""
    told = []
    for point in points:
        result = results[point.name]
        first = results[next(other.name for other in points if other.proxy == point.proxy)]
        told.append(
            [
                point.name,
                spread(result.microseconds()),
                spread(result.to(first)),
                f"{statistics.median(result.to(results[REFERENCE])):.2f}",
                f"{point.memory / 2**20:.0f}",
                f"{point.configured:.1f}",
                str(result.errors()),
            ]
        )
    head = ["case", "CPU µs/request", "× one of each", "× nginx plain", "MiB", "s to configure", "errors"]
    return table(head, told)


def figures(points, results):
    """What the goals need."""
    found = {}
    for point in points:
        result = results[point.name]
        if (point.routes, point.keys) == LARGE and point.proxy == "Portunus":
            first = results[next(other.name for other in points if other.proxy == "Portunus")]
            found[f"scale {'one' if point.one else 'all'}"] = statistics.median(result.to(first))
        if (point.routes, point.keys) == (1, LARGE[1]) and point.one:
            found[f"one of many {point.proxy}"] = statistics.median(result.to(results[REFERENCE]))
    return found


def plot(name, points, results):
    """A line for each proxy."""
    found = {}
    for point in points:
        if not point.one and (point.what == PLAIN or point.routes == 1):
            number = point.keys if point.what == GUARDED else point.routes
            found.setdefault(number, {})[point.proxy] = results[point.name].cost()
    data = [["number", "Portunus", "nginx"]]
    data += [[number, costs["Portunus"], costs.get("nginx", "NaN")] for number, costs in sorted(found.items())]
    commands = f"""
set logscale x 10
set xlabel "{name}, picked at random"
set ylabel "CPU µs per request"
set yrange [0:*]
set key bottom
plot for [column=2:3] DATA using 1:column with linespoints pt 7 ps 0.6 title columnheader(column)
"""
    return Plot(name, commands, data)
