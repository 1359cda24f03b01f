"""Tells the results: the table, RESULTS.md, history.csv."""

import datetime
import os
import platform
import re
import statistics
import subprocess

import cases
import work
from rounds import CONNECTIONS, DISTURBED, WARM_UP

RESULTS = work.BENCH / "RESULTS.md"
HISTORY = work.BENCH / "history.csv"
# Highest ratio to nginx plain, and to nginx with the same work.
GOALS = {cases.PLAIN: (0.95, None), cases.GUARDED: (1.0, 0.75)}

HEAD = ["case", "CPU µs/request", "× nginx plain", "× nginx same work", "requests/s", "MiB at start", "MiB after", "errors"]


def table(results):
    """The results as a table in Markdown."""
    rows = [HEAD] + [row(result) for result in results]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEAD))]
    rows.insert(1, ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]])
    lines = []
    for line in rows:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines + [""] + remarks(results))


def row(result):
    return [
        result.case.name,
        spread(result.microseconds()),
        spread(result.ratios),
        spread(result.same),
        f"{result.rate():,.0f}",
        f"{result.memory_at_start / 2**20:.1f}",
        f"{result.memory_after / 2**20:.1f}",
        str(result.errors()),
    ]


def spread(values):
    """Median, and least to most."""
    if min(values) == max(values):
        return f"{values[0]:.2f}"
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def remarks(results):
    """What must be known to read the table."""
    said = []
    for result in results:
        if result.case.proxy == "Portunus":
            plain, same = GOALS[result.case.work]
            said.append(goal(result, "nginx plain", plain, result.ratios))
            if same:
                said.append(goal(result, "nginx with the same work", same, result.same))
        per_request = result.lines_per_request()
        if per_request is not None:
            said.append(f"- {result.case.name}: {per_request:.4f} access lines per request.")
    for result in results:
        shares = [sample.busiest for sample in result.samples]
        median = statistics.median(shares)
        said.append(
            f"- {result.case.name}: the busiest of its threads took {median:.0%} of its CPU time, up to {max(shares):.0%}."
        )
    others = max(sample.others for result in results for sample in result.samples)
    if others > DISTURBED:
        said.append(f"- Other programs took up to {others:.0%} of the busy time of a round: measure again when it is quiet.")
    else:
        said.append(f"- Other programs took at most {others:.1%} of the busy time of any round.")
    return said


def goal(result, what, most, ratios):
    median = statistics.median(ratios)
    verdict = "reached" if median <= most else "not reached"
    return f"- {result.case.name}: {median:.2f} × {what}; the goal of at most {most:.2f} is {verdict}."


def write(results, count, seconds):
    """Writes RESULTS.md and adds to history.csv."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    RESULTS.write_text(
        TEXT.format(
            today=today,
            commit=commit(),
            table=table(results),
            rounds=count,
            disturbed=DISTURBED,
            seconds=seconds,
            connections=CONNECTIONS,
            warm_up=WARM_UP,
            machine="\n".join(f"- {fact}" for fact in machine()),
        )
    )
    if not HISTORY.exists():
        HISTORY.write_text("date,commit,case,ratio\n")
    with HISTORY.open("a") as history:
        for result in results[1:]:
            case = result.case.process.name
            history.write(f"{today},{commit()},{case},{statistics.median(result.ratios):.3f}\n")


TEXT = """\
# Results

Measured on {today} at commit {commit}, written by `make bench`. How to read it: [README.md](README.md).

{table}

## How it was measured

- {rounds} rounds; in each, every case in turn under load for {seconds} s, after {warm_up} s of warming up each. Each
  round begins with another case. A round in which other programs took more than {disturbed:.0%} of the machine's
  busy time is measured again, up to {rounds} times. Figures are the median of the rounds, then the least and the most.
- Load: `wrk -t1 -c{connections}`, keep-alive, as fast as the answers come. Load, proxy and upstream share the machine's
  cores, so requests/s compares the cases with each other and promises nothing else.
- Upstream: nginx, one worker, an answer of 128 bytes of JSON, keep-alive.
- CPU: user and system time of all threads of the proxy, as the kernel counts it, before and after the load, divided by
  the requests that wrk counted. Ratios are made within a round.
- Memory: resident memory (VmRSS) of all processes of the proxy, after its start and after all rounds. nginx's processes
  share pages, which are counted for each of them.
- nginx: one worker per core, keep-alive to the upstream. Portunus: release build, one worker per core.
- "{plain}": nginx with `access_log off`; Portunus with a public API and no access lines. Portunus counts its metrics
  and sends request id and forwarded headers all the same, nginx does not.
- "{guarded}": one API key that is looked up, one rate limit that is checked and never reached, a line of JSON for each
  request, request id and forwarded headers. Both write their log to a file on disk: nginx when 64 KiB are full or a
  second has passed, Portunus when nothing waits to be written. The lines are counted after each load: one per request
  shows that none was left out.

## The machine

{machine}
""".replace("{plain}", cases.PLAIN).replace("{guarded}", cases.GUARDED)


def commit():
    """The commit that was measured; with a plus sign if the sources differ from it, or may."""
    known = said(["git", "rev-parse", "--short", "HEAD"])
    if not known:
        return "uncommitted"
    changed = "PORTUNUS_BIN" in os.environ or said(["git", "status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock", ".cargo"])
    return known + ("+" if changed else "")


def machine():
    """What can be told of the machine without naming it."""
    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    memory = os.sysconf("SC_PHYS_PAGES") * work.PAGE / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    nginx = said([work.program("nginx"), "-v"], stderr=True)
    wrk = said([work.program("wrk"), "--version"])
    facts = [
        f"{work.cores()} cores, {' '.join(model[1].split()) if model else platform.machine()}, {memory:.0f} GiB of memory",
        f"Linux {kernel}",
        f"nginx {version(nginx)}, wrk {version(wrk)}",
        said(["rustc", "--version"]).partition(" (")[0],
    ]
    return [fact for fact in facts if fact]


def version(text):
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else "unknown"


def said(command, stderr=False):
    """What a command prints; nothing if it fails. `wrk --version` fails and prints all the same."""
    try:
        done = subprocess.run(command, cwd=work.ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    if stderr:
        return done.stderr.strip()
    return done.stdout.strip() if done.returncode == 0 or "wrk" in command[0] else ""
