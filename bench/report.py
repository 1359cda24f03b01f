"""Writes what a run found: RESULTS.md, plots, history.csv."""

import csv
import datetime

import goals
import load
import machine
import plots
import work
from case import GUARDED, PLAIN
from chapter import Plot
from rounds import DISTURBED

RESULTS = work.BENCH / "RESULTS.md"
HISTORY = work.BENCH / "history.csv"
# Cases that the plot of the history shows.
SHOWN = ("portunus-plain", "portunus-guarded", "nginx-guarded")


def text(chapters, figures, field, whole):
    """Goals and chapters, as they stand in the results; of a run in parts, only what was measured."""
    lines = ["## Goals", "", *goals.lines(figures, whole), "", *goals.before(figures, whole)]
    parts = ["\n".join(lines + (["", SPIKES, NODES] if whole else []))]
    missed = [goal for goal in goals.missed(figures) if goal.figure in goals.CPU]
    if missed and "most" in figures:
        parts.append(where(missed, figures["most"]))
    parts += [chapter.text() for chapter in chapters]
    return "\n\n".join([*parts, *absent(field), quiet(field.rounds.others)])


def absent(field):
    """Proxies that were not measured, and why."""
    return [f"{name} was not measured: {reason}." for name, reason in field.missing.items()]


def where(missed, most):
    """Where time and instructions go, for goals that are missed."""
    names = "; ".join(goal.what for goal in missed)
    lines = ["## Where the time goes", "", f"For the goals that are missed: {names}."]
    for told in most:
        lines += ["", "```", told, "```"]
    return "\n".join(lines)


def quiet(others):
    """How much else ran."""
    if not others:
        return "How quiet the machine was is not known."
    disturbed = sum(share > DISTURBED for share in others)
    said = f"Other programs took at most {max(others):.1%} of the busy time of any measurement."
    if disturbed:
        said += f" In {disturbed} of {len(others)} it was more than {DISTURBED:.0%}: measure again when the machine is quiet."
    return said


def write(chapters, figures, field, minutes):
    """Writes everything."""
    options = field.options
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    commit = machine.commit()
    remember(today, commit, figures)
    for chapter in chapters:
        for plot in chapter.plots:
            plots.draw(field.place, plot)
    plots.draw(field.place, history())
    RESULTS.write_text(
        TEXT.format(
            today=today,
            commit=commit,
            minutes=minutes,
            text=text(chapters, figures, field, True),
            rounds=options.rounds,
            few=field.few,
            seconds=options.seconds,
            short=field.short,
            brief=field.brief,
            disturbed=DISTURBED,
            connections=load.CONNECTIONS,
            plain=PLAIN,
            guarded=GUARDED,
            machine="\n".join(f"- {fact}" for fact in machine.facts()),
        )
    )


def remember(today, commit, figures):
    """Adds to the history: one row for each case; those of an earlier run at the same commit are replaced."""
    rows = list(csv.reader(HISTORY.open())) if HISTORY.exists() else [["date", "commit", "case", "ratio"]]
    rows = [row for row in rows if row[1] != commit]
    for name, value in figures.items():
        kind, _, case = name.partition(" ")
        if kind == "ratio":
            rows.append([today, commit, case, f"{value:.3f}"])
    with HISTORY.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def history():
    """Ratios by commit."""
    commits = {}
    for row in csv.DictReader(HISTORY.open()):
        commits.setdefault(row["commit"], {})[row["case"]] = row["ratio"]
    data = [["commit", *SHOWN]]
    data += [[commit, *(ratios.get(case, "NaN") for case in SHOWN)] for commit, ratios in commits.items()]
    commands = f"""
set ylabel "CPU per request, × nginx plain"
set yrange [0:*]
set xtics rotate by 45 right noenhanced
set key outside right noenhanced
plot for [column=2:{len(SHOWN) + 1}] DATA using 0:column:xtic(1) with linespoints pt 7 ps 0.6 title columnheader(column)
"""
    return Plot("history", commands, data)


SPIKES = "The design measured programs of sixty lines, with one key in use; Portunus is the whole product."
NODES = "How long a change takes to reach all nodes is a drill: it needs more than one node."

TEXT = """\
# Results

Measured on {today} at commit {commit} in {minutes:.0f} minutes, written by `make bench`. How to read it: [README.md](README.md).

{text}

![Ratios by commit](plots/history.svg)

## How it was measured

- In rounds; in each, every case in turn under load. Each round begins with another case. Side by side: {rounds} rounds of
  {seconds} s; by keys: {rounds} rounds of {brief} s; latency: {few} rounds of {short} s; the rest: {few} rounds of {brief} s. Figures
  are the median of the rounds, then the least and the most. A measurement in which other programs took more than
  {disturbed:.0%} of the machine's busy time is made again, up to twice.
- Load: `wrk -t1 -c{connections}`, keep-alive, as fast as the answers come; 16 connections for answers of 100 KB and more; HTTP/2
  with `h2load -c8 -m8`. Load, proxy and upstream share the machine's cores, so requests/s compares the cases with each
  other and promises nothing else.
- Upstream: nginx, one worker, an answer of 128 bytes of JSON, keep-alive; files for other sizes.
- CPU: user and system time of all threads of the proxy, as the kernel counts it, before and after the load, divided by
  the requests. Ratios are made within a round.
- Every proxy: as many workers or threads as there are cores, keep-alive to the upstream, the path of the route taken off.
- "{plain}": no access log. Portunus counts its metrics and sends request id and forwarded headers all the same, Envoy its
  statistics and request id; nginx, HAProxy and Caddy do none of it, but for Caddy's forwarded headers.
- "{guarded}": one API key that is looked up, a limit for its consumer that is checked and never reached, a line of JSON
  for each request, request id and forwarded headers. nginx: `map`, `limit_req`, `access_log` with a buffer. HAProxy: a map,
  a stick table, a log line written to a file at once, for it has no buffer. Envoy: `api_key_auth`, `local_ratelimit`, a file
  access log with a buffer. Before the load, each has answered 200 to its key and 401 to none and to a wrong one, has
  written lines, and has refused with 429 under a low limit. The lines are counted after each load.

## The machine

{machine}
"""
