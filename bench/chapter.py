"""What a part of a run tells: a chapter in Markdown, figures for the goals, plots."""

import dataclasses
import statistics

from case import GUARDED


@dataclasses.dataclass
class Plot:
    """A picture: its file, what gnuplot is told, and columns of data with a header."""

    name: str
    commands: str
    rows: list


@dataclasses.dataclass
class Chapter:
    """One section of RESULTS.md."""

    title: str
    lines: list
    # What the goals are checked against, by name.
    figures: dict = dataclasses.field(default_factory=dict)
    plots: list = dataclasses.field(default_factory=list)
    errors: int = 0

    def text(self):
        return "\n".join([f"## {self.title}", "", *self.lines])


def table(head, rows):
    """A table in Markdown; all columns but the first hold figures."""
    rows = [head, *rows]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return lines


def spread(values, digits=2):
    """Median, and least to most."""
    middle = statistics.median(values)
    if len(values) == 1 or min(values) == max(values):
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def amount(what, routes, keys):
    """How many routes and, where they are checked, keys."""
    said = [f"{routes:,} route{'' if routes == 1 else 's'}"]
    if what == GUARDED:
        said.append(f"{keys:,} key{'' if keys == 1 else 's'}")
    return ", ".join(said)
