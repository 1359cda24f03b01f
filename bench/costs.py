"""Reads what callgrind dumps: the instructions of each function and of each source, without what they call."""

import collections
import re

NAMED = re.compile(r"(fl|fi|fe|fn|ob|cfi|cfl|cfn|cob)=\((\d+)\)(?: (.*))?")
COST = re.compile(r"[+*\-\d]\S* (\d+)$")
# What names a source in a path: a crate of the registry, one of this workspace, the standard library.
CRATES = (
    re.compile(r"/registry/src/[^/]+/(?P<name>[^/]+?)-\d[^/]*/src/(?P<file>.+)"),
    re.compile(r"(?:^|/)crates/(?P<name>[^/]+)/src/(?P<file>.+)"),
    re.compile(r"/library/(?P<name>std|core|alloc)/src/(?P<file>.+)"),
    re.compile(r"(?:^|/)(?P<name>hashbrown)-[^/]*/src/(?P<file>.+)"),
)


def read(path):
    """Instructions by function, and by source."""
    names = {"file": {}, "function": {}, "object": {}}
    by_function, by_source = collections.Counter(), collections.Counter()
    function = source = ""
    owner = ""
    is_call = False
    with open(path) as lines:
        for line in map(str.rstrip, lines):
            if named := NAMED.match(line):
                what, number, name = named.groups()
                table = names[{"n": "function", "b": "object"}.get(what[-1], "file")]
                if name is not None:
                    table[number] = name
                if what == "fn":
                    function = table[number]
                elif what == "ob":
                    owner = table[number]
                elif what in ("fl", "fi", "fe"):
                    source = table[number]
            elif line.startswith("calls="):
                # The next line is what the called function cost, which is counted there.
                is_call = True
            elif cost := COST.match(line):
                if not is_call:
                    by_function[plain(function)] += int(cost[1])
                    by_source[crate(source, owner)] += int(cost[1])
                is_call = False
    return by_function, by_source


def plain(function):
    """A function's name without the hash at its end."""
    return re.sub(r"::h[0-9a-f]{16}$", "", function)


def crate(source, owner):
    """The crate and file that a path names; without a path, the program or library."""
    for form in CRATES:
        if found := form.search(source):
            return f"{found['name']} {found['file']}"
    return owner.rpartition("/")[2] if source in ("", "???") else source.rpartition("/")[2]
