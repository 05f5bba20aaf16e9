#!/usr/bin/env python3
"""Writes test/golden/stats: attention statistics in numpy, from the attention of test/golden/models.

    python tools/golden/make_stats.py

Reads the attention_<l>.npy and block_<l>.npy that timm and transformers computed (README.md beside
them) and applies the definitions of include/vitx/measure.h in float64, plainly: pairs are taken as
pairs, patches have coordinates. Nothing here knows how vitx computes the same things.
"""
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "test" / "golden"
# Height and width of a patch, as tools/golden/make_models.py has them.
PATCHES = {"vit-timm": (8, 8), "vit-timm-avg": (4, 4), "vit-timm-no-class-token": (4, 4), "vit-timm-oblong": (8, 4),
           "vit-hf": (4, 4), "vit-hf-sharded": (8, 8), "vit-hf-margin": (5, 5), "deit-timm": (4, 4), "deit-hf": (4, 4)}
ARTIFACT = 3.0

README = """# stats: golden numbers of the attention statistics

Made by `python tools/golden/make_stats.py` with numpy {numpy} from `attention_<l>.npy` and
`block_<l>.npy` of `../models`, float64, C order. n pictures, L blocks, H heads; the statistics in the
order of `vitx_stat`: entropy, distance, gini, top10, prefix, sink, similarity, focus.

| file | shape | what |
|---|---|---|
| `<model>_values.npy` | [n,L,8,H] | every statistic of every picture |
| `<model>_cosines.npy` | [n,L,H,H] | cosines between the heads of a block |
| `<model>_norms.npy` | [n,L,3] | patch tokens behind each block: median norm, largest norm over it, how many are above {artifact:g} times it |
"""


def centres(grid, patch):
    """[patches,2]: pixel coordinates of the patches' centres, row by row."""
    return np.array([((y + 0.5) * patch[0], (x + 0.5) * patch[1]) for y in range(grid[0]) for x in range(grid[1])])


def gini(row):
    """Half the mean absolute difference of all pairs over the mean."""
    return np.abs(row[:, None] - row[None, :]).mean() / (2 * row.mean())


def statistics(a, grid, patch):
    """Attention [H,T,T] of one block -> [8,H], [H,H]."""
    heads, tokens = a.shape[:2]
    patches = grid[0] * grid[1]
    prefix = tokens - patches
    at = centres(grid, patch)
    between = np.linalg.norm(at[:, None] - at[None, :], axis=-1)
    cosines = np.array([[np.vdot(g, h) / (np.linalg.norm(g) * np.linalg.norm(h)) for h in a] for g in a])
    out = np.zeros((8, heads))
    for h, m in enumerate(a):
        inner = m[prefix:, prefix:]
        logs = np.log(m, out=np.zeros_like(m), where=m > 0)
        received = np.sort(m.sum(axis=0)[prefix:])[::-1]
        out[:, h] = (
            -(m * logs).sum(axis=1).mean(),
            (inner * between).sum() / inner.sum(),
            np.mean([gini(row) for row in m]),
            np.mean([np.sort(row)[::-1][: int(np.ceil(tokens / 10))].sum() for row in m]),
            m[:, :prefix].sum(axis=1).mean(),
            m[prefix:, 0].mean() if prefix else 0,
            (cosines[h].sum() - cosines[h, h]) / (heads - 1),
            received[: int(np.ceil(0.02 * patches))].sum() / m.sum(),
        )
    return out, cosines


def norms(tokens, prefix):
    """Block output [T,D] -> median, largest over it, artifacts."""
    n = np.linalg.norm(tokens[prefix:], axis=1)
    median = np.median(n)
    return median, n.max() / median, (n > ARTIFACT * median).sum()


def main():
    out = GOLDEN / "stats"
    out.mkdir(exist_ok=True)
    for name, patch in PATCHES.items():
        folder = GOLDEN / "models" / name
        pixels = np.load(folder / "input.npy").shape
        grid = pixels[2] // patch[0], pixels[3] // patch[1]
        depth = len(list(folder.glob("attention_*.npy")))
        attention = [np.load(folder / f"attention_{l}.npy").astype(np.float64) for l in range(depth)]
        blocks = [np.load(folder / f"block_{l}.npy").astype(np.float64) for l in range(depth)]
        prefix = attention[0].shape[-1] - grid[0] * grid[1]
        every = [[statistics(a[i], grid, patch) for a in attention] for i in range(pixels[0])]
        np.save(out / f"{name}_values.npy", np.array([[v for v, _ in p] for p in every]))
        np.save(out / f"{name}_cosines.npy", np.array([[c for _, c in p] for p in every]))
        np.save(out / f"{name}_norms.npy",
                np.array([[norms(b[i], prefix) for b in blocks] for i in range(pixels[0])]))
    (out / "README.md").write_text(README.format(numpy=np.__version__, artifact=ARTIFACT))


if __name__ == "__main__":
    main()
