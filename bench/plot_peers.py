#!/usr/bin/env python3
"""Draw what bench/peers --json wrote: tokens per second with quartiles, and peak memory beside it.

    bench/plot_peers.py PEERS.json OUT.svg

A bar is the median, its whisker goes from the first to the third quartile.  Plain Python.
"""
import json
import statistics
import sys
from xml.sax.saxutils import escape

ROW, BAR, TOP = 30, 18, 62
LEFT, SPEED, GAP, MEMORY, RIGHT = 170, 380, 90, 200, 80
OURS, THEIRS, PLAIN = "#2f6f9f", "#9a9a9a", "#c9a66b"


def quartiles(values):
    """First quartile, median, third quartile."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def text(x, y, words, anchor="start", size=12, colour="#222222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}">{escape(words)}</text>')


def bar(x, y, width, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'


def whisker(low, high, y):
    """Between two x, with a mark at each end."""
    lines = [(low, y, high, y), (low, y - 4, low, y + 4), (high, y - 4, high, y + 4)]
    return "".join(f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" stroke="#222222"/>'
                   for a, b, c, d in lines)


def draw(runs):
    """The SVG of one sitting."""
    first = runs[0]
    tokens = first["batch"] * first["length"]
    speeds = [sorted(tokens / s for s in quartiles(r["seconds"])) for r in runs]
    most, largest = max(s[2] for s in speeds), max(r["peak_mib"] for r in runs)
    width, height = LEFT + SPEED + GAP + MEMORY + RIGHT, TOP + ROW * len(runs) + 46
    memory_at = LEFT + SPEED + GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             text(12, 22, f"One training step: {first['layers']} layers of {first['hidden']}, "
                  f"{first['batch']} x {first['length']} tokens, {first['threads']} threads", size=15),
             text(LEFT, 48, "tokens per second"), text(memory_at, 48, "peak memory, MiB")]
    for at, (run, (low, middle, high)) in enumerate(zip(runs, speeds)):
        y, name = TOP + ROW * at, run["contestant"]
        integer = name.startswith("mantissa") and name.split()[1] not in ("fp32", "bf16")
        colour = OURS if integer else PLAIN if name.startswith("mantissa") else THEIRS
        scale, memory = SPEED / most, MEMORY / largest * run["peak_mib"]
        parts += [text(LEFT - 8, y + 14, name, "end"), bar(LEFT, y, scale * middle, colour),
                  whisker(LEFT + scale * low, LEFT + scale * high, y + BAR / 2),
                  text(LEFT + scale * high + 8, y + 14, f"{middle:.0f}"),
                  bar(memory_at, y, memory, colour),
                  text(memory_at + memory + 6, y + 14, f"{run['peak_mib']:.0f}")]
    y = TOP + ROW * len(runs) + 14
    versions = sorted({f"{k} {r['about'][k]}" for r in runs for k in ("family", "torch")
                       if k in r["about"]})
    parts += [text(12, y, f"{first['processor']}, commit {first['commit']}, {first['date'][:10]}, "
                   + ", ".join(versions), size=11, colour="#555555"),
              text(12, y + 16, f"medians of {first['rounds']} rounds in turn; whiskers: quartiles",
                   size=11, colour="#555555"), "</svg>"]
    return "\n".join(parts) + "\n"


def main():
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        runs = [json.loads(line) for line in file]
    if len({r["date"] for r in runs}) != 1:
        print(f"{sys.argv[1]}: expected the lines of one sitting")
        return 1
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
