"""precisions.py FOLDER: what tools/docs/precisions.sh left there, as the table of docs/numerics.md."""
import ast
import array
import json
import pathlib
import statistics
import sys

NAMES = ["bf16x3", "bf16", "int8"]
folder = pathlib.Path(sys.argv[1])


def values(path):
    """A .npy file of float32 in C order."""
    data = path.read_bytes()
    start = 10 + int.from_bytes(data[8:10], "little")
    assert ast.literal_eval(data[10:start].decode())["descr"] == "<f4", path
    return array.array("f", data[start:])


def ranks(x):
    """Ranks from 0; equal numbers share their mean."""
    order = sorted(range(len(x)), key=x.__getitem__)
    out = [0.0] * len(x)
    first = 0
    for i in range(1, len(x) + 1):
        if i == len(x) or x[order[i]] != x[order[first]]:
            for k in range(first, i):
                out[order[k]] = (first + i - 1) / 2
            first = i
    return out


def correlation(a, b):
    mean = (len(a) - 1) / 2
    ab = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    aa = sum((x - mean) ** 2 for x in a)
    bb = sum((y - mean) ** 2 for y in b)
    return ab / (aa * bb) ** 0.5 if aa and bb else float(a == b)


def answers(name):
    out = []
    for line in (folder / f"{name}.jsonl").read_text().splitlines():
        found = json.loads(line)["predictions"]
        out.append((found[0]["index"], {p["index"]: p["logit"] for p in found}))
    return out


exact = answers("f32")
print(f"\n| beside f32, {len(exact)} photographs | " + " | ".join(NAMES) + " |")
print("|---|" + "---|" * len(NAMES))
errors, same = [], []
for name in NAMES:
    there = answers(name)
    worst = [max(abs(b[k] - a[k]) for k in a) / max(map(abs, a.values()))
             for (_, a), (_, b) in zip(exact, there)]
    errors.append(f"{max(worst):.1e}, {statistics.median(worst):.1e}")
    same.append(f"{sum(a == b for (a, _), (b, _) in zip(exact, there))} of {len(exact)}")
print("| largest error of a logit over the largest logit: worst, median picture | " + " | ".join(errors) + " |")
print("| same best class | " + " | ".join(same) + " |")

methods = {}
for path in (folder / "f32").iterdir():
    methods.setdefault(path.name.split(".")[1], []).append(path)
print("\n| rank correlation of maps with f32's: lowest, median | pictures | " + " | ".join(NAMES) + " |")
print("|---|---|" + "---|" * len(NAMES))
for method, paths in sorted(methods.items()):
    cells = []
    own = [ranks(values(p)) for p in paths]
    for name in NAMES:
        found = [correlation(a, ranks(values(folder / name / p.name))) for a, p in zip(own, paths)]
        cells.append(f"{min(found):.4f}, {statistics.median(found):.4f}")
    print(f"| {method} | {len(paths)} | " + " | ".join(cells) + " |")
print()
