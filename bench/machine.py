"""What can be told of the machine without naming it, and the commit that is measured."""

import os
import platform
import re
import subprocess

import work
from proxies import envoy


def commit():
    """The commit that was measured; with a plus sign if the sources differ from it, or may."""
    known = said(["git", "rev-parse", "--short", "HEAD"])
    if not known:
        return "uncommitted"
    paths = ["crates", "Cargo.toml", "Cargo.lock", ".cargo"]
    changed = "PORTUNUS_BIN" in os.environ or said(["git", "status", "--porcelain", "--", *paths])
    return known + ("+" if changed else "")


def facts():
    """The machine and the programs."""
    with open("/proc/cpuinfo") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    memory = os.sysconf("SC_PHYS_PAGES") * work.PAGE / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    return [
        f"{work.cores()} cores, {' '.join(model[1].split()) if model else platform.machine()}, {memory:.0f} GiB of memory",
        f"Linux {kernel}",
        ", ".join(versions()),
    ]


def versions():
    """The programs that took part; those that are not here are left out."""
    commands = {
        "nginx": ["nginx", "-v"],
        "HAProxy": ["haproxy", "-v"],
        "Envoy": [str(envoy.BINARY), "--version"],
        "Caddy": ["caddy", "version"],
        "wrk": ["wrk", "--version"],
        "h2load": ["h2load", "--version"],
        "valgrind": ["valgrind", "--version"],
        "rustc": ["rustc", "--version"],
    }
    found = {name: version(said(command)) for name, command in commands.items()}
    return [f"{name} {number}" for name, number in found.items() if number]


def has(flag):
    """Whether the processor can do something."""
    with open("/proc/cpuinfo") as info:
        return flag in info.read().split()


def version(text):
    """The first version number in a text."""
    # Envoy says the hash of its commit first, in which there may be digits, but no dots.
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else ""


def said(command):
    """What a command prints, on either output; nothing if there is no such command. `wrk --version` fails all the same."""
    env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    try:
        done = subprocess.run(command, check=False, cwd=work.ROOT, capture_output=True, text=True, env=env)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()
