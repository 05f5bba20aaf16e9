"""The figures of prove.sh as a table: table.py FIGURES.jsonl

For each case vitx and PyTorch side by side: milliseconds, how many times as fast vitx is, and, of a
forward pass, which share of the machine's matrix product vitx reaches.
"""

import json
import sys

# Multiplications and additions of one picture's forward pass, in 1e9, by fvcore's counting.
GFLOP = {
    "vit_base_patch16_224": 35.1,
    "vit_large_patch16_224": 123.1,
    "vit_small_patch14_dinov2": 93.3,
}
# What is the same, by vitx's name.
SAME = {
    "forward+all": "recorded",
    "integrated-gradients": "ig50",
    "rise": "rise1000",
}


def main():
    vitx, torch, compiled, ceilings = {}, {}, {}, {}
    for line in open(sys.argv[1], encoding="utf-8"):
        row = json.loads(line)
        if "value" in row:
            ceilings[row["what"], row.get("precision")] = row["value"]
            print(f"{row['what']:8} {row.get('precision', ''):6} {row['value']:10.1f}")
            continue
        what = SAME.get(row["what"], row["what"])
        mine = row["peer"] == "vitx"
        to = vitx if mine else compiled if what == "compiled" else torch
        key = row["model"], "forward" if what == "compiled" else what, row["precision"], row["batch"]
        if not (mine and what == "forward" and key in to):  # clock's row, not bench's
            to[key] = row["median_ms"]
    print(f"\n{'model':26}{'what':10}{'':8}{'batch':>6}{'vitx ms':>10}{'torch':>10}{'compiled':>10}"
          f"{'x torch':>9}{'x comp.':>9}{'of product':>11}")
    for key in sorted(vitx):
        model, what, precision, batch = key
        ms, other, best = vitx[key], torch.get(key), compiled.get(key)
        peak = ceilings.get(("tflops", precision))
        share = GFLOP[model] * batch / ms / peak if what == "forward" and peak else None
        print(f"{model:26}{what:10}{precision:8}{batch:6}{ms:10.3f}{number(other, 3)}"
              f"{number(best, 3)}{number(other and other / ms, 2, 9)}"
              f"{number(best and best / ms, 2, 9)}{number(share and 100 * share, 1, 10)}"
              f"{' %' if share else ''}")


def number(x, digits, width=10):
    return f"{x:{width}.{digits}f}" if x else " " * (width - 1) + "-"


if __name__ == "__main__":
    main()
