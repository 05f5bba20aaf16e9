#!/usr/bin/env python3
"""Makes the picture tower of a pair narrower: weights/pair is what this makes of what pair.py made.

    venv/bin/python tools/train/slim.py run --out slim --minutes 60  # continues where it broke off
    venv/bin/python tools/train/export_pair.py slim weights/pair

`run` is the folder of pair.py. The narrow tower begins as a part of the wide one, not with chance.
Tokens are read through norms alone, so the directions in which tokens hardly differ can go
(SliceGPT, arXiv:2401.15024): as many principal axes as SLIM's width less one stay, in coordinates
that sum to zero, so LayerNorm finds no mean to take away. Heads lose what their scores and their
values need least, MLPs the inner numbers that say least.

Then the narrow tower learns to say of every patch, and of the picture, what the wide tower says:
the cosine of both is the loss (distillation, arXiv:1503.02531). Texts stay as they are.
"""
import argparse
import copy
import os
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F
from pair import CONTEXT, LATE, VALIDATION, Muon, Run, Scenes, argv, fixed, options, start
from towers import EPS, VISION, Pair
from train import prepare

SLIM = dict(hidden_size=160, intermediate_size=480, num_hidden_layers=6, num_attention_heads=4)
# Until which part of the run; pixels; their objects' size; scenes per step.
PHASES = [(0.40, 112, 0.45, 0.95, 64), (1.00, 224, 0.30, 0.75, 16)]
SEED = 301
POOL, VISITS = 24, 3  # so many batches the wide tower looks at at once; each is taken so often
SAMPLES = 96  # scenes from which the parts that stay are found
LR, DECAY, WARM_UP = 2e-3, 0.01, 0.01
PICTURE = 2.0  # weight of the picture's direction beside the mean of its patches


# ---------------------------------------------------------------- the parts that stay --------


def standard(x):
    """LayerNorm without its gain and bias."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS)


def root(second):
    """Of a matrix of second moments: its square root, and the inverse of that."""
    values, axes = torch.linalg.eigh(second)
    values = values.clamp(min=1e-5 * values.max()).sqrt()
    return axes * values @ axes.T, axes / values @ axes.T


def moments(x):
    return x.T @ x / len(x)


def zero_sum(width):
    """[width-1, width]: orthogonal rows, each of sum zero."""
    basis = torch.eye(width, dtype=torch.float64)
    basis[:, 0] = 1
    return torch.linalg.qr(basis)[0][:, 1:].T


@torch.no_grad()
def record(tower, patches):
    """What the wide tower computes of samples: tokens before every norm, MLPs' inner numbers."""
    seen = {}

    def keep(name, which):
        def hook(_, inputs, output):
            value = (inputs[0] if which == "in" else output).flatten(0, -2).double()
            seen[name] = value
        return hook

    hooks = [tower.pre_layrnorm.register_forward_hook(keep("embedded", "in")),
             tower.post_layernorm.register_forward_hook(keep("last", "in"))]
    for n, layer in enumerate(tower.encoder.layers):
        hooks += [layer.layer_norm1.register_forward_hook(keep(f"{n}.attn", "in")),
                  layer.layer_norm2.register_forward_hook(keep(f"{n}.mlp", "in")),
                  layer.mlp.fc2.register_forward_hook(keep(f"{n}.inner", "in"))]
    tower(patches)
    for hook in hooks:
        hook.remove()
    return seen


class Slimmer:
    """Copies the wide tower's parts into the narrow one. `to` [wide,narrow] takes tokens across."""

    def __init__(self, wide, narrow, patches):
        self.wide, self.narrow = wide, narrow
        self.seen = record(wide.vision_model, patches)
        read = [standard(v) for k, v in self.seen.items() if not k.endswith(("inner", "embedded"))]
        total = sum(moments(x) for x in read)
        width = narrow.visual_projection.in_features
        axes = torch.linalg.eigh(total).eigenvectors[:, 1 - width:]
        self.to = axes @ zero_sum(width)
        self.kept = ((axes.T @ total @ axes).trace() / total.trace()).item()

    def through(self, norm, name, weight, bias=None):
        """Weight and bias of what reads the wide norm, for the narrow one without gain and bias."""
        x = standard(self.seen[name])
        y = standard(self.seen[name] @ self.to)
        scale = ((x @ self.to) * y).sum() / (y * y).sum()
        gain, shift, weight = norm.weight.double(), norm.bias.double(), weight.double()
        constant = weight @ shift + (0 if bias is None else bias.double())
        return scale * (weight * gain) @ self.to, constant

    def embeddings(self):
        old, new = self.wide.vision_model, self.narrow.vision_model
        e, f = old.embeddings, new.embeddings
        f.class_embedding.copy_(e.class_embedding.double() @ self.to)
        patches = e.patch_embedding.weight.double()
        f.patch_embedding.weight.copy_(torch.einsum("wchv,wn->nchv", patches, self.to))
        f.position_embedding.weight.copy_(e.position_embedding.weight.double() @ self.to)
        wanted = old.pre_layrnorm(self.seen["embedded"].float()).double() @ self.to
        y = standard(self.seen["embedded"] @ self.to)
        new.pre_layrnorm.weight.fill_((wanted * y).sum() / (y * y).sum())
        new.pre_layrnorm.bias.zero_()

    def layers(self, n):
        return (p.vision_model.encoder.layers[n] for p in (self.wide, self.narrow))

    def attention(self, n):
        old, new = self.layers(n)
        a, b, heads = old.self_attn, new.self_attn, old.self_attn.heads
        x = old.layer_norm1(self.seen[f"{n}.attn"].float()).double()
        q, k, v = ((x @ p.weight.double().T + p.bias.double()).chunk(heads, 1)
                   for p in (a.q_proj, a.k_proj, a.v_proj))
        size = b.q_proj.out_features // heads
        parts = {"q_proj": [], "k_proj": [], "v_proj": []}
        out = []
        for h, w in enumerate((self.to.T @ a.out_proj.weight.double()).chunk(heads, 1)):
            (rq, iq), (rk, ik), (rv, iv) = (root(moments(t[h])) for t in (q, k, v))
            u, s, vt = torch.linalg.svd(rq @ rk)
            half = (s[:size].sqrt() * (size / q[h].shape[1]) ** 0.25)[:, None]
            parts["q_proj"].append(half * u[:, :size].T @ iq)
            parts["k_proj"].append(half * vt[:size] @ ik)
            u, s, vt = torch.linalg.svd(w @ rv, full_matrices=False)
            parts["v_proj"].append(vt[:size] @ iv)
            out.append(u[:, :size] * s[:size])
        for name, maps in parts.items():
            was, becomes, across = getattr(a, name), getattr(b, name), torch.block_diag(*maps)
            weight, bias = self.through(old.layer_norm1, f"{n}.attn", was.weight, was.bias)
            becomes.weight.copy_(across @ weight)
            becomes.bias.copy_(across @ bias)
        b.out_proj.weight.copy_(torch.cat(out, 1))
        b.out_proj.bias.copy_(a.out_proj.bias.double() @ self.to)

    def mlp(self, n):
        old, new = self.layers(n)
        inner, w = self.seen[f"{n}.inner"], self.to.T @ old.mlp.fc2.weight.double()
        says = inner.var(0) * w.square().sum(0)
        stay = says.topk(new.mlp.fc1.out_features).indices.sort().values
        fc1 = old.mlp.fc1
        weight, bias = self.through(old.layer_norm2, f"{n}.mlp", fc1.weight, fc1.bias)
        new.mlp.fc1.weight.copy_(weight[stay])
        new.mlp.fc1.bias.copy_(bias[stay])
        # what stays says, as well as it can, what those said that went
        kept = torch.cat([inner[:, stay], inner.new_ones(len(inner), 1)], 1)
        second = moments(kept)
        second.diagonal().add_(1e-4 * second.diagonal().mean())
        solved = torch.linalg.solve(second, kept.T @ (inner @ w.T) / len(kept)).T
        new.mlp.fc2.weight.copy_(solved[:, :-1])
        new.mlp.fc2.bias.copy_(old.mlp.fc2.bias.double() @ self.to + solved[:, -1])

    def projection(self):
        norm = self.wide.vision_model.post_layernorm
        weight, constant = self.through(norm, "last", self.wide.visual_projection.weight)
        self.narrow.visual_projection.weight.copy_(weight)
        # the projection has no bias: the norm before it gets one that it makes the same of
        bias = torch.linalg.lstsq(weight, constant[:, None]).solution[:, 0]
        self.narrow.vision_model.post_layernorm.bias.copy_(bias)

    @torch.no_grad()
    def run(self):
        self.embeddings()
        for n in range(SLIM["num_hidden_layers"]):
            self.attention(n)
            self.mlp(n)
        self.projection()
        self.narrow.text_model.load_state_dict(self.wide.text_model.state_dict())
        self.narrow.text_projection.load_state_dict(self.wide.text_projection.state_dict())
        self.narrow.logit_scale.copy_(self.wide.logit_scale)


# ---------------------------------------------------------------- what it learns --------------


class Pool:
    """Batches of what the wide tower has looked at once, each taken VISITS times."""

    def __init__(self, wide, scenes, things):
        self.wide, self.scenes, self.things, self.left = wide, scenes, things, []

    def look(self):
        x, shares, _ = prepare(*self.scenes.next()[:2], self.things)
        with torch.no_grad():
            return x, shares[:, :, 0] < 0.9, self.wide.pictures(x.float())

    def next(self, dice):
        if not self.left:
            looked = [self.look() for _ in range(POOL)]
            self.left = [looked[i] for _ in range(VISITS) for i in dice.permutation(POOL)]
        return self.left.pop()


def losses(narrow, seen):
    """One less the cosine to what the wide tower says: of pictures, of objects' patches, of all."""
    x, shows, wanted = seen
    off = 1 - (narrow.directions(narrow.vision_model(x.float(), LATE)) * wanted).sum(-1)
    picture, objects, patches = off[:, 0].mean(), off[:, 1:][shows].mean(), off[:, 1:].mean()
    return PICTURE * picture + objects + patches, torch.stack([picture, objects, patches]).detach()


def optimizers(narrow):
    tower = [p for p in narrow.vision_model.encoder.parameters() if p.dim() == 2]
    known = {id(p) for p in tower}
    rest = [p for part in (narrow.vision_model, narrow.visual_projection) for p in part.parameters()
            if id(p) not in known]
    return [torch.optim.AdamW(rest, lr=LR / 2, betas=(0.9, 0.98), weight_decay=0.0, foreach=True),
            Muon(tower, lr=LR, weight_decay=DECAY)]


class Trainer(Run):
    EMA = 0.995

    def __init__(self, args):
        saved = self.begin(args)
        ids = self.tokens.tokenizer.get_vocab_size()
        self.wide, self.pair = Pair(ids, CONTEXT, VISION), Pair(ids, CONTEXT, SLIM)
        wide = torch.load(os.path.join(args.run, "last.pt"), weights_only=True)["ema"]
        self.wide.load_state_dict(wide)
        self.wide.requires_grad_(False)
        if not saved:
            self.slim()
        for part in (self.pair.text_model, self.pair.text_projection):
            part.requires_grad_(False)
        self.ema = copy.deepcopy(self.pair).requires_grad_(False)
        self.optimizers = optimizers(self.pair)
        self.peaks = [o.param_groups[0]["lr"] for o in self.optimizers]
        if saved:
            self.restore(saved)

    def slim(self):
        pixels, owner, _ = fixed(self.args.scenes, self.facts.total, SEED - 1, SAMPLES, 224, "1-3")
        patches = prepare(pixels, owner, self.facts.things)[0].float()
        slimmer = Slimmer(self.wide, self.pair, patches)
        slimmer.run()
        print(f"{100 * slimmer.kept:.1f} % of what tokens differ in stays", flush=True)

    def step(self, seen):
        rate = self.rate(WARM_UP)
        for optimizer, peak in zip(self.optimizers, self.peaks):
            optimizer.param_groups[0]["lr"] = rate * peak
        loss, parts = losses(self.pair, seen)
        self.descend(loss)
        self.follow()
        return parts.numpy()

    def run_phase(self):
        until, size, smallest, largest, batch = PHASES[self.phase]
        total, validate = self.facts.total, self.args.validate
        sets = fixed(self.args.scenes, total, VALIDATION, validate, 224, "1-3")
        words = argv(self.args, SEED + self.phase, self.drawn, size, "1-3", smallest, largest)
        scenes = Scenes(words, batch, size, total)
        pool = Pool(self.wide, scenes, self.facts.things)
        dice = np.random.default_rng([self.args.seed, self.phase, self.drawn])
        before, start = self.elapsed, time.time()
        logged, saved, sums, count = start, start, 0, 0
        while self.done() < until and not self.stop:
            sums, count = sums + self.step(pool.next(dice)), count + 1
            self.drawn += batch
            now = time.time()
            self.elapsed = before + now - start
            if now - logged >= self.args.log:
                picture, objects, patches = sums / count
                print(f"{time.strftime('%H:%M:%S')} {100 * self.done():5.1f} % {size} px "
                      f"{self.drawn} scenes, {count * batch / (now - logged):.1f}/s, off: "
                      f"picture {picture:.4f} objects {objects:.4f} patches {patches:.4f}",
                      flush=True)
                logged, sums, count = now, 0, 0
            if now - saved >= self.args.save:
                self.save(vision=SLIM)
                self.evaluate(sets)
                saved = time.time()
        scenes.close()
        if not self.stop:
            self.phase, self.drawn = self.phase + 1, 0
        self.save(vision=SLIM)
        self.evaluate(sets)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stop", True))
        while self.phase < len(PHASES) and not self.stop:
            self.run_phase()
        minutes = self.elapsed / 60
        print(f"{100 * self.done():.1f} % done: {self.steps} steps, {minutes:.1f} minutes")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("run", help="folder of pair.py")
    options(p, 60)
    p.add_argument("--seed", type=int, default=1, help="of the order of scenes, and of LATE's dice")
    start(Trainer, p)


if __name__ == "__main__":
    main()
