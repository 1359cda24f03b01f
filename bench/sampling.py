"""Where the CPU time of a proxy goes under load, by function, in the kernel too: sampled with perf where there is one."""

import collections
import contextlib
import signal
import subprocess
import time

import load
import work
from rounds import observe

SECONDS = 4
FREQUENCY = 1999
LINES = 20


def functions(place, case, upstream):
    """What costs most, as lines of text; nothing without perf."""
    with contextlib.suppress(work.Fault):
        return sample(work.program("perf"), place, case, upstream)
    return ""


def sample(perf, place, case, upstream):
    """Samples a case under load."""
    data = place.folder / "perf.data"
    command = [
        perf,
        "record",
        "-q",
        "-e",
        "cpu-clock",
        "-F",
        str(FREQUENCY),
        "-p",
        str(case.process.pid),
        "-o",
        str(data),
    ]
    outcome, usage = observe([case.process, upstream], lambda: record(command, case))
    microseconds = sum(usage.threads.values()) / outcome.requests * 1e6
    command = [
        perf,
        "report",
        "-i",
        str(data),
        "--no-children",
        "--stdio",
        "-q",
        "-F",
        "overhead,dso,symbol",
        "-t",
        "\t",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    rows = [
        [cell.strip() for cell in line.split("\t")[:3]] for line in done.stdout.splitlines() if line.count("\t") >= 2
    ]
    if done.returncode or not rows:
        raise work.Fault("perf took no samples")
    costs = [(float(share.rstrip("%")) / 100, owner(binary), symbol[4:]) for share, binary, symbol in rows]
    owners = collections.Counter()
    for share, who, _ in costs:
        owners[who] += share
    told = [
        f"{case.name}: µs per request of {microseconds:.1f} in all, sampled",
        *(f"{share * microseconds:>9.2f} {share:>6.1%}  {who}, all of it" for who, share in owners.most_common(3)),
        *(f"{share * microseconds:>9.2f} {share:>6.1%}  {who:<16} {symbol}" for share, who, symbol in costs[:LINES]),
    ]
    return "\n".join(told)


def owner(binary):
    """Whose function it is."""
    return "kernel" if binary.startswith("[") else binary


def record(command, case):
    """Samples during a load; gives what the load counted."""
    recording = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(0.5)
        outcome = load.wrk(case.url(), SECONDS, headers=case.headers)
        recording.send_signal(signal.SIGINT)
        recording.wait(20)
    except subprocess.TimeoutExpired:
        raise work.Fault("perf did not come to an end") from None
    finally:
        recording.kill()
        recording.wait()
    return outcome
