"""The load: wrk as fast as the answers come, h2load for HTTP/2 and for a fixed rate."""

import dataclasses
import json
import os
import re
import statistics
import subprocess

import work

CONNECTIONS = 64
SCRIPT = work.BENCH / "load.lua"


@dataclasses.dataclass
class Outcome:
    """What a load counted."""

    requests: float
    seconds: float
    errors: int


def wrk(url, seconds, connections=CONNECTIONS, headers=(), requests=None, body=None, answer_size=None):
    """HTTP/1.1 as fast as the answers come; a file of `requests` in turn, or a POST with a `body` of so many bytes."""
    env = dict(os.environ)
    if requests:
        env["BENCH_REQUESTS"] = str(requests)
    if body:
        env["BENCH_BODY"] = str(body)
    command = [work.program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT)]
    for header in headers:
        command += ["-H", header]
    output = run([*command, url], seconds, env)
    found = re.search(r"^\{.*\}$", output, re.MULTILINE)
    told = json.loads(found[0]) if found else {}
    if not told.get("requests"):
        raise work.Fault(f"wrk made no request at {url}: {output.strip()[-160:]}")
    # Of large answers many are under way at the end; their bytes were sent all the same.
    count = told["bytes"] / answer_size if answer_size else told["requests"]
    return Outcome(count, told["microseconds"] / 1e6, told["errors"])


def h2(url, seconds, headers=(), clients=8, streams=8):
    """HTTP/2 over plain TCP without an upgrade, as fast as the answers come."""
    command = [work.program("h2load"), f"-c{clients}", f"-m{streams}", "-t1", f"-D{seconds}"]
    for header in headers:
        command += ["-H", header]
    output = run([*command, url], seconds)
    taken = re.search(r"finished in ([\d.]+)(ms|s|m)", output)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if not taken or not counts:
        raise work.Fault(f"h2load made no request at {url}: {output.strip()[-300:]}")
    succeeded, *failed = map(int, counts.groups())
    if not succeeded:
        raise work.Fault(f"no request at {url} succeeded over HTTP/2")
    return Outcome(succeeded, float(taken[1]) * {"ms": 0.001, "s": 1, "m": 60}[taken[2]], sum(failed))


def speaks_h2(url):
    """Whether it answers HTTP/2 over plain TCP."""
    command = [work.program("h2load"), "-n1", "-c1", "-N3s", url]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    return "1 succeeded" in done.stdout


@dataclasses.dataclass
class Latency:
    """How long answers took at a fixed rate, in milliseconds."""

    rate: float
    p50: float
    p99: float
    errors: int


def at_rate(url, rate, seconds, place, headers=()):
    """HTTP/1.1 at a fixed rate in all, over connections of which none waits for another one's answer."""
    log = place.folder / "latencies"
    log.unlink(missing_ok=True)
    # Connections are opened one in each millisecond: all at once would send in bursts, too.
    command = [work.program("h2load"), "--h1", "-t1", f"-c{CONNECTIONS}", "-r1", "--rate-period=1ms"]
    command += [f"-n{round(rate * seconds)}", f"--rps={rate / CONNECTIONS:.3f}", f"--log-file={log}"]
    for header in headers:
        command += ["-H", header]
    output = run([*command, url], seconds)
    if not log.exists():
        raise work.Fault(f"h2load made no request at {url}: {output.strip()[-300:]}")
    rows = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    # Without its beginning and end, when connections are still being opened or already closed.
    steady = [row for row in rows if first + 300_000 <= row[0] <= last - 200_000]
    if len(steady) < 100:
        raise work.Fault(f"h2load made too few requests at {url}")
    span = (max(row[0] for row in steady) - min(row[0] for row in steady)) / 1e6
    cuts = statistics.quantiles((row[2] / 1000 for row in steady), n=100)
    return Latency(len(steady) / span, cuts[49], cuts[98], sum(row[1] != 200 for row in rows))


def run(command, seconds, env=None):
    """Runs a load; gives what it says."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds * 3 + 60, env=env)
    except subprocess.TimeoutExpired:
        raise work.Fault(f"{os.path.basename(command[0])} did not come to an end: {' '.join(command)}") from None
    if done.returncode:
        raise work.Fault(f"{os.path.basename(command[0])} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
