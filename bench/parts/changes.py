"""The control plane under load: a cold start, one change among many consumers, ten thousand changes."""

import concurrent.futures
import statistics
import threading
import time

import work
from case import GUARDED
from chapter import Chapter, table
from control import Control

NAME = "changes"
CONSUMERS = 100_000
STARTS = 3
# Changes of one consumer; each is timed.
CHANGES = 20
MANY = 10_000
# Memory is compared from here on: until then, caches and pools fill.
WARM = 2_000
HANDS = 4
DEADLINE = 60


def run(field):
    """Measures on a Portunus of its own."""
    gate = field.portunus(GUARDED, tag="changes", keys=CONSUMERS)
    begin = time.monotonic()
    case = gate.start_first()
    loaded = time.monotonic() - begin
    case.process.stop(DEADLINE)
    starts = []
    for _ in range(STARTS):
        case, taken = cold_start(gate)
        starts.append(taken)
        memory = case.process.memory()
        if len(starts) < STARTS:
            case.process.stop(DEADLINE)
    lives = [live(gate, case, number) for number in range(CHANGES)]
    case.process.stop(DEADLINE)
    warm, after, rate = many(field)
    cold, change = statistics.median(starts), statistics.median(lives)
    rows = [
        [f"loading {CONSUMERS:,} consumers, subscriptions and keys through the API", f"{loaded:.1f} s"],
        ["memory with them", f"{memory / 2**20:.0f} MiB"],
        [
            "cold start with them, to the first answer to a key",
            f"{cold:.2f} s, slowest of {STARTS} {max(starts):.2f} s",
        ],
        [
            "one changed consumer among them, to the first answer that shows it",
            f"{change * 1000:.1f} ms, slowest of {CHANGES} {max(lives) * 1000:.1f} ms",
        ],
        [
            f"memory after {WARM:,} and after {MANY:,} changes of a policy",
            f"{warm / 2**20:.1f}, {after / 2**20:.1f} MiB",
        ],
        ["changes of a policy in a second, by four at once", f"{rate:,.0f}"],
    ]
    figures = {"cold start": cold, "change": change, "growth": after - warm}
    return Chapter("Starts and changes", table(["", "Portunus"], rows), figures)


def cold_start(gate):
    """Starts it; gives the time from the start of the process to the first answer to a key."""
    begin = time.monotonic()
    case = gate.start(seconds=DEADLINE)
    wait_for(gate, case, 200, begin)
    return case, time.monotonic() - begin


def live(gate, case, number):
    """Suspends a consumer or lets it in again; gives the time until its key is answered accordingly."""
    status, wanted = (("suspended", 403), ("active", 200))[number % 2]
    if not gate.control.token:
        gate.control.log_in()
    begin = time.monotonic()
    gate.control.patch(f"/v1/tenants/default/consumers/consumer-{len(gate.keys) - 1:07}", {"status": status})
    wait_for(gate, case, wanted, begin)
    return time.monotonic() - begin


def wait_for(gate, case, wanted, since):
    """Asks with the last consumer's key until the answer is the wanted one."""
    status = None
    while status != wanted:
        if time.monotonic() > since + DEADLINE:
            raise work.Fault(f"Portunus: {wanted} is never answered, but {status}")
        try:
            status, _ = case.ask(gate.keys[-1])
        except OSError:
            status = None


def many(field):
    """Changes a policy ten thousand times; gives the memory after the warm-up and after all, and changes per second."""
    gate = field.portunus(GUARDED, tag="many")
    case = gate.start_first()
    case.check()
    lock = threading.Lock()
    done = 0
    warm = None

    def hand(number):
        nonlocal done, warm
        control = Control(gate.control.port, gate.control.secret)
        for change in range(MANY // HANDS):
            limit = {"requests_per_second": 100_000 + number * MANY + change}
            control.patch("/v1/tenants/default/policies/limit", {"config": limit})
            with lock:
                done += 1
                if done == WARM:
                    warm = case.process.memory()

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(hand, range(HANDS)))
    taken = time.monotonic() - begin
    case.check()
    after = case.process.memory()
    case.process.stop()
    return warm, after, MANY / taken
