"""Draws plots with gnuplot, as SVG."""

import subprocess

import work

FOLDER = work.BENCH / "plots"
HEAD = """
set terminal svg size {width},360 enhanced font "sans-serif,11" background rgb "white"
set output "{output}"
set datafile separator "\\t"
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
"""


def draw(place, plot, width=720):
    """Draws one."""
    FOLDER.mkdir(exist_ok=True)
    data = place.folder / f"{plot.name}.tsv"
    data.write_text("".join("\t".join(map(str, row)) + "\n" for row in plot.rows))
    head = HEAD.format(width=width, output=FOLDER / f"{plot.name}.svg")
    text = f'{head}\nDATA = "{data}"\n{plot.commands}\n'
    done = subprocess.run(
        [work.program("gnuplot")], check=False, input=text, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise work.Fault(f"gnuplot could not draw {plot.name}: {done.stderr.strip()}")
