"""Methods that sample, with the very numbers that vitx draws (lib/base/random.h) and the rest by NumPy,
PyTorch and scikit-learn.
"""
import itertools
import math

import numpy as np
import torch
from sklearn.linear_model import Ridge

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def splitmix(seed, index):
    """Output `index` of SplitMix64 started with `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.asarray(index, dtype=np.uint64) + np.uint64(1)) * GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed, stream, index):
    return (splitmix(splitmix(seed, stream), index) >> np.uint64(11)) * 2.0**-53


def answers(job, removed, sets):
    """Scores [n] of sets of patches [n,P], by `removed`: masks [B,gh,gw] -> scores."""
    masks = torch.tensor(np.asarray(sets, dtype=float), dtype=job.x.dtype)
    with torch.no_grad():
        return torch.cat([removed(part.reshape((-1,) + job.net.grid))
                          for part in masks.split(64)]).double().numpy()


# ------------------------------------------------------------------ rise

def soft_masks(job):
    """(mask [H,W], level) of each sample."""
    get, (height, width) = job.case.get, job.x.shape[-2:]
    seed, p, cells = int(get("seed", 0)), float(get("p", 0.5)), int(get("cells", 8))
    down, across = -(-height // cells), -(-width // cells)
    for i in range(int(get("n", 4000))):
        u = uniform(seed, i, np.arange(3 + cells * cells))
        bits = torch.tensor((u[3:] < p).astype(float)).reshape(1, 1, cells, cells)
        wide = torch.nn.functional.interpolate(
            bits, size=((cells + 1) * down, (cells + 1) * across), mode="bilinear")[0, 0]
        top, left = int(u[0] * down), int(u[1] * across)
        level = 0.5 + (u[2] - 0.5) * (1e-6 if p == 0.5 else 1)
        yield wide[top: top + height, left: left + width], level


def rise(job, removed, gone, pooled):
    masks = list(soft_masks(job))
    share = len(masks) * float(job.case.get("p", 0.5))
    if job.case.get("remove") == "drop":
        sets = np.array([job.net.to_patches(m.numpy()).mean(axis=(2, 3)) > level
                         for m, level in masks]).reshape(len(masks), -1)
        return (answers(job, removed, sets) @ sets / share).reshape(job.net.grid)
    with torch.no_grad():
        scores = [float(job.scores(job.x * m + gone * (1 - m))[0])
                  for m in (m.to(job.x.dtype) for m, _ in masks)]
    return pooled(job, sum(s * m.numpy() for s, (m, _) in zip(scores, masks)) / share)


# ------------------------------------------------------------------ linear models of the score

def lime(job, removed):
    get, patches = job.case.get, math.prod(job.net.grid)
    seed, n = int(get("seed", 0)), int(get("n", 1000))
    sets = np.array([[True] * patches] + [uniform(seed, v, np.arange(patches)) < 0.5
                                          for v in range(1, n)]).astype(float)
    sizes = sets.sum(axis=1)
    distance = 1 - sizes / np.sqrt(np.maximum(sizes, 1) * patches)  # the cosine's
    weights = np.sqrt(np.exp(-(distance ** 2) / float(get("kernel", 0.25)) ** 2))
    model = Ridge(alpha=float(get("alpha", 1)))
    return model.fit(sets, answers(job, removed, sets), weights).coef_.reshape(job.net.grid)


def shapley_sets(patches, n, seed):
    """Sets [n,P] and weights [n] as shap's KernelExplainer chooses them; size 1 is always listed, and a
    set that is drawn twice stands there twice."""
    sizes, paired = patches // 2, (patches - 1) // 2
    weight = {k: (2 if k <= paired else 1) * (patches - 1) / (k * (patches - k))
              for k in range(1, sizes + 1)}
    count = {k: (2 if k <= paired else 1) * math.comb(patches, k) for k in weight}
    sets, weights, full, rest = [], [], 0, dict(weight)

    def add(members, k, w):
        z = np.zeros(patches)
        z[list(members)] = 1
        for one in [z, 1 - z][: 2 if k <= paired else 1]:
            sets.append(one)
            weights.append(w)

    for k in weight:
        if k > 1 and (n - len(sets)) * rest[k] / sum(rest.values()) < count[k] * (1 - 1e-8):
            break
        del rest[k]
        full = k
        for members in itertools.combinations(range(patches), k):
            add(members, k, weight[k] / count[k])
    listed = len(sets)
    for draw in itertools.count():
        if len(sets) >= n:
            break
        odds = np.cumsum([1 / (k * (patches - k)) for k in rest])
        k = list(rest)[int(np.searchsorted(odds, uniform(seed, draw, 0) * odds[-1], side="right"))]
        members = list(range(patches))
        for m in range(k):
            other = m + int(uniform(seed, draw, m + 1) * (patches - m))
            members[m], members[other] = members[other], members[m]
        add(members[:k], k, sum(rest.values()) / (n - listed))
    assert full >= 1
    return np.array(sets[:n]), np.array(weights[:n])


def kernelshap(job, removed):
    """(phi, score of the empty set)."""
    get, patches = job.case.get, math.prod(job.net.grid)
    sets, weights = shapley_sets(patches, int(get("n")), int(get("seed", 0)))
    ends = answers(job, removed, [[0] * patches, [1] * patches])
    total, y = ends[1] - ends[0], answers(job, removed, sets) - ends[0]
    root = np.sqrt(weights)[:, None]
    # The last value is the total less the others.
    a, b = sets[:, :-1] - sets[:, -1:], y - total * sets[:, -1]
    phi = np.linalg.lstsq(a * root, b * root[:, 0], rcond=None)[0]
    return np.append(phi, total - phi.sum()).reshape(job.net.grid), float(ends[0])
