#!/usr/bin/env python3
"""Golden maps that are asked for by a vector, as a text's embedding is one, in float64 by PyTorch.

    python3 -m venv venv && venv/bin/pip install torch timm transformers open_clip_torch numpy
    venv/bin/python tools/golden/make_vectors.py test/golden/methods [--authors FOLDER]

Writes vectors.npy and vectors.txt; README.md there describes them. The models are tiny ones of test/golden/models,
taken apart into the modules of their own library (class Tower) and put together again here, so that a formula can reach
in anywhere; what comes out is first compared with the model's own answer.

--authors: checkouts of WalBouss/GEM, WalBouss/LeGrad, chongzhou96/MaskCLIP, anguyen8/gScoreCAM and linyq2117/CLIP-ES in
FOLDER, whose own code is then run on the same weights and compared with the formulas here; nothing is written.
"""
import argparse
import json
import math
from pathlib import Path

import numpy as np
import open_clip
import safetensors.torch
import timm
import torch
import torch.nn.functional as F
import transformers

from packs import Pack, difference, tolerance

MODELS = Path(__file__).resolve().parent.parent.parent / "test" / "golden" / "models"
transformers.utils.logging.disable_progress_bar()


class Tower:
    """embed: pictures -> tokens; blocks, each (norm1, qkv, proj, rest): the attention's input, its q, k and v, what is
    added to the stream of what it gives, and what comes behind it; norm; pool: [B,T,D] behind it -> [B,D]; head: one vector
    -> outputs; value: of a head that pools by attention, the vector of a token that nothing else is attended to with."""

    def __init__(self, folder, dtype):
        config = json.loads((folder / "config.json").read_text()) if (folder / "config.json").exists() else None
        self.value = None
        if config is None:
            self.from_open_clip(folder)
        elif "model_type" in config:
            self.from_transformers(folder)
        else:
            self.from_timm(folder)
        self.model = self.model.to(dtype).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    def from_transformers(self, folder):
        siglip = json.loads((folder / "config.json").read_text())["model_type"].startswith("siglip")
        kind = transformers.SiglipVisionModel if siglip else transformers.CLIPVisionModelWithProjection
        self.model = m = kind.from_pretrained(folder, dtype=torch.float32)
        v = getattr(m, "vision_model", m)
        before = (lambda x: x) if siglip else v.pre_layrnorm
        self.embed = lambda x: before(v.embeddings(x))
        self.heads, self.prefix = v.config.num_attention_heads, 0 if siglip else 1
        self.blocks = [(b.layer_norm1, lambda y, a=b.self_attn: (a.q_proj(y), a.k_proj(y), a.v_proj(y)),
                        b.self_attn.out_proj, lambda x, b=b: x + b.mlp(b.layer_norm2(x))) for b in v.encoder.layers]
        self.norm = v.post_layernorm
        self.grid = (v.config.image_size // v.config.patch_size,) * 2
        if siglip:
            self.siglip_head(v.head, v.config)
        else:
            self.pool, self.head = lambda x: x[:, 0], m.visual_projection

    def siglip_head(self, head, config):
        weights = lambda: (head.attention.in_proj_weight.chunk(3), head.attention.in_proj_bias.chunk(3))
        rest = lambda x: x + head.mlp(head.layernorm(x))

        def probabilities(x):
            (wq, wk, _), (bq, bk, _) = weights()
            split = lambda y: y.unflatten(-1, (config.num_attention_heads, -1)).transpose(1, 2)
            q, k = split(F.linear(head.probe, wq, bq)), split(F.linear(x, wk, bk))
            return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)

        def pool(x, p=None):
            (_, _, w), (_, _, b) = weights()
            v = F.linear(x, w, b).unflatten(-1, (config.num_attention_heads, -1)).transpose(1, 2)
            p = probabilities(x) if p is None else p
            return rest(head.attention.out_proj((p @ v).transpose(1, 2).flatten(2)))[:, 0]

        self.pool, self.pool_attention, self.head = pool, probabilities, lambda x: x
        self.key = lambda x: F.linear(x, weights()[0][1], weights()[1][1])
        self.value = lambda x: rest(head.attention.out_proj(F.linear(x, weights()[0][2], weights()[1][2])))

    def from_open_clip(self, folder):
        config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
        self.whole = open_clip.CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"],
                                    quick_gelu=config.get("quick_gelu", False))
        self.whole.load_state_dict(safetensors.torch.load_file(folder / "open_clip_model.safetensors"))
        self.model = v = self.whole.visual
        mixed = lambda a: lambda y: F.linear(y, a.in_proj_weight, a.in_proj_bias).chunk(3, -1)
        self.embed = v._embeds
        self.heads, self.prefix = config["vision_cfg"]["width"] // config["vision_cfg"]["head_width"], 1
        self.blocks = [(b.ln_1, mixed(b.attn), lambda y, b=b: b.ls_1(b.attn.out_proj(y)),
                        lambda x, b=b: x + b.ls_2(b.mlp(b.ln_2(x)))) for b in v.transformer.resblocks]
        late = v.final_ln_after_pool
        self.norm = (lambda x: x) if late else v.ln_post
        self.pool = (lambda x: x[:, 1:].mean(1)) if config["vision_cfg"].get("pool_type") == "avg" else lambda x: x[:, 0]
        self.head = lambda x: (v.ln_post(x) if late else x) @ v.proj
        self.grid = tuple(v.grid_size)

    def from_timm(self, folder):
        self.model = m = timm.create_model(f"local-dir:{folder}", pretrained=True)
        self.embed = lambda x: m.norm_pre(m._pos_embed(m.patch_embed(x)))
        self.heads, self.prefix = m.blocks[0].attn.num_heads, m.num_prefix_tokens
        self.blocks = [(b.norm1, lambda y, a=b.attn: a.qkv(y).chunk(3, -1), lambda y, b=b: b.ls1(b.attn.proj(y)),
                        lambda x, b=b: x + b.ls2(b.mlp(b.norm2(x)))) for b in m.blocks]
        if type(m.blocks[0]).__name__ == "ResPostBlock":  # norms behind attention and perceptron
            self.blocks = [(lambda x: x, qkv, lambda y, b=b: b.norm1(b.attn.proj(y)), lambda x, b=b: x + b.norm2(b.mlp(x)))
                           for (_, qkv, _, _), b in zip(self.blocks, m.blocks)]
        self.norm = m.norm
        self.pool = (lambda x: x[:, 0]) if m.global_pool == "token" else lambda x: x[:, m.num_prefix_tokens:].mean(1)
        self.head = lambda x: m.head(m.fc_norm(x))
        self.grid = tuple(m.patch_embed.grid_size)

    # -------------------------------------------------------------- runs

    def split(self, y):
        """[B,T,A] -> [B,H,T,E]"""
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def join(self, y):
        return y.transpose(1, 2).flatten(2)

    def block(self, l, x, keep):
        norm1, qkv, proj, rest = self.blocks[l]
        y = norm1(x)
        q, k, v = map(self.split, qkv(y))
        p = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        out = rest(x + proj(self.join(p @ v)))
        keep.append(dict(x=x, norm1=y, q=q, k=k, v=v, p=p, out=out))
        return out

    def record(self, x, graph=False):
        """Each block's tensors; with `graph` gradients can be taken by the attention and by norm1."""
        keep = []
        t = self.embed(x)
        if graph:
            t = t.detach().requires_grad_(True)
        for l in range(len(self.blocks)):
            t = self.block(l, t, keep)
        return keep, self.answer(t)

    def answer(self, tokens):
        return self.head(self.pool(self.norm(tokens)))

    def each(self, tokens):
        """The head's answer to each patch token: [1,T,D] -> [P,K]."""
        t = self.norm(tokens)[0, self.prefix:]
        return self.head(t if self.value is None else self.value(t))


class Case:
    def __init__(self, line):
        self.method, *words = line.split()
        self.set = dict(word.split("=", 1) for word in words)
        self.name = ",".join([self.method] + words)

    def get(self, key, fallback):
        return self.set.get(key, fallback)


class Job:
    def __init__(self, tower, x, case):
        self.tower, self.x, self.case = tower, x, case
        self.depth = len(tower.blocks)
        self.recorded, self.answer = tower.record(x, graph=True)
        k = self.answer.shape[-1]
        self.vector = torch.sin(torch.arange(1, k + 1, dtype=x.dtype))
        self.vector = self.vector / self.vector.norm()

    def score(self, answers):
        """[..,K] -> [..]"""
        if "target" not in self.case.set:
            return (answers / answers.norm(dim=-1, keepdim=True)) @ self.vector
        return answers[..., int(self.case.set["target"])]

    def blocks(self):
        text = self.case.get("blocks", "auto")
        count = min(6, self.depth) if text == "auto" else int(text)
        return range(self.depth - count, self.depth)

    def start(self):
        start = int(self.case.get("start", 0))
        return start if start >= 0 else self.depth + start

    def map(self, values):
        return values.detach().reshape(self.tower.grid).numpy()


# ------------------------------------------------------------------ answers to each patch

def maskclip(job):
    t, last = job.tower, job.recorded[-1]
    if t.value is not None:
        return job.map(refined(job, t.each(last["out"]), t.key(t.norm(last["out"]))[0, t.prefix:]))
    _, _, proj, rest = t.blocks[-1]
    v, k = proj(t.join(last["v"])), proj(t.join(last["k"]))
    answers = t.each(v if job.case.get("residual", "keep") == "drop" else rest(last["x"] + v))
    return job.map(refined(job, answers, k[0, t.prefix:]))


def refined(job, answers, keys):
    """Of a text among others (job.others, job.other_scale): without texts that are probable nowhere, and each patch that no
    text is sure of mixed of those with like keys, [P,D]."""
    denoise, smooth = (float(job.case.get(key, 0)) for key in ("denoise", "smooth"))
    if not denoise and not smooth:
        return job.score(answers)
    cosines = unit(answers) @ torch.cat([job.vector[None], job.others]).T
    if denoise:
        cosines = torch.where((job.other_scale * cosines).softmax(-1).amax(0) < denoise, -100.0, cosines)
    if not smooth:
        return cosines[:, 0]
    p = (job.other_scale * cosines).softmax(-1)
    k = F.normalize(keys, dim=1 if job.case.get("keys", "channels") == "patches" else 0)
    return torch.where(p.amax(-1) < smooth, k @ (k.T @ p[:, 0]), p[:, 0])


def unit(x):
    return F.normalize(x, dim=-1)


def gem(job):
    t, stream = job.tower, job.recorded[job.blocks()[0]]["x"]
    for l in job.blocks():
        r = job.recorded[l]
        sharpness = r["norm1"].norm(dim=-1).mean() / math.sqrt(r["v"].shape[-1])
        given = 0
        for x in (r["v"], r["k"], r["q"]):
            u = unit(x)
            y = unit((sharpness * u @ u.transpose(-1, -2)).softmax(-1) @ u)
            given = given + (sharpness * y @ y.transpose(-1, -2)).softmax(-1) @ r["v"] / 3
        stream = stream + t.blocks[l][2](t.join(given))
    return job.map(job.score(t.each(stream)))


def surgery(job):
    t, stream = job.tower, job.recorded[job.blocks()[0]]["x"]
    for l in job.blocks():
        v = job.recorded[l]["v"]
        stream = stream + t.blocks[l][2](t.join((v @ v.transpose(-1, -2) / math.sqrt(v.shape[-1])).softmax(-1) @ v))
    return job.map(job.score(t.each(stream)))


# ------------------------------------------------------------------ gradients of the attention

def legrad(job):
    """correction: 0 where the map of job.prompt is above that share of its range."""
    share = float(job.case.get("correction", 0))
    values = legrad_of(job)
    if share:
        own, job.vector = job.vector, job.prompt
        of_prompt = over_range(legrad_of(job))
        job.vector = own
        values = torch.where(of_prompt > share, 0.0, values)
    return job.map(values)


def over_range(m):
    return (m - m.min()) / (m.max() - m.min())


def legrad_of(job):
    t, sum_ = job.tower, 0
    for l in range(job.start(), job.depth):
        r = job.recorded[l]
        if t.value is not None:
            x = r["out"] if job.case.get("norm", "keep") == "drop" else t.norm(r["out"])
            p = t.pool_attention(x).detach().requires_grad_(True)
            g, = torch.autograd.grad(job.score(t.head(t.pool(x, p)))[0], p)
            sum_ = sum_ + g.clamp(min=0).mean(1)[0, 0]
            continue
        f = t.head(t.norm(r["out"].mean(1)))
        g, = torch.autograd.grad(job.score(f)[0], r["p"], retain_graph=True)
        sum_ = sum_ + g.clamp(min=0).mean((1, 2))[0, t.prefix:]
    return sum_


def generic(job):
    t = job.tower
    grads = torch.autograd.grad(job.score(job.answer)[0], [r["p"] for r in job.recorded], retain_graph=True)
    tokens = job.recorded[0]["p"].shape[-1]
    relevance = torch.eye(tokens, dtype=job.x.dtype)
    for l in range(job.start(), job.depth):
        relevance = relevance + (job.recorded[l]["p"] * grads[l]).clamp(min=0).mean(1)[0] @ relevance
    assert t.value is None
    row = relevance[0] if bool((t.pool(torch.eye(tokens)[None])[0] == torch.eye(tokens)[0]).all()) else relevance[t.prefix:].mean(0)
    return job.map(row[t.prefix:])


# ------------------------------------------------------------------ channels

def gscorecam(job):
    """Channels by the gradient that the class token (norm1: all tokens) has; the weight of the others is 0."""
    t, r = job.tower, job.recorded[-1]
    at = r["out" if job.case.get("at", "output") == "output" else "norm1"]
    g, = torch.autograd.grad(job.score(job.answer)[0], at, retain_graph=True)
    width = at.shape[-1]
    count = min(300, width) if job.case.get("channels", "auto") == "auto" else int(job.case.set["channels"])
    chosen = g.sum(1)[0].topk(count)[1]
    a = at.detach()[0, t.prefix:][:, chosen].T.reshape(count, *t.grid)
    m = torch.nn.UpsamplingBilinear2d(tuple(job.x.shape[-2:]))(a[None])[0]
    low, high = m.amin((1, 2), True), m.amax((1, 2), True)
    with torch.no_grad():
        scores = job.score(t.record(job.x * ((m - low) / (high - low + 1e-8))[:, None])[1])
    scale = job.case.get("scale", "auto")
    scale = (100 if "target" not in job.case.set else 1) if scale == "auto" else float(scale)
    return job.map(torch.einsum("k,kyx->yx", (scale * scores).softmax(0), a))


# ------------------------------------------------------------------ affinity

def boxed(cam, part):
    """cam within the bounding boxes of the areas above `part` of its range: areas grow until nothing changes."""
    area = np.zeros(cam.shape, int)
    above = cam > cam.min() + part * (cam.max() - cam.min())
    area[above] = np.arange(1, above.sum() + 1)
    while True:
        wide = np.pad(area, 1)
        grown = np.max([wide[y:y + cam.shape[0], x:x + cam.shape[1]] for y in range(3) for x in range(3)], 0) * above
        if (grown == area).all():
            break
        area = grown
    mask = np.zeros(cam.shape)
    for k in set(area[above]):
        y, x = np.nonzero(area == k)
        mask[y.min():y.max() + 1, x.min():x.max() + 1] = 1
    return cam * mask


def es_score(job, z):
    """Of one text its cosine; among others the softmax of scaled cosines."""
    if not len(getattr(job, "others", ())):
        return job.score(z)[0]
    z = z / z.norm(dim=-1, keepdim=True)
    return (job.other_scale * (z @ torch.cat([job.vector[None], job.others]).T)).softmax(-1)[0, 0]


def es_cam(job):
    t, r = job.tower, job.recorded[-1]
    z = t.head(t.norm(r["out"])[:, t.prefix:].mean(1))
    g, = torch.autograd.grad(es_score(job, z), r["norm1"], retain_graph=True)
    return (r["norm1"].detach()[0, t.prefix:] @ g[0, t.prefix:].mean(0)).clamp(min=0)


def spread(job, kept):
    t = job.tower
    count = min(8, job.depth) if job.case.get("blocks", "auto") == "auto" else int(job.case.set["blocks"])
    s = torch.stack([b["p"].detach().mean(1)[0] for b in job.recorded[-count:]]).mean(0)[t.prefix:, t.prefix:]
    for _ in range(3):
        s = s / s.sum(0, keepdim=True)
        s = s / s.sum(1, keepdim=True)
    m = (s + s.T) / 2
    return m @ m @ kept.to(m.dtype)


def clip_es(job):
    cam = es_cam(job).numpy().reshape(job.tower.grid)
    kept = boxed(cam, float(job.case.get("box", 0.4)))
    return job.map(spread(job, torch.from_numpy(kept).reshape(-1)))


METHODS = {"clip-es": clip_es, "gscorecam": gscorecam, "maskclip": maskclip, "gem": gem, "surgery": surgery, "legrad": legrad, "generic": generic}

DENSE = """
maskclip score=cosine
maskclip score=cosine residual=drop
gem score=cosine
gem score=cosine blocks=1
surgery score=cosine
surgery score=cosine blocks=2
"""
UNITS = """
maskclip target=2
gem target=2
surgery target=2 blocks=1
"""
GRADIENTS = """
legrad score=cosine
legrad score=cosine start=-2
generic score=cosine
generic score=cosine start=-1
"""
POOLED = """
maskclip score=cosine
maskclip target=2
legrad score=cosine
legrad score=cosine start=-2
legrad score=cosine norm=drop
legrad target=2 norm=drop start=-1
"""
AFFINITY = """
clip-es score=cosine
clip-es score=cosine blocks=1
clip-es score=cosine box=0.8
clip-es target=2 box=0.6
"""
CHANNELS = """
gscorecam score=cosine
gscorecam score=cosine channels=7
gscorecam score=cosine channels=5 scale=3
gscorecam score=cosine at=norm1 channels=9
"""
CASES = {
    "clip-hf": DENSE + UNITS + GRADIENTS + CHANNELS + AFFINITY,
    "clip-open-clip": DENSE + GRADIENTS + AFFINITY,
    "clip-open-clip-avg": DENSE + GRADIENTS + AFFINITY,
    "siglip-hf": POOLED + CHANNELS,
    "vit-timm": UNITS,
    "vit-timm-layerscale": UNITS,
    "vit-timm-post-norm": UNITS,
    "dinov2-timm-registers-swiglu": UNITS,
    "clip-timm": DENSE + UNITS,
    "vit-timm-avg": UNITS,
    "vit-timm-avg-norm": UNITS,
    "vit-timm-oblong": UNITS + "gscorecam target=2 channels=8\nclip-es target=2\nclip-es target=2 box=0.7\n",
}


def make(name, pack):
    towers = [Tower(MODELS / name, dtype) for dtype in (torch.float64, torch.float32)]
    x = torch.from_numpy(np.load(MODELS / name / "input.npy")[:1])
    logits = np.load(MODELS / name / "logits.npy")[0]
    text = f"subject {name} model=golden/models/{name} picture=golden/models/picture.png file={pack.file}\n"
    for line in CASES[name].split("\n"):
        if not line:
            continue
        case = Case(line)
        jobs = [Job(t, x.to(dtype), case) for t, dtype in zip(towers, (torch.float64, torch.float32))]
        assert np.abs(jobs[0].answer[0].detach().numpy() - logits).max() < 1e-6, name
        expected, single = (METHODS[case.method](job) for job in jobs)
        error = difference(single, expected)
        assert tolerance(error), (name, line, error)
        value = float(jobs[0].score(jobs[0].answer)[0].detach())
        text += (f"{name}/{case.name} value={value:.9g} {pack.add(expected)} tolerance={tolerance(error)} "
                 f"float32={error:.0e}\n")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--authors", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.authors:
        import check_vectors
        return check_vectors.authors(args.authors)
    pack = Pack("vectors")
    text = "".join(make(name, pack) for name in CASES)
    pack.save(args.out)
    (args.out / "vectors.txt").write_text(text)


if __name__ == "__main__":
    main()
