"""All proxies side by side: what a request costs, plain and with key, limit and log."""

import statistics

import load
from case import GUARDED, PLAIN, name_of
from chapter import Chapter, Plot, spread, table
from rounds import Shot

NAME = "proxies"


def run(field):
    """Measures every proxy with every amount of work."""
    cases = field.plain + field.floor + field.guarded
    shots = [Shot(case.name, case, lambda case=case: fire(case, field.options.seconds)) for case in cases]
    for shot in shots:
        load.wrk(shot.case.url(), 1, headers=shot.case.headers)
    results = list(field.rounds.run(shots).values())
    plain = results[0]
    for result in results:
        field.capacity[result.case.name] = result.rate()
    return Chapter(
        "Side by side",
        [*costs(results, plain), "", "![CPU per request](plots/proxies.svg)", "", *circumstances(results)],
        figures(results, plain),
        [plot(results, plain)],
        sum(result.errors() for result in results),
    )


def fire(case, seconds):
    return load.wrk(case.url(), seconds, headers=case.headers)


def same_work(result, results):
    """nginx doing the same; nothing for what nginx does not do."""
    return next(
        (other for other in results if other.case.proxy == "nginx" and other.case.work == result.case.work), None
    )


def costs(results, plain):
    """The table of costs."""
    rows = []
    for result in results:
        same = same_work(result, results)
        rows.append(
            [
                result.name,
                spread(result.microseconds()),
                f"{result.kernel():.0%}",
                spread(result.to(plain)),
                spread(result.to(same)) if same else "",
                f"{result.rate():,.0f}",
            ]
        )
    return table(["case", "CPU µs/request", "in the kernel", "× nginx plain", "× nginx same work", "requests/s"], rows)


def circumstances(results):
    """The table of what else must be known."""
    rows = []
    for result in results:
        lines = result.lines_per_request()
        rows.append(
            [
                result.name,
                "" if lines is None else f"{lines:.4f}",
                spread([share * 100 for share in result.busiest()], 0),
                f"{result.case.process.memory() / 2**20:.1f}",
                str(result.errors()),
            ]
        )
    return table(["case", "access lines per request", "busiest thread, %", "MiB after the load", "errors"], rows)


def figures(results, plain):
    """Ratios for the goals and the history."""
    found = {}
    by_case = {(result.case.proxy, result.case.work): result for result in results}
    for result in results[1:]:
        found[f"ratio {name_of(result.case.proxy, result.case.work)}"] = statistics.median(result.to(plain))
    mine = by_case["Portunus", GUARDED]
    for other in ("nginx", "HAProxy", "Envoy"):
        if theirs := by_case.get((other, GUARDED)):
            found[f"guarded to {other}"] = statistics.median(mine.to(theirs))
    found["errors"] = sum(by_case["Portunus", what].errors() for what in (PLAIN, GUARDED))
    return found


def plot(results, plain):
    """A bar for each case."""
    rows = [(result.name, statistics.median(result.to(plain))) for result in results]
    commands = """
set style fill solid
set boxwidth 0.7
set ylabel "CPU per request, × nginx plain"
set xtics rotate by 30 right noenhanced
set logscale y 2
set yrange [0.5:*]
plot DATA using 0:2:(stringcolumn(1)[0:1] eq "P" ? 1 : 2):xtic(1) with boxes lc variable notitle, \\
  '' using 0:($2*1.08):(sprintf("%.2f", $2)) with labels notitle, 1 with lines lc rgb "gray" notitle
"""
    return Plot("proxies", commands, rows)
