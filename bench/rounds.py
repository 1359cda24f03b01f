"""The side-by-side measurement: load on each case in turn, round by round."""

import dataclasses
import os
import re
import statistics
import subprocess
import sys
import typing

import cases
import work

CONNECTIONS = 64
WARM_UP = 1
# Above this share of other programs in the machine's busy time, a round is measured again.
DISTURBED = 0.05


@dataclasses.dataclass
class Sample:
    """One case in one round."""

    requests: int
    seconds: float
    errors: int
    cpu: float
    # Share of the proxy's CPU time that its busiest thread took.
    busiest: float
    log_lines: typing.Optional[int]
    # Share of the machine's busy time that was neither proxy nor upstream nor load.
    others: float

    @property
    def microseconds(self):
        return self.cpu / self.requests * 1e6

    @property
    def rate(self):
        return self.requests / self.seconds


@dataclasses.dataclass
class Result:
    """One case in all rounds."""

    case: cases.Case
    memory_at_start: int
    memory_after: int = 0
    samples: list = dataclasses.field(default_factory=list)
    ratios: list = dataclasses.field(default_factory=list)
    # Ratios to nginx with the same work.
    same: list = dataclasses.field(default_factory=list)

    def errors(self):
        return sum(sample.errors for sample in self.samples)

    def microseconds(self):
        return [sample.microseconds for sample in self.samples]

    def rate(self):
        return statistics.median(sample.rate for sample in self.samples)

    def lines_per_request(self):
        """Log lines per request over all rounds; None for a case without a log."""
        lines = [sample.log_lines for sample in self.samples]
        return None if None in lines else sum(lines) / sum(sample.requests for sample in self.samples)


def run(place, count, seconds):
    """Measures every case `count` times, and up to twice that on a busy machine."""
    wrk = work.program("wrk")
    binary = work.portunus()
    upstream, port = cases.start_upstream(place)
    results = [Result(case, case.process.memory()) for case in cases.start(place, binary, port)]
    for result in results:
        load(wrk, result.case, upstream, WARM_UP)
    done = []
    # A round that other programs disturbed is kept only for want of a better one.
    while len(done) < 2 * count and sum(is_quiet(samples) for samples in done) < count:
        done.append(one_round(wrk, results, upstream, len(done), seconds))
    done = sorted(done, key=disturbance)[:count]
    for index, result in enumerate(results):
        result.samples = [samples[index] for samples in done]
    for result in results:
        result.memory_after = result.case.process.memory()
        result.ratios = to(result, results[0])
        same = next(other for other in results if other.case.work == result.case.work)
        result.same = to(result, same)
    return results


def one_round(wrk, results, upstream, number, seconds):
    """Loads every case; gives the samples in the order of the results."""
    samples = {}
    # Each round begins with another case, so that none always follows the same one.
    turn = number % len(results)
    for result in results[turn:] + results[:turn]:
        sample = load(wrk, result.case, upstream, seconds)
        samples[result.case.name] = sample
        print(
            f"round {number + 1}  {result.case.name:<28} {sample.microseconds:6.2f} us/request {sample.rate:8.0f} requests/s"
            + (f"  {sample.errors} errors" if sample.errors else "")
            + (f"  disturbed: {sample.others:.0%} other programs" if sample.others > DISTURBED else ""),
            file=sys.stderr,
        )
    return [samples[result.case.name] for result in results]


def disturbance(samples):
    """How much of a round's busy time other programs took, at most."""
    return max(sample.others for sample in samples)


def is_quiet(samples):
    return disturbance(samples) <= DISTURBED


def to(result, other):
    """CPU per request as a ratio to another case, round by round."""
    return [mine / yours for mine, yours in zip(result.microseconds(), other.microseconds())]


def load(wrk, case, upstream, seconds):
    """Loads a case for some seconds."""
    if case.log:
        os.truncate(case.log, 0)
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    if case.key:
        command += ["-H", f"X-API-Key: {case.key}"]
    machine, proxy, back, load_time = work.machine_time(), case.process.cpu(), upstream.cpu(), children_time()
    done = subprocess.run([*command, case.url], capture_output=True, text=True, timeout=seconds + 30)
    if case.log:
        # The lines that are still in buffers are part of the work.
        work.settle(case.log)
    threads = work.spent(proxy, case.process.cpu())
    cpu = sum(threads.values())
    known = cpu + sum(work.spent(back, upstream.cpu()).values()) + children_time() - load_time
    busy = work.machine_time() - machine
    requests = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", done.stdout)
    if done.returncode or not requests or not int(requests[1]):
        raise work.Fault(f"{case.name}: wrk made no request: {(done.stderr or done.stdout).strip()}")
    return Sample(
        requests=int(requests[1]),
        seconds=float(requests[2]) * {"ms": 0.001, "s": 1, "m": 60}[requests[3]],
        errors=errors(done.stdout),
        cpu=cpu,
        busiest=max(threads.values()) / cpu,
        log_lines=lines(case) if case.log else None,
        others=max(0.0, busy - known) / busy,
    )


def errors(output):
    """What wrk counted as failed."""
    found = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    count = int(found[1]) if found else 0
    if found := re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output):
        count += sum(map(int, found.groups()))
    return count


def children_time():
    """CPU time of the children that have ended: the load generator's."""
    times = os.times()
    return times.children_user + times.children_system


def lines(case):
    """Lines of the access log of this load."""
    count = 0
    with open(case.log, "rb") as log:
        while chunk := log.read(1 << 20):
            count += chunk.count(b"\n")
    return count
