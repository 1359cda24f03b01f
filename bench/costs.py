"""Reads what callgrind dumps: the instructions of each function and of each crate, without what they call."""

import collections
import pathlib
import re

NAMED = re.compile(r"(fl|fi|fe|fn|ob|cfi|cfl|cfn|cob)=\((\d+)\)(?: (.*))?")
COST = re.compile(r"[+*\-\d]\S* (\d+)$")
# What names a crate in the path of a source: the registry, this workspace, the standard library.
CRATES = (
    re.compile(r"/registry/src/[^/]+/([^/]+?)-\d[^/]*/"),
    re.compile(r"(?:^|/)crates/([^/]+)/src/"),
    re.compile(r"/library/(std|core|alloc)/src/"),
)


def read(path):
    """Instructions by function, and by crate; what is inlined counts for where it was written."""
    names = {"file": {}, "function": {}, "object": {}}
    by_function, by_crate = collections.Counter(), collections.Counter()
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
                    by_crate[crate(source, owner)] += int(cost[1])
                is_call = False
    return by_function, by_crate


def plain(function):
    """A function's name without the hash at its end."""
    return re.sub(r"::h[0-9a-f]{16}$", "", function)


def crate(source, owner):
    """The crate that a path belongs to; for what is not Rust, the file, and without a path the program or library."""
    for form in CRATES:
        if found := form.search(source):
            return found[1]
    return pathlib.PurePath(owner if source in ("", "???") else source).name
