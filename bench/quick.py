"""The quick form: instructions per request beside the baseline, under two minutes and on a busy machine, too."""

import json
import platform
import sys

import instructions
import machine
import upstream
import work
from proxies.portunus import Portunus

BASELINE = work.BENCH / "baseline.json"
TOLERANCE = 0.05


def run(place, top, write_baseline):
    """Counts, prints, compares with the baseline; gives the exit code."""
    binary = work.portunus()
    _, port = upstream.start(place)

    def told(counted):
        if top:
            print(counted.most(top), end="\n\n")

    found = instructions.count(place, lambda what, **settings: Portunus(place, binary, port, what, **settings), told)
    if write_baseline:
        BASELINE.write_text(json.dumps({"instructions": found, "counted_with": surroundings()}, indent=2) + "\n")
    return compare(found)


def compare(found):
    """Prints the counts beside the baseline; gives the exit code."""
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    before = baseline.get("instructions", {})
    worse = []
    for name, count in found.items():
        text = f"{name:<10} {count:>8,} instructions/request"
        if name in before:
            text += f"  baseline {before[name]:>8,}  {count / before[name] - 1:+.1%}"
            if count > before[name] * (1 + TOLERANCE):
                worse.append(name)
        print(text)
    was, now = baseline.get("counted_with", {}), surroundings()
    for what in sorted(was.keys() | now.keys()):
        if was.get(what) != now.get(what):
            print(f"bench: the baseline was counted with {what} {was.get(what)}, this with {now.get(what)}")
    if worse and was != now:
        # Other code of the C library or the compiler is nobody's change to the path.
        print(f"bench: above the baseline, which was counted elsewhere: {', '.join(worse)}")
        return 0
    if worse:
        print(
            f"bench: more than {TOLERANCE:.0%} above the baseline: {', '.join(worse)}. `bench/run --quick --top 15` says where"
            " they are spent. If the change is worth it, `bench/run --quick --write-baseline` makes these the baseline.",
            file=sys.stderr,
        )
    return 1 if worse else 0


def surroundings():
    """What else the counts depend on."""
    return {
        "rustc": machine.version(machine.said(["rustc", "--version"])),
        "glibc": platform.libc_ver()[1],
        "valgrind": machine.version(machine.said([work.program("valgrind"), "--version"])),
        # Copying and hashing choose their code by it.
        "avx2": "yes" if machine.has("avx2") else "no",
    }
