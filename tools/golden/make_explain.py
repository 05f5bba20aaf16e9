#!/usr/bin/env python3
"""Golden numbers of the explanation methods on small made-up attentions, and of resizing a map.

    python tools/golden/make_explain.py test/golden/explain

Straightforward numpy in float64 from the definitions (reference.py). Six digits of the small
case's maps are known from independent hand-made code and are checked here before anything is
written. The map resize is torch.nn.functional.interpolate. OUT_FOLDER/README.md says what is
written.
"""
import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch

from reference import discard, fuse, query_row, rollout_matrix

# form, fuse, discard ratio -> the map over its maximum, as printed elsewhere
KNOWN = {
    ("row", "mean", 0.0): (1, .427053, .879672, .511347),
    ("compat", "mean", 0.0): (1, .427053, .879672, .511347),
    ("compat", "mean", 0.5): (.957103, .067514, 1, .270704),
    ("row", "mean", 0.5): (.986909, .064957, 1, .219825),
    ("compat", "max", 0.0): (1, .529294, .851752, .550607),
    ("row", "max", 0.0): (1, .538601, .853240, .561515),
    ("compat", "max", 0.5): (1, .478222, .870044, .280394),
    ("row", "max", 0.5): (1, .462881, .900682, .257130),
    ("compat", "min", 0.5): (.960195, .044449, 1, .246106),
    ("row", "min", 0.5): (.976436, .039362, 1, .197890),
}
KNOWN_RAW = (.205407, .087720, .180691, .105034)  # row, mean, 0
KNOWN_ROW = (.175593, .334416, .245465, .178570, .065956)  # A_0[0], row 0

README = """# explain: golden numbers of the explanation methods

Made by `python tools/golden/make_explain.py test/golden/explain` with numpy {numpy}, torch {torch}.
All arrays are little-endian float64, C order.

| file | shape | what |
|---|---|---|
| `small_attention.npy` | [2,2,5,5] | L=2, H=2, T=5, one prefix token: softmax_j(sin(1.3 i + 0.7 j^2 + 0.9 h + 1.1 l + 0.37 i j)) |
| `large_attention.npy` | [4,3,11,11] | L=4, H=3, T=11, two prefix tokens (patches 3x3): softmax of 1.5 x normal numbers, numpy default_rng(7) |
| `small_rollout.npy` | [{ns},4] | raw rollout maps of `small_attention`, one a line of `small_rollout.txt` |
| `large_rollout.npy` | [{nl},9] | the same of `large_attention`, lines of `large_rollout.txt` |
| `small_fused.npy` | [2,3,2,5,5] | `small_attention` with heads fused (mean, max, min), and that after discard 0.5, per block: [block, fuse, discard 0 or 0.5, T, T] |
| `resize_src.npy`, `resize_dst.npy` | [5,7], [23,40] | torch interpolate(bilinear, align_corners=False), not antialiased |
| `resize_down.npy` | [3,4] | the same source made smaller |

`*_rollout.txt`: form, fuse, discard ratio, start layer, query; one line a map, then the map's numbers over its maximum
to six digits for the eye (`nan` where the whole map is 0).

R = B_(L-1) ... B_start, map = row `query` of R without the prefix columns, nothing renormalised; query -1 is the mean
over the patch rows of R. B from F = fuse(A_l), in F the int(T*T*ratio) smallest entries of the whole matrix set to 0,
entry [0,0] excepted, then F + I:
- form `row`: each row divided by its sum (Abnar and Zuidema 2020, arXiv:2005.00928).
- form `compat`: jacobgil/vit-explain @ 15a81d3, `vit_rollout.py`: column j divided by the sum of ROW j (its issue 16).
  vit-explain then divides the map by its maximum; the arrays here hold it before that.

The `nan` lines are real: a high ratio can discard every entry of the query's row except [0,0] in every block. The map
is then all 0, and vit-explain's division by its maximum gives NaN.
"""


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def small_attention():
    l, h, i, j = np.meshgrid(range(2), range(2), range(5), range(5), indexing="ij")
    return softmax(np.sin(1.3 * i + 0.7 * j * j + 0.9 * h + 1.1 * l + 0.37 * i * j))


def large_attention():
    return softmax(1.5 * np.random.default_rng(7).standard_normal((4, 3, 11, 11)))


def over_maximum(row):
    with np.errstate(invalid="ignore"):
        return row / row.max()


def check_known(attention):
    assert np.abs(attention[0, 0, 0] - KNOWN_ROW).max() < 5.1e-7
    for (form, how, ratio), expected in KNOWN.items():
        row = query_row(rollout_matrix(attention, how, ratio, 0, form), 0, 1)
        assert np.abs(over_maximum(row) - expected).max() < 5.1e-7, (form, how, ratio)
    raw = query_row(rollout_matrix(attention), 0, 1)
    assert np.abs(raw - KNOWN_RAW).max() < 5.1e-7
    for form in ("row", "compat"):
        assert not query_row(rollout_matrix(attention, "max", 0.8, 0, form), 0, 1).any()


def write_rollouts(out, name, attention, prefix, cases):
    rows, lines = [], []
    for form, how, ratio, start, query in cases:
        row = query_row(rollout_matrix(attention, how, ratio, start, form), query, prefix)
        rows.append(row)
        numbers = " ".join("%.6f" % v for v in over_maximum(row))
        lines.append(f"{form} {how} {ratio:g} {start} {query} {numbers}\n")
    np.save(out / f"{name}_rollout.npy", np.array(rows, dtype="<f8"))
    (out / f"{name}_rollout.txt").write_text("".join(lines))
    return len(rows)


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    small, large = small_attention(), large_attention()
    check_known(small)
    np.save(out / "small_attention.npy", small.astype("<f8"))
    np.save(out / "large_attention.npy", large.astype("<f8"))
    forms, fuses = ("row", "compat"), ("mean", "max", "min")
    cases = list(product(forms, fuses, (0.0, 0.5, 0.8), (0, 1), (0,)))
    cases += list(product(("row",), fuses, (0.0, 0.5), (0,), (1, 2, 3, 4, -1)))
    ns = write_rollouts(out, "small", small, 1, cases)
    cases = list(product(forms, fuses, (0.0, 0.5, 0.9), (0, 1, 3), (0,)))
    cases += list(product(("row",), fuses, (0.0, 0.25), (0, 2), (1, 2, 10, -1)))
    nl = write_rollouts(out, "large", large, 2, cases)
    fused = [[[discard(fuse(a, how), ratio) for ratio in (0.0, 0.5)] for how in fuses]
             for a in small]
    np.save(out / "small_fused.npy", np.array(fused, dtype="<f8"))
    source = np.random.default_rng(11).standard_normal((5, 7))
    np.save(out / "resize_src.npy", source.astype("<f8"))
    for name, size in (("dst", (23, 40)), ("down", (3, 4))):
        resized = torch.nn.functional.interpolate(
            torch.from_numpy(source)[None, None], size=size, mode="bilinear", align_corners=False)
        np.save(out / f"resize_{name}.npy", resized[0, 0].numpy().astype("<f8"))
    (out / "README.md").write_text(README.format(
        numpy=np.__version__, torch=torch.__version__, ns=ns, nl=nl))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
