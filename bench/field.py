"""What the parts of a run share: the upstream, the proxies once they are started, the rounds, the options."""

import dataclasses
import functools

import upstream
import work
from case import BYTES, GUARDED, LOW_LIMIT, PLAIN
from proxies import caddy, envoy, haproxy, nginx, portunus
from rounds import Rounds


@dataclasses.dataclass
class Options:
    """How much is measured."""

    rounds: int
    seconds: int
    full: bool


# Measurements that may be made again in one run because other programs disturbed them.
AGAIN = 80


class Field:
    """Starts each proxy when the first part asks for it; all are stopped at the end of the run."""

    def __init__(self, place, binary, options):
        self.place = place
        self.binary = binary
        self.options = options
        self.upstream, self.upstream_port = upstream.start(place)
        self.rounds = Rounds(self.upstream, options.rounds, AGAIN)
        # Parts of a run with many shots take fewer and shorter rounds.
        self.few = max(1, (options.rounds + 1) // 2)
        self.short = max(1, options.seconds - 2)
        self.brief = max(1, options.seconds - 3)
        # Proxies that cannot be measured here, with the reason.
        self.missing = {}
        # Requests per second of a case, as the first part found them.
        self.capacity = {}

    def attempt(self, name, start):
        """Starts a proxy; one that cannot be had here is told in the results and stops nothing."""
        if name in self.missing:
            return None
        try:
            return start()
        except work.Fault as fault:
            self.missing[name] = str(fault)
            return None

    def portunus(self, what, **settings):
        """Portunus, configured and not started."""
        return portunus.Portunus(self.place, self.binary, self.upstream_port, what, **settings)

    @functools.cached_property
    def plain(self):
        """Every plain proxy, nginx first: the others are told as ratios to it."""
        port = self.upstream_port
        cases = [
            nginx.start(self.place, port, PLAIN),
            self.attempt(haproxy.NAME, lambda: haproxy.start(self.place, port, PLAIN)),
            self.attempt(envoy.NAME, lambda: envoy.start(self.place, port, PLAIN)),
            self.attempt(caddy.NAME, lambda: caddy.start(self.place, port)),
            self.portunus(PLAIN).start_first(),
        ]
        return checked(cases)

    @functools.cached_property
    def floor(self):
        """HAProxy that only carries bytes, in a list that is empty where there is none."""
        return checked([self.attempt(haproxy.NAME, lambda: haproxy.start(self.place, self.upstream_port, BYTES))])

    @functools.cached_property
    def guarded(self):
        """Every proxy that can check a key and a limit and write a log, nginx first."""
        cases = [start(self.upstream_port, "") for start in self.guards()]
        for start in self.guards():
            if low := start(self.upstream_port, "low", limit=LOW_LIMIT):
                low.check_limit()
                low.process.stop()
        return checked(cases)

    def guards(self):
        """How to start each of them."""

        def with_portunus(_, tag, **settings):
            return self.portunus(GUARDED, tag=tag, **settings).start_first()

        def peer(module):
            return lambda port, tag, **settings: self.attempt(
                module.NAME, lambda: module.start(self.place, port, GUARDED, tag=tag, **settings)
            )

        return [peer(nginx), peer(haproxy), peer(envoy), with_portunus]

    def nginx(self):
        """nginx's plain proxy, what everything is compared with."""
        return self.plain[0]

    def find(self, name, what):
        """A case by its proxy and its work, if it could be started."""
        cases = self.plain if what == PLAIN else self.guarded
        return next((case for case in cases if case.proxy == name), None)


def checked(cases):
    """Those that could be started; each does what it is measured for."""
    cases = [case for case in cases if case]
    for case in cases:
        case.check()
    return cases
