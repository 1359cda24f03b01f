"""Instructions of a request, counted by callgrind, and where they and the time are spent."""

import instructions
import sampling
from case import GUARDED, PLAIN
from chapter import Chapter, amount, table

NAME = "instructions"
TOP = 12


def run(field):
    """Counts every case; keeps where the instructions go for when a goal is missed."""
    # For when a goal is missed.
    most = [sampling.functions(field.place, field.find("Portunus", what), field.upstream) for what in (PLAIN, GUARDED)]

    def told(counted):
        if counted.name != "large":
            most.append(counted.most(TOP))

    found = instructions.count(field.place, field.portunus, told)
    rows = []
    for name, (what, routes, keys) in instructions.COUNTED.items():
        rows.append([f"{what}, {amount(what, routes, keys)}", f"{found[name]:,}"])
    ratio = found["large"] / found["guarded"]
    lines = [
        "In user space, of one request over a connection that is kept alive, with one worker; what the kernel does is not",
        f"counted. Many routes and keys take {ratio:.3f} × the instructions of one of each.",
        "",
        *table(["case", "instructions/request"], rows),
    ]
    figures = {
        "instructions scale": ratio,
        "most": [text for text in most if text],
        **{f"instructions {name}": count for name, count in found.items()},
    }
    return Chapter("Instructions", lines, figures)
