"""Instructions of a request, which do not depend on how busy the machine is.

Portunus runs under callgrind with one worker. Two loads of different length over one connection each are counted;
their difference holds neither the start nor the connection.
"""

import re
import socket
import subprocess

import costs
import work
from case import BODY, GUARDED, PLAIN

WARM_UP = 200
SHORT = 200
LONG = 1200
START_SECONDS = 90
# Name, work, and number of routes and keys.
COUNTED = {
    "plain": (PLAIN, 1, 1),
    "guarded": (GUARDED, 1, 1),
    "large": (GUARDED, 5_000, 100_000),
}


def count(place, portunus_of, told):
    """Instructions of a request by name of the case; `told` is called with each case once it is counted."""
    found = {}
    for name, (what, routes, keys) in COUNTED.items():
        one = Counted(place, name, portunus_of(what, tag=f"counted-{name}", routes=routes, keys=keys))
        one.start()
        found[name] = one.per_request()
        one.case.process.stop()
        told(one)
    return found


class Counted:
    """Portunus under callgrind."""

    def __init__(self, place, name, portunus):
        self.name = name
        self.portunus = portunus
        self.out = place.folder / f"{name}.callgrind"
        self.prefix = place.folder / f"{name}.vgdb"
        self.requests = portunus.requests(place.folder / f"{name}.requests", LONG).read_text().splitlines()
        self.parts = 0
        self.case = None

    def start(self):
        """Starts it on a store that an ordinary start has filled; what it does until it serves is not counted."""
        first = self.portunus.start_first()
        first.check()
        first.process.stop(60)
        command = [
            work.program("valgrind"),
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={self.out}",
            f"--vgdb-prefix={self.prefix}",
            "--vgdb=yes",
            "--read-inline-info=no",
        ]
        self.case = self.portunus.start(command, workers=1, seconds=START_SECONDS)
        # It listens before it has read a large store: the first answer says when it serves.
        self.load(1)
        self.ask("instrumentation", "on")

    def per_request(self):
        """Instructions of one request."""
        self.load(WARM_UP)
        self.dump()
        self.load(SHORT)
        short = self.dump()
        self.load(LONG)
        long = self.dump()
        return round((long - short) / (LONG - SHORT))

    def load(self, number):
        """Sends requests one after the other over one connection."""
        with socket.create_connection(("127.0.0.1", self.case.port), timeout=START_SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for line in self.requests[:number]:
                path, _, key = line.partition(" ")
                field = f"X-API-Key: {key}\r\n" if key else ""
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.case.port}\r\n{field}\r\n".encode())
                answer = b""
                while not answer.endswith(BODY.encode()):
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
        self.ask("dump")
        self.parts += 1
        part = self.part()
        if not part.exists():
            raise work.Fault("callgrind wrote no figures")
        return int(re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.MULTILINE)[1])

    def ask(self, *words):
        """Tells callgrind something."""
        command = [
            work.program("vgdb"),
            f"--pid={self.case.process.pid}",
            f"--vgdb-prefix={self.prefix}",
            " ".join(words),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise work.Fault(f"callgrind could not be asked: {(done.stderr or done.stdout).strip()}")

    def part(self):
        """The file of the last dump."""
        return self.out.with_name(f"{self.out.name}.{self.parts}")

    def most(self, number):
        """Where the instructions of the long load were spent."""
        by_function, by_crate = costs.read(self.part())
        told = []
        for what, found in (("functions", by_function), ("crates", by_crate)):
            total = sum(found.values())
            told.append(f"{self.name}: the {what} that cost most, instructions per request, themselves")
            for name, cost in found.most_common(number):
                told.append(f"{cost / LONG:>9,.0f} {cost / total:>6.1%}  {name}")
        return "\n".join(told)
