"""Where a run works: a folder of its own, the programs it needs, the processes that it starts and stops."""

import contextlib
import ctypes
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
OUT = BENCH / "out"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
DIE_WITH_PARENT = 1  # prctl PR_SET_PDEATHSIG
LIBC = ctypes.CDLL(None)


class Fault(Exception):
    """Something that makes measuring impossible, in one sentence."""


def program(name):
    """The path of a program; servers stand in folders that are not on everybody's PATH."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Fault(f"{name} is missing; `scripts/setup bench` installs it")
    return found


def portunus():
    """The binary to measure: the given one, or the release build of this tree."""
    if given := os.environ.get("PORTUNUS_BIN"):
        if not os.access(given, os.X_OK):
            raise Fault(f"PORTUNUS_BIN names {given}, which is not there")
        return str(pathlib.Path(given).resolve())
    command = ["cargo", "build", "--quiet", "--locked", "--release", "-p", "portunus"]
    if subprocess.run(command, check=False, cwd=ROOT).returncode:
        raise Fault("portunus could not be built")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return str(ROOT / target / "release" / "portunus")


def free_port():
    """A loopback port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cores():
    """The cores that processes may use here."""
    return len(os.sched_getaffinity(0))


class Place:
    """Folders that go away at the end, one on disk and one in memory, and the processes that are stopped then."""

    def __init__(self, folder, memory, stack):
        self.folder = folder
        self.memory = memory
        self.stack = stack

    def start(self, name, command, env=None, stdout=None):
        """Starts a process; it is stopped when the run ends, however it ends."""
        process = Process(name, command, env or {}, stdout, self.folder / f"{name}.err")
        self.stack.callback(process.stop)
        return process


@contextlib.contextmanager
def place():
    """Makes a place to work in."""
    # Thousands of idle connections need a file each, here and in the proxies.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    OUT.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        on_disk, in_memory = (
            pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)))
            for folder in (OUT, "/dev/shm")
        )
        yield Place(on_disk, in_memory, stack)


class Process:
    """A process in a session of its own, so that all its children can be found and stopped."""

    def __init__(self, name, command, env, stdout, stderr):
        self.name = name
        self.stderr = stderr
        with open(stdout or os.devnull, "ab") as out, open(stderr, "wb") as err:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # Nothing of the caller's settings may reach what is measured.
                env={"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", **env},
                start_new_session=True,
                preexec_fn=lambda: LIBC.prctl(DIE_WITH_PARENT, signal.SIGTERM),
            )
        self.pid = self.popen.pid

    def wait_for(self, port, seconds=20):
        """Waits until it listens."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self.popen.poll() is not None:
                lines = self.stderr.read_text(errors="replace").strip().splitlines()
                raise Fault(f"{self.name} ended at its start: {' / '.join(lines[-5:]) or 'it said nothing'}")
            if time.monotonic() > deadline:
                raise Fault(f"{self.name} did not listen within {seconds} s")
            time.sleep(0.02)

    def pids(self):
        """Itself and its children."""
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = pathlib.Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) == self.pid:
                        found.append(int(entry.name))
        return found

    def cpu(self):
        """CPU time so far, user and system, of every thread in seconds: {thread: seconds}."""
        times = {}
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for task in os.scandir(f"/proc/{pid}/task"):
                    with contextlib.suppress(OSError):
                        times[int(task.name)] = thread_time(pathlib.Path(task.path))
        return times

    def kernel(self):
        """CPU time so far that was spent in the kernel, in seconds."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                ticks += int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[12])
        return ticks / TICKS

    def memory(self):
        """Resident memory (VmRSS) in bytes."""
        pages = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                pages += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * PAGE

    def stop(self, seconds=5):
        """Asks it to end, and ends it if it does not."""
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()


def settle(path, quiet=1.2, seconds=10):
    """Waits until a file has not grown for a while: what writes it through a buffer has written it out."""
    deadline = time.monotonic() + seconds
    size, since = path.stat().st_size, time.monotonic()
    while time.monotonic() < min(since + quiet, deadline):
        time.sleep(0.05)
        if (now := path.stat().st_size) != size:
            size, since = now, time.monotonic()


def thread_time(task):
    """CPU time of a thread: to the nanosecond where the kernel tells, in clock ticks where it does not."""
    with contextlib.suppress(OSError):
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def spent(before, after):
    """CPU seconds of each thread between two readings of `Process.cpu`."""
    return {thread: time - before.get(thread, 0) for thread, time in after.items()}


def machine_time():
    """Seconds that the machine's cores have been busy."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS
