#!/usr/bin/env python3
"""Golden numbers of the metrics of maps (vitx/evaluate.h), on tiny models of test/golden/models.

    TIMM_FUSED_ATTN=0 python tools/golden/make_evaluate.py test/golden/evaluate

Everything is float64 and written from the definitions in docs/evaluation.md and from RISE's, ROAD's and
captum's formulas, slowly and plainly: PyTorch and timm or transformers run the models, NumPy solves
ROAD's equations as a dense system, SciPy ranks. The random numbers are vitx's own (lib/base/random.h),
since what is drawn has to be the same. OUT_FOLDER/README.md says what is written.
"""
import os
import sys
from pathlib import Path

os.environ["TIMM_FUSED_ATTN"] = "0"

import numpy as np
import scipy
import scipy.ndimage
import scipy.special
import scipy.stats
import timm
import torch
import transformers

from reference import query_row, rollout_matrix, timm_attentions

MODELS = Path(__file__).parent / ".." / ".." / "test" / "golden" / "models"

README = """# evaluate: golden numbers of the metrics of maps

Made by `TIMM_FUSED_ATTN=0 python tools/golden/make_evaluate.py test/golden/evaluate` with torch {torch}, timm {timm},
transformers {transformers}, numpy {numpy}, scipy {scipy}, in float64. The models and the picture are those of
`../models`; the explained input is entry 0 of their `input.npy`, the class its most probable one.

| file | what |
|---|---|
| `<model>_grid.npy`, `<model>_odd.npy` | made-up maps: of the grid's size, and 7 x 9 |
| `<model>_cases.txt` | one case a line: map, metric, options (`-`: none, else separated by `;`), how many values, how many curves, of how many points |
| `<model>_numbers.npy` | float64: the values, then the curves, of case after case |

The map `rollout` is attention rollout of the model as it is explained by default.
"""


# ---------------------------------------------------------------- random numbers (lib/base/random.h)

MASK = (1 << 64) - 1


def splitmix(seed, index):
    z = (np.uint64(seed) + (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(seed, stream, count):
    with np.errstate(over="ignore"):
        return splitmix(splitmix(seed, np.array([stream]))[0], np.arange(count))


def uniform(seed, stream, count):
    return (bits(seed, stream, count) >> np.uint64(11)).astype(np.float64) * 2.0 ** -53


def normal(seed, stream, count):
    place = ((bits(seed, stream, count) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0 ** -52
    return scipy.special.ndtri(place)


# ---------------------------------------------------------------- models

class Timm:
    def __init__(self, name):
        self.model = timm.create_model(f"local-dir:{MODELS / name}", pretrained=True).double().eval()
        self.prefix = self.model.num_prefix_tokens
        self.grid = self.model.patch_embed.grid_size
        self.patch = self.model.patch_embed.patch_size
        cfg = self.model.pretrained_cfg
        self.mean, self.std = np.array(cfg["mean"]), np.array(cfg["std"])

    def logits(self, x):
        with torch.no_grad():
            return self.model(torch.from_numpy(x)).numpy()

    def logits_kept(self, x, kept):
        """One picture of which only the patches `kept` are tokens."""
        m = self.model
        with torch.no_grad():
            t = m._pos_embed(m.patch_embed(torch.from_numpy(x)))
            rows = list(range(self.prefix)) + [self.prefix + p for p in np.flatnonzero(kept)]
            t = m.norm_pre(t[:, rows])
            for block in m.blocks:
                t = block(t)
            if m.global_pool == "avg" and not kept.any():  # the mean over no patches is taken to be 0
                return m.head(m.fc_norm(torch.zeros(1, t.shape[-1], dtype=t.dtype))).numpy()
            return m.forward_head(m.norm(t)).numpy()

    def rollout(self, x):
        _, attentions = timm_attentions(self.model, lambda: self.logits(x))
        return np.stack([query_row(rollout_matrix(np.stack([a[i] for a in attentions])), 0, self.prefix)
                         .reshape(self.grid) for i in range(len(x))])

    def reset(self, part, seed):
        """Part 0: the head and its norm; then the blocks, last first; then the patch embedding."""
        m, depth = self.model, len(self.model.blocks)
        if part == 0:
            linears, norms = [m.head], [m.norm]
        elif part <= depth:
            b = m.blocks[depth - part]
            linears, norms = [b.attn.qkv, b.attn.proj, b.mlp.fc1, b.mlp.fc2], [b.norm1, b.norm2]
        else:
            linears, norms = [m.patch_embed.proj], []
        with torch.no_grad():
            for i, linear in enumerate(linears):
                bound = 1 / np.sqrt(linear.weight[0].numel())
                for j, p in enumerate((linear.weight, linear.bias)):
                    u = bound * (2 * uniform(seed, 16 * part + 2 * i + j, p.numel()) - 1)
                    p.copy_(torch.from_numpy(u.astype(np.float32).astype(np.float64)).reshape(p.shape))
            for norm in norms:
                norm.weight.fill_(1)
                norm.bias.fill_(0)


class HuggingFace:
    def __init__(self, name):
        self.model = transformers.AutoModelForImageClassification.from_pretrained(MODELS / name).double().eval()
        cfg = self.model.config
        self.patch = (cfg.patch_size, cfg.patch_size)
        self.grid = (cfg.image_size // cfg.patch_size,) * 2
        self.mean = self.std = np.array([0.5] * 3)

    def logits(self, x):
        with torch.no_grad():
            return self.model(torch.from_numpy(x)).logits.numpy()


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ---------------------------------------------------------------- maps

def between(size, count):
    """For pixel i of `size`: two of `count` samples and how far from the first (half-pixel centres)."""
    at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    first = at.astype(int)
    return first, np.minimum(first + 1, count - 1), at - first


def resized(values, height, width):
    y0, y1, v = between(height, values.shape[0])
    x0, x1, u = between(width, values.shape[1])
    above = values[y0][:, x0] + (values[y0][:, x1] - values[y0][:, x0]) * u
    below = values[y1][:, x0] + (values[y1][:, x1] - values[y1][:, x0]) * u
    return above + (below - above) * v[:, None]


class Subject:
    def __init__(self, model, x, values):
        self.model, self.x, self.values = model, x, values
        self.target = int(model.logits(x)[0].argmax())
        self.seen = (model.grid[0] * model.patch[0], model.grid[1] * model.patch[1])
        self.pixels = resized(values, *self.seen)
        if values.shape == tuple(model.grid):
            self.patches = values.ravel()
        else:
            gh, gw, ph, pw = *model.grid, *model.patch
            self.patches = self.pixels.reshape(gh, ph, gw, pw).mean((1, 3)).ravel()

    def order(self, values):
        return np.argsort(-values.ravel(), kind="stable")

    def probability(self, xs):
        return softmax(self.model.logits(xs))[:, self.target]

    def where(self, chosen):
        """Pixels of the seen part, by number, as a mask of the whole input."""
        mask = np.zeros(self.x.shape[2:], bool)
        mask[np.asarray(chosen) // self.seen[1], np.asarray(chosen) % self.seen[1]] = True
        return mask

    def colour(self, kind):
        """The input of a picture of one colour."""
        level = {"black": 0.0, "white": 1.0}[kind]
        return np.broadcast_to(((level - self.model.mean) / self.model.std)[None, :, None, None], self.x.shape)


# ---------------------------------------------------------------- RISE: insertion and deletion

def rise_blur(x):
    """gkern(11, 5) of RISE's evaluation.py and its conv2d(padding=5), per channel."""
    impulse = np.zeros((11, 11))
    impulse[5, 5] = 1
    kernel = torch.from_numpy(scipy.ndimage.gaussian_filter(impulse, 5))
    return torch.nn.functional.conv2d(torch.from_numpy(x).transpose(0, 1), kernel[None, None],
                                      padding=5).transpose(0, 1).numpy()


def substrate(s, kind):
    if kind == "mean":
        return np.zeros_like(s.x)
    return rise_blur(s.x) if kind == "blur" else s.colour(kind)


def auc(p):
    return (p.sum() - p[0] / 2 - p[-1] / 2) / (len(p) - 1)


def walk(s, insert, step=None, fill=None):
    fill = substrate(s, fill or ("blur" if insert else "mean"))
    step = s.x.shape[3] if step is None else int(step)
    start, finish = (fill, s.x) if insert else (s.x, fill)
    order, now, points = s.order(s.pixels), start.copy(), []
    for at in range(0, len(order) + step, step):
        points.append(now.copy())
        mask = s.where(order[at:at + step])
        now[:, :, mask] = finish[:, :, mask]
        if at >= len(order):
            break
    p = s.probability(np.concatenate(points))
    return [auc(p)], [p]


def masked(s, kept, fill):
    """The picture with the patches that are not kept filled."""
    gh, gw, ph, pw = *s.model.grid, *s.model.patch
    mask = np.zeros(s.x.shape[2:], bool)
    mask[:gh * ph, :gw * pw] = np.kron(kept.reshape(gh, gw), np.ones((ph, pw), int)) > 0
    return np.where(mask, s.x, fill)


def answer(s, kept, remove):
    if remove == "drop":
        return s.model.logits_kept(s.x, kept)
    return s.model.logits(masked(s, kept, substrate(s, remove)))


def walk_patches(s, insert, remove="mean"):
    order, p = s.order(s.patches), []
    for n in range(len(order) + 1):
        kept = np.full(len(order), not insert)
        kept[order[:n]] = insert
        p.append(softmax(answer(s, kept, remove))[0, s.target])
    return [auc(np.array(p))], [np.array(p)]


# ---------------------------------------------------------------- ROAD

def impute(x, unknown):
    """Solves the equations of noisy linear imputation as one dense system."""
    height, width = unknown.shape
    number = np.full(unknown.shape, -1)
    number[unknown] = np.arange(unknown.sum())
    a, b = np.zeros((unknown.sum(),) * 2), np.zeros((unknown.sum(), x.shape[1]))
    for y, col in zip(*np.nonzero(unknown)):
        i = number[y, col]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                ny, nx = y + dy, col + dx
                if (dy, dx) == (0, 0) or not (0 <= ny < height and 0 <= nx < width):
                    continue
                weight = 1 / 12 if dy and dx else 1 / 6
                a[i, i] += weight
                if unknown[ny, nx]:
                    a[i, number[ny, nx]] -= weight
                else:
                    b[i] += weight * x[0, :, ny, nx]
    out = x.copy()
    out[0][:, unknown] = np.linalg.solve(a, b).T
    return out


def road(s, steps=9, noise=0.01, seed=0):
    steps, noise, seed = int(steps), float(noise), int(seed)
    order, inputs = s.order(s.pixels), []
    for v in range(2 * steps):
        count = len(order) * (v % steps + 1) // (steps + 1)
        unknown = s.where(order[:count] if v < steps else order[len(order) - count:])
        x = impute(s.x, unknown)
        z = normal(seed, v, x.size).reshape(x.shape) * noise / s.model.std[None, :, None, None]
        inputs.append(np.where(unknown, x + z, x))
    p = s.probability(np.concatenate(inputs))
    morf, lerf = p[:steps], p[steps:]
    return [(lerf.mean() - morf.mean()) / 2, morf.mean(), lerf.mean()], [morf, lerf]


# ---------------------------------------------------------------- captum: infidelity, sensitivity

def infidelity(s, n=10, p=0.5, normalize="yes", seed=0, remove="mean"):
    n, p, seed = int(n), float(p), int(seed)
    grid = s.values.shape == tuple(s.model.grid)
    a = s.patches if grid else s.patches * s.model.patch[0] * s.model.patch[1]
    whole = s.model.logits(s.x)[0, s.target]
    removed = np.stack([uniform(seed, v, a.size) < p for v in range(n)])
    d = np.array([whole - answer(s, ~gone, remove)[0, s.target] for gone in removed])
    said = removed @ a
    b = (said * d).sum() / (said ** 2).sum() if normalize == "yes" else 1.0
    value = ((b * said - d) ** 2).mean()
    return [value, value / (d ** 2).mean()], []


def sensitivity(s, n=10, radius=0.02, seed=0):
    n, radius, seed = int(n), float(radius), int(seed)
    noise = np.stack([radius * (2 * uniform(seed, v, s.x.size) - 1) for v in range(n)])
    xs = (s.x + noise.reshape(n, *s.x.shape[1:])).astype(np.float32).astype(np.float64)
    original = s.model.rollout(s.x)[0]
    change = [np.linalg.norm(e - original) / np.linalg.norm(original) for e in s.model.rollout(xs)]
    return [max(change), np.mean(change)], []


# ---------------------------------------------------------------- sanity checks, sparseness

def randomisation(s, name, seed=0):
    model = Timm(name)
    original = np.abs(model.rollout(s.x)[0]).ravel()
    curve = [1.0]
    for part in range(len(model.model.blocks) + 2):
        model.reset(part, int(seed))
        curve.append(scipy.stats.spearmanr(original, np.abs(model.rollout(s.x)[0]).ravel()).statistic)
    return [np.mean(curve[1:]), curve[-1]], [np.array(curve)]


def sparseness(s, on="patches"):
    v = np.abs(s.values)
    if on == "patches" and v.shape != tuple(s.model.grid):
        v = Subject(s.model, s.x, v).patches
    v = np.sort(v.ravel())
    n, share = len(v), v / v.sum()
    gini = np.abs(v[:, None] - v[None, :]).sum() / (2 * n * v.sum())
    return [gini, scipy.stats.entropy(share) / np.log(n)], []


METRICS = {
    "insertion": lambda s, **o: walk(s, True, **o), "deletion": lambda s, **o: walk(s, False, **o),
    "insertion-patch": lambda s, **o: walk_patches(s, True, **o),
    "deletion-patch": lambda s, **o: walk_patches(s, False, **o),
    "road": road, "infidelity": infidelity, "sensitivity": sensitivity, "sparseness": sparseness,
}

COMMON = [
    ("insertion", ""), ("insertion", "step=37"), ("insertion", "fill=mean"), ("deletion", ""),
    ("deletion", "step=7;fill=black"), ("deletion", "fill=white"), ("deletion", "fill=blur"),
    ("insertion-patch", ""), ("deletion-patch", ""), ("road", "noise=0"),
    ("road", "steps=4;noise=0.1;seed=5"), ("infidelity", ""), ("infidelity", "n=6;p=0.2;normalize=no;seed=3"),
    ("sparseness", ""), ("sparseness", "on=map"),
]
DROPPED = [("insertion-patch", "remove=drop"), ("deletion-patch", "remove=drop"), ("infidelity", "remove=drop")]
AGAIN = [("sensitivity", ""), ("sensitivity", "n=3;radius=0.5;seed=8"), ("randomisation", ""),
         ("randomisation", "seed=4")]


def write(out, name, model, dropped, again):
    x = np.load(MODELS / name / "input.npy")[:1].astype(np.float64)
    rng = np.random.default_rng(sum(map(ord, name)))
    maps = {"grid": rng.normal(0, 1, model.grid), "odd": rng.normal(0.4, 1, (7, 9))}
    maps = {key: v.astype(np.float32).astype(np.float64) for key, v in maps.items()}
    for key, v in maps.items():
        np.save(out / f"{name}_{key}.npy", v)
    cases = [(key, *c) for key in maps for c in COMMON + (DROPPED if dropped else [])]
    if again:
        maps["rollout"] = model.rollout(x)[0]
        cases += [("rollout", *c) for c in AGAIN]
    lines, numbers = [], []
    for key, metric, options in cases:
        given = dict(o.split("=") for o in options.split(";") if o)
        s = Subject(model, x, maps[key])
        values, curves = randomisation(s, name, **given) if metric == "randomisation" else METRICS[metric](s, **given)
        points = len(curves[0]) if curves else 0
        lines.append(f"{key} {metric} {options or '-'} {len(values)} {len(curves)} {points}\n")
        numbers += [np.array(values), *curves]
    (out / f"{name}_cases.txt").write_text("".join(lines))
    np.save(out / f"{name}_numbers.npy", np.concatenate(numbers).astype("<f8"))


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    write(out, "vit-timm", Timm("vit-timm"), True, True)
    write(out, "vit-timm-avg", Timm("vit-timm-avg"), True, False)
    write(out, "vit-hf-margin", HuggingFace("vit-hf-margin"), False, False)
    (out / "README.md").write_text(README.format(
        torch=torch.__version__, timm=timm.__version__, transformers=transformers.__version__,
        numpy=np.__version__, scipy=scipy.__version__))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
