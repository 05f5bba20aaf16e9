#!/usr/bin/env python3
"""Writes lib/report/page/colours.js from lib/image/colormap_data.h: the report page draws with the
same colours as the PNG. Run it by hand if the header has changed; it needs Python alone."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "lib/image/colormap_data.h"
OUT = ROOT / "lib/report/page/colours.js"
WANTED = ["inferno", "viridis", "cividis", "grey", "turbo", "coolwarm", "rdbu"]
WIDTH = 84


def points(text, name):
    table = re.search(name + r"_points\[\d+\]\[3\] = \{(.*?)\};", text, re.S).group(1)
    rows = re.findall(r"\{(\d+), (\d+), (\d+)\}", table)
    return "".join("%02x%02x%02x" % tuple(map(int, row)) for row in rows)


def main():
    text = HEADER.read_text()
    lines = [
        "/* colours.js: made by tools/docs/page_colours.py from lib/image/colormap_data.h. Equally",
        " * spaced points of each colour map, six hexadecimal digits a point. */",
        "const colourPoints = {",
    ]
    for name in WANTED:
        digits = points(text, name)
        pieces = [digits[i : i + WIDTH] for i in range(0, len(digits), WIDTH)]
        lines.append("  %s:" % name)
        lines += ["    '%s'%s" % (p, "," if p is pieces[-1] else " +") for p in pieces]
    OUT.write_text("\n".join(lines + ["};", ""]))


if __name__ == "__main__":
    main()
