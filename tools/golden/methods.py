"""Every explanation method on a Wired model, by the library that has it: one function a method.

pytorch-grad-cam and Captum where they have the method, else the formulas of reference.py on
attention and gradients from autograd. What each function gives is the raw map: signed, on the grid
or on the pixels, before any clipping, scaling or resizing.
"""
import itertools
import math

import captum.attr
import numpy as np
import pytorch_grad_cam as pgc
import torch
from pytorch_grad_cam.ablation_layer import AblationLayerVit
from pytorch_grad_cam.utils.image import scale_cam_image
from scipy.ndimage import gaussian_filter

import reference
import sampled
from reference import query_row


class Case:
    """One line: "gradcam target=3 layer=0 at=output". Keys that are no fields are the method's own."""

    FIELDS = ("target", "layer", "head", "query", "score", "versus")

    def __init__(self, line):
        self.method, *words = line.split()
        pairs = [word.split("=", 1) for word in words]
        self.fields = {k: v for k, v in pairs if k in self.FIELDS}
        self.set = {k: v for k, v in pairs if k not in self.FIELDS}
        self.name = ",".join([self.method] + words)

    def index(self, key, fallback=None):
        text = self.fields.get(key)
        return fallback if text is None else int(text)

    def get(self, key, fallback=None):
        return self.set.get(key, fallback)


class Score:
    """Logits [B,K] -> [B], as the case says for the picture whose own logits [K] these are."""

    def __init__(self, case, logits):
        order = [int(k) for k in torch.argsort(logits, descending=True)]
        usual = "probability" if case.method in ("rise", "lime") else "logit"
        self.kind = case.fields.get("score", usual)
        self.target = case.index("target", order[0])
        self.versus = case.index("versus", next(k for k in order if k != self.target))

    def __call__(self, logits):
        if self.kind == "probability":
            return logits.softmax(-1)[:, self.target]
        if self.kind == "difference":
            return logits[:, self.target] - logits[:, self.versus]
        return logits[:, self.target]


class Job:
    """What the functions below get: the model, the picture's recording, the case and its score."""

    def __init__(self, net, recording, case, other):
        self.net, self.rec, self.case = net, recording, case
        self.x = recording.x.detach()
        self.other = other  # pixels of the picture that baseline=picture compares with
        self.score = Score(case, recording.logits[0].detach())
        self.value = float(self.score(recording.logits.detach())[0])
        self.base = None

    def scores(self, pixels):
        return self.score(self.net.model(pixels))

    def planes(self, one):
        """one(block, head or None) over the blocks and heads of the case, stacked as vitx does it."""
        depth, heads = len(self.net.blocks), self.rec.attention[0].shape[1]

        def span(key, count, automatic):
            text = self.case.fields.get(key)
            return range(count) if text == "all" else [automatic if text is None else int(text)]

        layers, chosen = span("layer", depth, depth - 1), span("head", heads, None)
        maps = np.stack([np.stack([one(layer, head) for head in chosen]) for layer in layers])
        maps = maps.reshape(maps.shape[:2] + self.net.grid)
        for axis, key in ((1, "head"), (0, "layer")):
            if self.case.fields.get(key) != "all":
                maps = maps.squeeze(axis)
        return maps

    def row(self, matrix):
        return query_row(matrix, self.case.index("query", self.net.query), self.net.prefix)


def leaf(x):
    """A copy that collects its gradient."""
    return x.detach().clone().requires_grad_(True)


def pick(maps, head):
    """[..,H,T,T] of one head or of all."""
    return maps if head is None else maps[..., head:head + 1, :, :]


# ------------------------------------------------------------------ attention and its gradient

def attention(job):
    a, how = job.rec.attentions(), job.case.get("fuse", "mean")
    return job.planes(lambda layer, head: job.row(reference.fuse(pick(a[layer], head), how)))


def over_maximum(row):
    return row / row.max() if row.max() > 0 else row


def rollout(job):
    a, get = job.rec.attentions(), job.case.get
    compat = get("compat", "none") == "vit-explain"

    def one(layer, head):
        r = reference.rollout_matrix(pick(a[: layer + 1], head), get("fuse", "mean"),
                                     float(get("discard", 0)), int(get("start", 0)),
                                     "compat" if compat else "row")
        return over_maximum(job.row(r)) if compat else job.row(r)

    return job.planes(one)


def attention_gradients(job):
    return np.stack(job.rec.gradients(job.score(job.rec.logits)[0], job.rec.attention))


def grad_rollout(job):
    a, g, get = job.rec.attentions(), attention_gradients(job), job.case.get
    compat = get("compat", "none") == "vit-explain"

    def one(layer, head):
        r = reference.gradient_rollout_matrix(
            pick(a[: layer + 1], head), pick(g[: layer + 1], head), float(get("discard", 0)),
            int(get("start", 0)), compat)
        return over_maximum(job.row(r)) if compat else job.row(r)

    return job.planes(one)


def generic(job):
    a, g, start = job.rec.attentions(), attention_gradients(job), int(job.case.get("start", 0))
    return job.planes(lambda layer, head: job.row(reference.generic_matrix(
        pick(a[: layer + 1], head), pick(g[: layer + 1], head), start)))


def attn_gradcam(job):
    a, g = job.rec.attentions(), attention_gradients(job)
    query = job.case.index("query", job.net.query)
    return job.planes(lambda layer, head: reference.attention_gradcam(
        pick(a[layer], head), pick(g[layer], head), query, job.net.prefix))


def legrad(job):
    """Of every block its own score: the logits of the mean over all tokens of what it puts out."""
    relevance = []
    for a, x in zip(job.rec.attention, job.rec.block):
        score = job.score(job.net.tail(x.mean(1)))[0]
        relevance.append(np.maximum(job.rec.gradients(score, [a])[0], 0))
    start = int(job.case.get("start", 0))

    def one(layer, head):
        blocks = [pick(r, head).mean(axis=(0, 1))[job.net.prefix:] for r in relevance]
        return np.sum(blocks[start: layer + 1], axis=0)

    return job.planes(one)


# ------------------------------------------------------------------ token activations

CAMS = {"gradcam": pgc.GradCAM, "gradcam++": pgc.GradCAMPlusPlus, "xgradcam": pgc.XGradCAM,
        "hirescam": pgc.HiResCAM, "elementwise": pgc.GradCAMElementWise, "layercam": pgc.LayerCAM,
        "eigencam": pgc.EigenCAM, "eigengradcam": pgc.EigenGradCAM, "scorecam": pgc.ScoreCAM}


def cam_module(job, layer):
    """The module whose output the method reads, and that output [1,T,D]."""
    if job.case.get("at", "norm1") == "output":
        return job.net.blocks[layer], job.rec.block[layer]
    return job.net.norms[layer], job.rec.norm1[layer]


def as_library_shows(raw, x):
    """What pytorch-grad-cam's BaseCAM makes of a raw map of one layer."""
    low = scale_cam_image(np.maximum(raw, 0)[None], (x.shape[-1], x.shape[-2]))
    return scale_cam_image(np.maximum(low, 0))[0]


def grad_cam(job):
    def one(layer, head):
        module, _ = cam_module(job, layer)
        x = leaf(job.x)
        targets = [lambda logits: job.score(logits[None])[0]]
        with CAMS[job.case.method](model=job.net.model, target_layers=[module],
                                   reshape_transform=job.net.to_grid) as cam:
            shown = cam(input_tensor=x, targets=targets)[0]
            kept = cam.activations_and_grads
            logits = kept(x)
            if cam.uses_gradients:
                targets[0](logits[0]).backward()
            a = kept.activations[0].numpy()
            g = kept.gradients[0].numpy() if cam.uses_gradients else None
            raw = cam.get_cam_image(x, module, targets, a, g, False)[0]
        assert np.abs(as_library_shows(raw, x) - shown).max() < 1e-5
        if job.case.method.startswith("eigen"):  # the library leaves the sign to LAPACK
            raw = raw * np.sign(raw.flat[np.abs(raw).argmax()])
        return raw

    return job.planes(one)


def ablated(job, module, tokens, value, batch=16):
    """Scores [D] of the picture with one channel of the module's output after the other at `value`."""
    scores = []
    for first in range(0, tokens.shape[-1], batch):
        channels = range(first, min(first + batch, tokens.shape[-1]))

        def replace(module, args, out):
            out = out.repeat(len(channels), 1, 1)
            for i, c in enumerate(channels):
                out[i, :, c] = value
            return out

        # The blocks before see one picture, those after see one for every channel.
        handle = module.register_forward_hook(replace)
        with torch.no_grad():
            scores.append(job.scores(job.x))
        handle.remove()
    return torch.cat(scores)


def ablationcam(job):
    def one(layer, head):
        module, tokens = cam_module(job, layer)
        tokens = tokens.detach()
        compat = job.case.get("compat", "none") == "pytorch-grad-cam"
        value = float(tokens.min()) - 1e7 if compat else 0.0
        weights = 1 - ablated(job, module, tokens, value).numpy() / job.value
        raw = np.tensordot(weights, job.net.to_grid(tokens)[0].numpy(), 1)
        if compat:
            theirs = library_ablation(job, module)
            assert np.abs(raw - theirs).max() < 1e-5 * np.abs(raw).max() or job.net.dtype != torch.float64
            raw = theirs
        return raw

    return job.planes(one)


def library_ablation(job, module):
    """pytorch-grad-cam's AblationCAM, one channel at a time: in a batch of more its value for the
    i-th channel is min - i 1e7, because the minimum is taken again after every write."""
    targets = [lambda logits: job.score(logits[None])[0]]
    with pgc.AblationCAM(model=job.net.model, target_layers=[module], batch_size=1,
                         reshape_transform=job.net.to_grid, ablation_layer=AblationLayerVit()) as cam:
        cam.activations_and_grads(job.x)
        a = cam.activations_and_grads.activations[0].numpy()
        return cam.get_cam_image(job.x, module, targets, a, None, False)[0]


# ------------------------------------------------------------------ pixels

def reduce_channels(gradient, kind):
    """[3,H,W] -> [H,W]."""
    return {"max": lambda g: np.abs(g).max(axis=0), "sum": lambda g: np.abs(g).sum(axis=0),
            "mean": lambda g: np.abs(g).mean(axis=0),
            "l2": lambda g: np.sqrt((g * g).sum(axis=0)),
            "signed": lambda g: g.sum(axis=0)}[kind](gradient)


def pooled(job, pixels):
    how = job.case.get("grid", "none")
    if how == "none":
        return pixels
    patches = job.net.to_patches(pixels)
    return patches.mean(axis=(2, 3)) if how == "mean" else patches.sum(axis=(2, 3))


def saliency(job):
    g = captum.attr.Saliency(job.scores).attribute(leaf(job.x), abs=False)
    return pooled(job, reduce_channels(g[0].numpy(), job.case.get("reduce", "max")))


def input_x_grad(job):
    g = captum.attr.InputXGradient(job.scores).attribute(leaf(job.x))
    return pooled(job, g[0].detach().numpy().sum(axis=0))


def smoothgrad(job):
    """Only without noise: what is random has no golden number."""
    assert float(job.case.set["sigma"]) == 0
    kind = {"mean": "smoothgrad", "square": "smoothgrad_sq", "var": "vargrad"}
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(job.scores))
    g = tunnel.attribute(leaf(job.x), nt_type=kind[job.case.get("kind", "mean")], stdevs=0.0,
                         nt_samples=int(job.case.set["n"]), abs=False)
    return reduce_channels(g[0].detach().numpy(), job.case.get("reduce", "max"))


def constant(job, level):
    """A picture of one level, 0 black to 1 white, in normalised space [1,3,1,1]."""
    level = [(level - m) / s for m, s in zip(job.net.mean, job.net.std)]
    return torch.tensor(level, dtype=job.x.dtype).reshape(1, 3, 1, 1)


def baseline(job, name):
    if name == "picture":
        return job.other
    if name == "blur":
        sigma = float(job.case.get("sigma", 8))
        return torch.from_numpy(gaussian_filter(job.x.numpy(), (0, 0, sigma, sigma), mode="nearest"))
    flat = {"mean": lambda: torch.zeros(1, 3, 1, 1, dtype=job.x.dtype),
            "black": lambda: constant(job, 0), "white": lambda: constant(job, 1)}[name]()
    return flat.expand_as(job.x).contiguous()


def integrated_gradients(job):
    start = baseline(job, job.case.get("baseline", "mean"))
    rule, steps = job.case.get("rule", "gauss-legendre"), int(job.case.get("steps", 50))
    method = "gausslegendre" if rule == "gauss-legendre" else "riemann_" + rule
    g = captum.attr.IntegratedGradients(job.scores).attribute(
        job.x, baselines=start, n_steps=steps, method=method, internal_batch_size=10)
    if rule == "trapezoid" and job.case.get("compat", "none") == "none":
        g = g * (steps / (steps - 1))  # Captum's weights sum to 1 - 1/steps
    job.base = float(job.scores(start).detach()[0])
    return pooled(job, g[0].detach().numpy().sum(axis=0))


# ------------------------------------------------------------------ patches taken away

def removal(job):
    """Keep masks [B,gh,gw] of 0 and 1 -> scores [B] of the picture with those patches alone."""
    how = job.case.get("remove", "mean")
    if how == "drop":
        return lambda keep: torch.cat([job.score(job.net.without(job.x, k)) for k in keep])
    gone = baseline(job, how)

    def scores(keep):
        mask = job.net.spread(keep, job.x)
        return job.scores(job.x * mask + gone * (1 - mask))

    return scores


def occlusion(job):
    """Captum's Occlusion over a mask of patches: overlapping windows are averaged, the last window
    of a row or column is cut off at the edge."""
    window, stride = (int(job.case.get(key, 1)) for key in ("window", "stride"))
    scores = removal(job)
    keep = torch.ones((1, 1) + job.net.grid, dtype=job.x.dtype)
    with torch.no_grad():
        g = captum.attr.Occlusion(lambda mask: scores(mask[:, 0])).attribute(
            keep, sliding_window_shapes=(1, window, window), strides=(1, stride, stride),
            perturbations_per_eval=1 if job.case.get("remove") == "drop" else 14)
    return g[0, 0].double().numpy()


def rise(job):
    how = job.case.get("remove", "mean")
    return sampled.rise(job, removal(job), None if how == "drop" else baseline(job, how), pooled)


def lime(job):
    return sampled.lime(job, removal(job))


def kernelshap(job):
    """Of few patches the Shapley values themselves, from the scores of all sets of patches."""
    patches = math.prod(job.net.grid)
    if patches > 9:
        phi, job.base = sampled.kernelshap(job, removal(job))
        return phi
    masks = torch.tensor(list(itertools.product((0, 1), repeat=patches)), dtype=job.x.dtype)
    with torch.no_grad():
        v = torch.cat([removal(job)(part.reshape((-1,) + job.net.grid))
                       for part in masks.split(64)]).numpy()
    sizes = masks.sum(1).long().numpy()
    phi = np.zeros(patches)
    for p in range(patches):
        bit = 1 << (patches - 1 - p)  # masks count up, the last patch fastest
        for s in range(len(v)):
            if not s & bit:
                weight = (math.factorial(sizes[s]) * math.factorial(patches - 1 - sizes[s])
                          / math.factorial(patches))
                phi[p] += weight * (v[s | bit] - v[s])
    job.base = float(v[0])
    if patches <= 4:  # Captum walks through all patches! orders
        keep = torch.ones((1, 1) + job.net.grid, dtype=job.x.dtype)
        with torch.no_grad():
            theirs = captum.attr.ShapleyValues(lambda k: removal(job)(k[:, 0])).attribute(keep)
        assert np.abs(theirs.numpy().reshape(-1) - phi).max() < 1e-5 * np.abs(phi).max()
    return phi.reshape(job.net.grid)


METHODS = {
    "attention": attention, "rollout": rollout, "grad-rollout": grad_rollout, "generic": generic,
    "legrad": legrad, "attn-gradcam": attn_gradcam, "ablationcam": ablationcam,
    "saliency": saliency, "input-x-grad": input_x_grad, "smoothgrad": smoothgrad,
    "integrated-gradients": integrated_gradients, "occlusion": occlusion, "rise": rise,
    "lime": lime, "kernelshap": kernelshap,
    **{name: grad_cam for name in CAMS},
}
WITHOUT_TARGET = ("attention", "rollout", "eigencam")
