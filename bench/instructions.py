"""The quick measurement: instructions per request, which do not depend on how busy the machine is.

Portunus runs under callgrind with one worker. Two loads of different length over one connection each are counted;
their difference holds neither the start nor the connection.
"""

import json
import re
import socket
import subprocess
import sys

import cases
import costs
import work

BASELINE = work.BENCH / "baseline.json"
TOLERANCE = 0.05
WARM_UP = 200
SHORT = 200
LONG = 1200
START_SECONDS = 90


def run(place, top, write_baseline):
    """Counts, prints, compares with the baseline; gives the exit code."""
    valgrind, vgdb = work.program("valgrind"), work.program("vgdb")
    binary = work.portunus()
    _, upstream = cases.start_upstream(place)
    found = {}
    for what in (cases.PLAIN, cases.GUARDED):
        one = Counted(place, binary, upstream, what, valgrind, vgdb)
        one.start()
        found[one.name] = one.per_request()
        one.case.process.stop()
        if top:
            print(one.most(top), end="\n\n")
    if write_baseline:
        BASELINE.write_text(json.dumps(found, indent=2) + "\n")
    return compare(found)


def compare(found):
    """Prints the counts beside the baseline; gives the exit code."""
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    worse = []
    for name, count in found.items():
        text = f"{name:<18} {count:>8,} instructions/request"
        if before := baseline.get(name):
            text += f"  baseline {before:>8,}  {count / before - 1:+.1%}"
            if count > before * (1 + TOLERANCE):
                worse.append(name)
        print(text)
    if worse:
        print(f"bench: more than {TOLERANCE:.0%} above the baseline: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


class Counted:
    """Portunus under callgrind."""

    def __init__(self, place, binary, upstream, what, valgrind, vgdb):
        self.portunus = cases.Portunus(place, binary, upstream, what)
        self.name = "plain" if what == cases.PLAIN else "guarded"
        self.out = place.folder / f"{self.name}.callgrind"
        self.prefix = place.folder / f"{self.name}.vgdb"
        self.valgrind = valgrind
        self.vgdb = vgdb
        self.parts = 0
        self.case = None

    def start(self):
        """Starts it on a store that an ordinary start has made: hashing passwords under callgrind takes long."""
        first = self.portunus.start()
        first.check()
        first.process.stop()
        command = [
            self.valgrind,
            "--tool=callgrind",
            f"--callgrind-out-file={self.out}",
            f"--vgdb-prefix={self.prefix}",
            "--vgdb=yes",
            "--read-inline-info=no",
        ]
        self.case = self.portunus.start(command, workers=1, apply=False, seconds=START_SECONDS)

    def per_request(self):
        """Instructions of one request."""
        self.load(WARM_UP)
        self.dump()
        self.load(SHORT)
        short = self.dump()
        self.load(LONG)
        long = self.dump()
        return round((long - short) / (LONG - SHORT))

    def load(self, count):
        """Sends requests one after the other over one connection."""
        key = f"X-API-Key: {self.case.key}\r\n" if self.case.key else ""
        request = f"GET {cases.PATH} HTTP/1.1\r\nHost: 127.0.0.1:{self.case.port}\r\n{key}\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.case.port), timeout=30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(count):
                connection.sendall(request)
                answer = b""
                while not answer.endswith(cases.BODY.encode()):
                    more = connection.recv(65536)
                    if not more:
                        raise work.Fault(f"{self.case.name}: the connection was closed after {answer[:200]!r}")
                    answer += more
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise work.Fault(f"{self.case.name}: answered {answer[:200]!r}")

    def dump(self):
        """Instructions since the last dump."""
        if self.case.log:
            work.settle(self.case.log, quiet=0.5)
        pid = self.case.process.pid
        command = [self.vgdb, f"--pid={pid}", f"--vgdb-prefix={self.prefix}", "dump"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        self.parts += 1
        part = self.part()
        if done.returncode or not part.exists():
            raise work.Fault(f"callgrind could not be asked: {(done.stderr or done.stdout).strip()}")
        return int(re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.MULTILINE)[1])

    def part(self):
        """The file of the last dump."""
        return self.out.with_name(f"{self.out.name}.{self.parts}")

    def most(self, count):
        """Where the instructions of the long load were spent."""
        by_function, by_crate = costs.read(self.part())
        told = []
        for what, found in (("functions", by_function), ("crates", by_crate)):
            total = sum(found.values())
            told.append(f"{self.name}: the {what} that cost most, instructions per request, themselves")
            for name, cost in found.most_common(count):
                told.append(f"{cost / LONG:>9,.0f} {cost / total:>6.1%}  {name}")
        return "\n".join(told)
