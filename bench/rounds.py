"""Load in rounds: each shot in turn, so that what else happens on the machine touches all of them alike."""

import dataclasses
import os
import statistics
import sys
import typing

import work
from case import Case
from load import Outcome

# Above this share of other programs in the machine's busy time, a measurement is made again.
DISTURBED = 0.05
AGAIN = 2


@dataclasses.dataclass
class Shot:
    """What is measured: a load on a case."""

    name: str
    case: Case
    fire: typing.Callable[[], Outcome]


@dataclasses.dataclass
class Sample:
    """One shot in one round."""

    requests: float
    seconds: float
    errors: int
    # CPU seconds of the proxy, and those of them that were spent in the kernel.
    cpu: float
    kernel: float
    # Share of the proxy's CPU time that its busiest thread took.
    busiest: float
    log_lines: int | None
    # Share of the machine's busy time that was neither proxy nor upstream nor load.
    others: float

    @property
    def microseconds(self):
        return self.cpu / self.requests * 1e6


@dataclasses.dataclass
class Result:
    """One shot in all rounds."""

    name: str
    case: Case
    samples: list

    def errors(self):
        return sum(sample.errors for sample in self.samples)

    def microseconds(self):
        return [sample.microseconds for sample in self.samples]

    def cost(self):
        """CPU microseconds of a request, the median."""
        return statistics.median(self.microseconds())

    def kernel(self):
        """Share of the CPU time that was spent in the kernel."""
        return min(1.0, sum(sample.kernel for sample in self.samples) / sum(sample.cpu for sample in self.samples))

    def rate(self):
        return statistics.median(sample.requests / sample.seconds for sample in self.samples)

    def busiest(self):
        return [sample.busiest for sample in self.samples]

    def lines_per_request(self):
        """Log lines per request over all rounds; None for a case without a log."""
        lines = [sample.log_lines for sample in self.samples]
        return None if None in lines else sum(lines) / sum(sample.requests for sample in self.samples)

    def to(self, other):
        """CPU per request as a ratio to another shot, round by round."""
        return [mine / yours for mine, yours in zip(self.microseconds(), other.microseconds())]


class Rounds:
    """Measures in rounds, and remembers how quiet the machine was."""

    def __init__(self, upstream, count, again):
        self.upstream = upstream
        self.count = count
        # Measurements that may be made again in the whole run: a machine that stays busy must not double it.
        self.again = again
        self.others = []

    def run(self, shots, count=None):
        """Fires every shot in each round; gives {name: Result}."""
        samples = {shot.name: [] for shot in shots}
        for number in range(count or self.count):
            # Each round begins with another shot, so that none always follows the same one.
            turn = number % len(shots)
            for shot in shots[turn:] + shots[:turn]:
                sample = self.quiet(lambda shot=shot: measure(shot, self.upstream))
                samples[shot.name].append(sample)
                print(
                    f"round {number + 1}  {shot.name:<36} {sample.microseconds:9.2f} us/request"
                    f" {sample.requests / sample.seconds:9.0f} requests/s"
                    + (f"  {sample.errors} errors" if sample.errors else "")
                    + (f"  disturbed: {sample.others:.0%} other programs" if sample.others > DISTURBED else ""),
                    file=sys.stderr,
                )
        return {shot.name: Result(shot.name, shot.case, samples[shot.name]) for shot in shots}

    def quiet(self, take):
        """A sample that other programs did not disturb, or the one of some that they disturbed least."""
        taken = [take()]
        while taken[-1].others > DISTURBED and len(taken) <= AGAIN and self.again > 0:
            self.again -= 1
            taken.append(take())
        best = min(taken, key=lambda sample: sample.others)
        self.others.append(best.others)
        return best


@dataclasses.dataclass
class Usage:
    """What a load took of the machine."""

    # CPU seconds of each of the proxy's threads.
    threads: dict
    others: float


def observe(processes, fire):
    """Runs a load; gives what it found, and what the first process and others took meanwhile."""
    machine, before, loading = work.machine_time(), [process.cpu() for process in processes], children_time()
    outcome = fire()
    spent = [work.spent(first, process.cpu()) for first, process in zip(before, processes)]
    known = sum(sum(threads.values()) for threads in spent) + children_time() - loading
    busy = work.machine_time() - machine
    return outcome, Usage(spent[0], max(0.0, busy - known) / busy)


def measure(shot, upstream):
    """Fires once."""
    case = shot.case

    def fire():
        outcome = shot.fire()
        if case.log:
            # The lines that are still in buffers are part of the work.
            work.settle(case.log)
        return outcome

    if case.log:
        os.truncate(case.log, 0)
    kernel = case.process.kernel()
    outcome, usage = observe([case.process, upstream], fire)
    cpu = sum(usage.threads.values())
    return Sample(
        requests=outcome.requests,
        seconds=outcome.seconds,
        errors=outcome.errors,
        cpu=cpu,
        kernel=case.process.kernel() - kernel,
        busiest=max(usage.threads.values()) / cpu,
        log_lines=lines(case.log) if case.log else None,
        others=usage.others,
    )


def children_time():
    """CPU time of the children that have ended: the load generator's."""
    times = os.times()
    return times.children_user + times.children_system


def lines(path):
    """Lines of the access log of this load."""
    count = 0
    with open(path, "rb") as log:
        while chunk := log.read(1 << 20):
            count += chunk.count(b"\n")
    return count
