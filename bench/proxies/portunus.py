"""Portunus."""

import hashlib
import itertools
import secrets

import work
from case import GUARDED, LIMIT, Case, name_of, prefix
from control import Control

NAME = "Portunus"
# Resources that are sent in one call.
BATCH = 6000
LOAD_SECONDS = 600


def manifest(kind, name, **spec):
    return {
        "apiVersion": "portunus.dev/v1",
        "kind": kind,
        "metadata": {"tenant": "default", "name": name},
        "spec": spec,
    }


def manifests(upstream, what, routes, keys, limit):
    """What it is configured with: consumer number i is subscribed to API number i, counted anew after the last one."""
    access = "subscription" if what == GUARDED else "public"
    target = {"targets": [{"url": f"http://127.0.0.1:{upstream}"}]}
    for route in range(routes):
        yield manifest("Api", f"api-{route:05}", base_path=prefix(route), access=access, upstream=target)
    if what == GUARDED:
        yield manifest("Policy", "limit", policy_type="rate_limit", config={"requests_per_second": limit})
        # For the whole tenant, so that one binding does for any number of APIs.
        yield manifest("Binding", "limit", policy_id="limit")
    for number, key in enumerate(keys):
        consumer = f"consumer-{number:07}"
        yield manifest("Consumer", consumer)
        yield manifest("Subscription", f"sub-{number:07}", consumer_id=consumer, api_id=f"api-{number % routes:05}")
        digest = hashlib.sha256(key.encode()).hexdigest()
        yield manifest("Credential", f"key-{number:07}", consumer_id=consumer, key_sha256=digest)


class Portunus:
    """Portunus with its data folder and settings, ready to be started and started again."""

    def __init__(self, place, binary, upstream, what, limit=LIMIT, tag="", routes=1, keys=1):
        self.place = place
        self.binary = binary
        self.upstream = upstream
        self.what = what
        self.limit = limit
        self.name = name_of(NAME, what, tag)
        self.routes = routes
        self.keys = [secrets.token_urlsafe(32) for _ in range(keys)] if what == GUARDED else []
        self.secret = secrets.token_urlsafe(32)
        self.log = place.folder / f"{self.name}.log" if what == GUARDED else None
        self.control = None

    def start(self, before=(), workers=0, seconds=20):
        """Starts it as it was left, under the program `before` if there is one."""
        port, control = work.free_port(), work.free_port()
        env = {
            "PORTUNUS_DATA_DIR": str(self.place.folder / self.name / "data"),
            "PORTUNUS_LISTEN": f"127.0.0.1:{port}",
            "PORTUNUS_CONTROL_LISTEN": f"127.0.0.1:{control}",
            "PORTUNUS_CLIENT_SECRET": self.secret,
            "PORTUNUS_WORKERS": str(workers),
            # Access lines are `info`: the plain case has none, like nginx with `access_log off`.
            "LOG_LEVEL": "info" if self.log else "warn",
        }
        (self.place.folder / self.name).mkdir(exist_ok=True)
        process = self.place.start(self.name, [*before, self.binary, "serve"], env, self.log)
        process.wait_for(port, seconds)
        self.control = Control(control, self.secret)
        return Case(NAME, self.what, process, port, self.keys[0] if self.keys else None, self.log)

    def start_first(self):
        """Starts it empty and configures it."""
        case = self.start()
        case.process.wait_for(self.control.port)
        wanted = manifests(self.upstream, self.what, self.routes, self.keys, self.limit)
        while batch := list(itertools.islice(wanted, BATCH)):
            self.control.apply(batch)
        return case

    def requests(self, path, count):
        """Writes a list of requests that goes over all routes and keys in random order; gives the path of the file."""
        pick = secrets.SystemRandom()
        numbers = list(range(max(self.routes, len(self.keys))))
        chosen = []
        while len(chosen) < count:
            pick.shuffle(numbers)
            chosen += numbers
        with open(path, "w") as file:
            for number in chosen[:count]:
                key = self.keys[number % len(self.keys)] if self.keys else ""
                file.write(f"{prefix(number % self.routes)}/item {key}\n")
        return path


def start(place, binary, upstream, what, limit=LIMIT, tag=""):
    """Portunus with one API, and one key if the work asks for it."""
    return Portunus(place, binary, upstream, what, limit, tag).start_first()
