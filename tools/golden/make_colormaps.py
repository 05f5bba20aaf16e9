"""Makes the colour maps' control points and the golden that checks them, from matplotlib.

    python tools/golden/make_colormaps.py

writes lib/image/colormap_data.h (equally spaced sRGB points, linear between them; as few as keep
every one of the 256 colours within 1/255 of matplotlib's) and test/golden/render/colormaps.npy
(u1 [maps, 256, 3]: the colours at i/255). Needs numpy and matplotlib; test/golden/render/README.md
says which versions made the committed files.
"""

import os

import matplotlib
import numpy

# vitx's name, matplotlib's name, the source of the numbers
MAPS = [
    ("turbo", "turbo", "Mikhailov 2019, the table that Google published"),
    ("viridis", "viridis", "Smith and van der Walt 2015 (CC0)"),
    ("inferno", "inferno", "Smith and van der Walt 2015 (CC0)"),
    ("jet", "jet", "matplotlib's piecewise linear definition"),
    ("grey", "gray", "black to white"),
    ("coolwarm", "coolwarm", "Moreland 2009, diverging: blue, light grey, red"),
    ("rdbu", "RdBu_r", "Brewer 2002, diverging: blue, white, red"),
    ("cividis", "cividis", "Nunez, Anderton and Renslow 2018, for colour-blind eyes, too"),
]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def colours(name, positions):
    """matplotlib's colours; between the entries of its table of 256, linear."""
    table = matplotlib.colormaps[name].resampled(256)(numpy.arange(256))[:, :3]
    x = numpy.asarray(positions) * 255
    low = numpy.minimum(x.astype(int), 254)
    t = (x - low)[:, None]
    return table[low] * (1 - t) + table[low + 1] * t


def points(name):
    """The fewest equally spaced points that keep within 1/255 when rounded to bytes."""
    want = numpy.round(colours(name, numpy.arange(256) / 255) * 255)
    for count in range(2, 257):
        at = numpy.round(colours(name, numpy.arange(count) / (count - 1)) * 255)
        x = numpy.arange(256) / 255 * (count - 1)
        low = numpy.minimum(x.astype(int), count - 2)
        t = (x - low)[:, None]
        got = numpy.floor(at[low] * (1 - t) + at[low + 1] * t + 0.5)
        if numpy.abs(got - want).max() <= 1:
            return at.astype(numpy.uint8), want.astype(numpy.uint8)
    raise AssertionError(name)


def main():
    golden = []
    lines = [
        "/* image/colormap_data.h: made by tools/golden/make_colormaps.py, not by hand. */",
        "/* clang-format off */",
        "#include <stdint.h>",
        "",
    ]
    for name, source, origin in MAPS:
        table, want = points(source)
        golden.append(want)
        print(f"{name}: {len(table)} points")
        lines.append(f"/* {origin} */")
        lines.append(f"static const uint8_t {name}_points[{len(table)}][3] = {{")
        row = "   "
        for r, g, b in table:
            item = f" {{{r}, {g}, {b}}},"
            if len(row) + len(item) > 100:
                lines.append(row)
                row = "   "
            row += item
        lines += [row, "};", ""]
    with open(os.path.join(ROOT, "lib/image/colormap_data.h"), "w") as f:
        f.write("\n".join(lines[:-1]) + "\n")
    numpy.save(os.path.join(ROOT, "test/golden/render/colormaps.npy"), numpy.stack(golden))
    print("matplotlib", matplotlib.__version__, "numpy", numpy.__version__)


if __name__ == "__main__":
    main()
