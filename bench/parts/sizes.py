"""Cost by the size of the answer."""

import load
import upstream
from case import PLAIN, prefix
from chapter import Chapter, Plot, table
from rounds import Shot

NAME = "sizes"
# From here on few are under way at a time, and answers are counted by their bytes.
LARGE = 100 << 10


def run(field):
    """Measures every plain proxy with every size."""
    costs = {}
    errors = 0
    for size, count in upstream.SIZES.items():
        shots = [Shot(f"{case.proxy}, {size}", case, shot(case, size, count, field.brief)) for case in field.plain]
        for name, result in field.rounds.run(shots, field.few).items():
            costs[name] = result.cost()
            errors += result.errors()
    proxies = [case.proxy for case in field.plain]
    rows = []
    for size in upstream.SIZES:
        base = costs[f"nginx, {size}"]
        rows.append(
            [size] + [f"{costs[f'{proxy}, {size}']:,.1f} ({costs[f'{proxy}, {size}'] / base:.2f})" for proxy in proxies]
        )
    lines = [
        "CPU µs per request of the plain proxies, and in brackets × nginx plain with the same size.",
        "",
        *table(["answer", *proxies], rows),
        "",
        "![Cost by size](plots/sizes.svg)",
    ]
    return Chapter("By size of the answer", lines, plots=[plot(costs, proxies)], errors=errors)


def shot(case, size, count, seconds):
    """A load with answers of this size."""
    large = count >= LARGE
    url = case.url(prefix(0) + upstream.size_path(size))
    return lambda: load.wrk(url, seconds, 16 if large else load.CONNECTIONS, answer_size=count if large else None)


def plot(costs, proxies):
    """A line for each proxy, as a ratio to nginx; Portunus first, so that it has its colour of the other plots."""
    proxies = sorted(proxies, key=lambda proxy: proxy != "Portunus")
    rows = [["bytes", *proxies]]
    for size, count in upstream.SIZES.items():
        rows.append([count, *(costs[f"{proxy}, {size}"] / costs[f"nginx, {size}"] for proxy in proxies)])
    commands = f"""
set logscale x 10
set logscale y 2
set xlabel "bytes of the answer"
set ylabel "CPU per request, × nginx {PLAIN}"
set key outside right
plot for [column=2:{len(proxies) + 1}] DATA using 1:column with linespoints pt 7 ps 0.6 title columnheader(column)
"""
    return Plot("sizes", commands, rows)
