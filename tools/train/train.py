#!/usr/bin/env python3
"""Trains the model in weights/scenes: a small Vision Transformer, on scenes drawn while it learns.

    python3 -m venv venv && venv/bin/pip install torch timm safetensors numpy
    make && venv/bin/python tools/train/train.py --out run          # continues where a run broke off
    venv/bin/python tools/train/train.py --finish run --out finished --tokens 1.2e7 --lr 1e-3
    venv/bin/python tools/train/export.py finished weights/scenes

What is learned: a scene of k classes is the distribution 1/k over them (read from the class token)
and, so that less has to be found out by chance, every patch tells what share of its pixels shows
which class or background; the layer for that is dropped afterwards. Most scenes are small pictures
with objects of the size in pixels that they have at 224; then the position embedding is resampled.

The second run teaches the class token to read the patches in the last block, too, where maps look for
what it read (late_attention). Without it the answers are as good, and Grad-CAM points elsewhere.

The length of a run is counted in tokens (--tokens) or in minutes (--minutes); phases and learning
rate are functions of the part that is done. bfloat16 on the CPU, float32 masters. Runs of as many
tokens see the same scenes; their weights differ by rounding, as threads take what comes next.
"""
import argparse
import copy
import math
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import timm.layers
import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer

PATCH, SIZE = 16, 224
MODEL = dict(patch_size=PATCH, embed_dim=256, depth=6, num_heads=4)
# Until which part of the run; pixels; objects; their size; scenes per step; weight of the patches.
PHASES = [
    (0.04, 112, "1-1", 0.50, 0.95, 128, 1.0),
    (0.70, 112, "1-2", 0.45, 0.95, 256, 0.7),
    (0.80, 160, "1-3", 0.40, 0.90, 128, 0.4),
    (1.00, 224, "1-3", 0.30, 0.75, 128, 0.2),
]
# With --finish: the class token learns to read the patches in the last block (see late_attention).
FINISH = [(1.00, 224, "1-3", 0.30, 0.75, 64, 0.2)]
LATE = 0.5  # share of the scenes where it has to
TRAIN, FINISHED, VALIDATION = 1, 11, 1000001  # seeds; export.py reports on another
LR, WARM_UP, DECAY, CLIP, EMA = 2e-3, 0.03, 0.05, 1.0, 0.998
THREADS = len(os.sched_getaffinity(0))
PART = 32 * 49  # patches that a thread takes at once; threads share no step but its end
PRESENT = 4  # pixels of every fourth: as many must show a class for it to count


def classes(scenes):
    lines = subprocess.run([scenes, "--classes"], check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in lines.splitlines()]


def command(scenes, seed, first, size, objects, smallest, largest, count=1 << 40):
    words = [scenes, "--raw", "--seed", seed, "--first", first, "--count", count, "--size", size,
             "--objects", objects, "--smallest", smallest, "--largest", largest]
    return [str(w) for w in words]


def read(stream, count, size):
    """count scenes as (pixels [n,h,w,3], class map [n,h,w]); the stream alternates the two."""
    data = np.empty((count, 4 * size * size), np.uint8)
    if stream.readinto(memoryview(data).cast("B")) != data.size:
        sys.exit("the scenes end before their time")
    raw = torch.from_numpy(data)
    return (raw[:, :3 * size * size].view(count, size, size, 3),
            raw[:, 3 * size * size:].view(count, size, size))


class Scenes:
    """Batches from a generator beside us, some of them ahead."""

    def __init__(self, argv, batch, size):
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, bufsize=1 << 20)
        self.queue = queue.Queue(maxsize=3)
        self.open = True
        self.thread = threading.Thread(target=self.fill, args=(batch, size), daemon=True)
        self.thread.start()

    def fill(self, batch, size):
        while self.open:
            try:
                item = read(self.child.stdout, batch, size)
            except SystemExit:
                item = None
            self.queue.put(item)
            if item is None:
                return

    def next(self):
        item = self.queue.get()
        if item is None and self.open:
            sys.exit("the scene generator ended")
        return item

    def close(self):
        self.open = False
        self.child.kill()
        while self.thread.is_alive():
            try:
                self.queue.get(timeout=0.1)
            except queue.Empty:
                pass
        self.child.wait()


def prepare(pixels, owner, count):
    """Patches [n,t,768] as the convolution of timm reads them, normalised with mean and deviation
    0.5; shares of the classes in every patch [n,t,1+count], 0 the background; presence [n,count]."""
    n, size, grid = len(pixels), pixels.shape[1], pixels.shape[1] // PATCH
    x = pixels.view(n, grid, PATCH, grid, PATCH, 3).permute(0, 1, 3, 5, 2, 4)
    # 0..255 and x - 127.5 are exact in bfloat16
    x = x.to(torch.bfloat16).reshape(n, grid * grid, 3 * PATCH * PATCH).sub_(127.5).mul_(1 / 127.5)
    own = owner[:, ::2, ::2].reshape(n, grid, PATCH // 2, grid, PATCH // 2).transpose(2, 3)
    own = own.reshape(n, grid * grid, PATCH * PATCH // 4).long()
    shares = torch.zeros(n, grid * grid, 1 + count)
    shares.scatter_add_(2, own, torch.ones(()).expand(own.shape))
    present = (shares[:, :, 1:].sum(1) >= PRESENT).float()
    return x, shares / own.shape[2], present


def build(size, count):
    timm.layers.set_fused_attn(False)  # of the two, the faster on a CPU at these lengths
    model = VisionTransformer(img_size=size, num_classes=count, **MODEL)
    model.patch_head = torch.nn.Linear(model.embed_dim, 1 + count)
    torch.nn.init.trunc_normal_(model.head.weight, std=0.02)
    return model


def late_attention(block, x, last, late, even):
    """A block's attention. Where `late` [n] is set the class token looks at itself alone, and reads the
    patches in the last block; where `even` is, too, it reads all of them evenly there. So the values of
    every patch come to speak for the classes that are there, which is what maps are made of."""
    n, t, width = x.shape
    attn = block.attn
    q, k, v = attn.qkv(x).reshape(n, t, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    scores = (q * attn.scale) @ k.transpose(-2, -1)
    row = scores[:, :, :1]
    if last:
        row = torch.where(even.view(-1, 1, 1, 1), torch.zeros_like(row), row)
    else:
        itself = torch.full_like(row, -1e4)
        itself[..., 0] = 0
        row = torch.where(late.view(-1, 1, 1, 1), itself, row)
    shares = torch.cat([row, scores[:, :, 1:]], 2).softmax(-1)
    return attn.proj((shares @ v).transpose(1, 2).reshape(n, t, width))


def blocks(model, x, late):
    if not late:
        return model.blocks(x)
    dice = torch.rand(len(x))
    for block in model.blocks:
        x = x + late_attention(block, block.norm1(x), block is model.blocks[-1], dice < late,
                               dice < late / 2)
        x = x + block.mlp(block.norm2(x))
    return x


def forward(model, patches, late=0.0):
    """Logits of the picture and of every patch; timm's forward, from unfolded patches."""
    proj = model.patch_embed.proj
    x = F.linear(patches, proj.weight.flatten(1), proj.bias)
    x = torch.cat([model.cls_token.expand(len(x), -1, -1), x], 1) + model.pos_embed
    x = model.norm(blocks(model, x, late))
    return model.head(x[:, 0]).float(), model.patch_head(x[:, 1:]).float()


@torch.no_grad()
def copy_weights(out, model):
    torch._foreach_copy_(list(out.parameters()), list(model.parameters()))


def entropy(logits, target):
    return -(target * F.log_softmax(logits, -1)).sum(-1).mean()


@torch.no_grad()
def accuracy(model, sets, count, batch):
    """Of pictures of k objects: how often the k first classes are the k objects."""
    out = []
    for pixels, owner in sets:
        hits = []
        for i in range(0, len(pixels), batch):
            x, _, present = prepare(pixels[i:i + batch], owner[i:i + batch], count)
            logits, k = forward(model, x)[0], int(present.sum(1).max())
            top = torch.zeros_like(present).scatter_(1, logits.topk(k, 1).indices, 1.0)
            hits += ((top * present).sum(1) == present.sum(1)).tolist()
        out.append(sum(hits) / len(hits))
    return out


def fixed(scenes, seed, count, size, objects, smallest, largest):
    argv = command(scenes, seed, 0, size, f"{objects}-{objects}", smallest, largest, count)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, bufsize=1 << 20) as child:
        return read(child.stdout, count, size)


class Parts:
    """An iterator for several threads."""

    def __init__(self, items):
        self.items, self.lock = iter(items), threading.Lock()

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            return next(self.items)


class Trainer:
    def __init__(self, args):
        self.args, self.count = args, len(classes(args.scenes))
        self.phase, self.drawn, self.steps, self.tokens, self.elapsed = 0, 0, 0, 0, 0.0
        self.phases, self.late = (FINISH, LATE) if args.finish else (PHASES, 0.0)
        torch.manual_seed(args.seed)
        saved = self.load()
        self.master = build(self.phases[min(self.phase, len(self.phases) - 1)][1], self.count)
        if args.finish and not saved:
            before = torch.load(os.path.join(args.finish, "last.pt"), weights_only=True)
            self.master.load_state_dict(before["ema"])
        self.ema = copy.deepcopy(self.master).requires_grad_(False)
        if saved:
            self.master.load_state_dict(saved["model"])
            self.ema.load_state_dict(saved["ema"])
        self.pool = ThreadPoolExecutor(THREADS, initializer=lambda: torch.set_num_threads(1))
        self.work = [copy.deepcopy(self.master).bfloat16() for _ in range(THREADS)]
        self.share()
        hidden = [p for p in self.master.blocks.parameters() if p.dim() == 2]
        known = {id(p) for p in hidden}
        rest = [p for p in self.master.parameters() if id(p) not in known]
        groups = [dict(params=[p for p in rest if p.dim() > 1], weight_decay=DECAY),
                  dict(params=[p for p in rest if p.dim() == 1], weight_decay=0.0)]
        # matrices of the blocks by Muon, which needs fewer scenes; the rest by AdamW
        self.optimizers = [torch.optim.Muon(hidden[i::THREADS], weight_decay=DECAY,
                                            adjust_lr_fn="match_rms_adamw") for i in range(THREADS)]
        self.optimizers.append(torch.optim.AdamW(groups, betas=(0.9, 0.98), foreach=True))
        if saved:
            for optimizer, state in zip(self.optimizers, saved["optimizers"]):
                optimizer.load_state_dict(state)

    def share(self):
        """Every thread has gradients of its own, and the weights of the first."""
        for work in self.work[1:]:
            for p, first in zip(work.parameters(), self.work[0].parameters()):
                p.data = first.data

    def path(self):
        return os.path.join(self.args.out, "last.pt")

    def load(self):
        if not os.path.exists(self.path()):
            return None
        saved = torch.load(self.path(), weights_only=True)
        for name in ("phase", "drawn", "steps", "tokens", "elapsed"):
            setattr(self, name, saved[name])
        return saved

    def save(self):
        state = {name: getattr(self, name) for name in ("phase", "drawn", "steps", "tokens", "elapsed")}
        state.update(model=self.master.state_dict(), ema=self.ema.state_dict(),
                     optimizers=[o.state_dict() for o in self.optimizers])
        torch.save(state, self.path() + ".new")
        os.replace(self.path() + ".new", self.path())

    def done(self):
        if self.args.minutes:
            return min(1.0, self.elapsed / (60 * self.args.minutes))
        return min(1.0, self.tokens / self.args.tokens)

    def resize(self, size):
        """The same model for pictures of another size."""
        if self.master.patch_embed.img_size == (size, size):
            return
        for model in (self.master, self.ema, *self.work):
            grid = [size // PATCH] * 2
            new = resample_abs_pos_embed(model.pos_embed.data.float(), grid, interpolation="bicubic",
                                         antialias=True)
            model.pos_embed.data = new.to(model.pos_embed.dtype)
            model.patch_embed.set_input_size(img_size=size)
        self.share()
        self.optimizers[-1].state.pop(self.master.pos_embed, None)

    def part(self, work, parts, total, weight):
        """One thread's share of a step: parts of the batch as long as there are any."""
        sums = np.zeros(4)
        for pixels, owner in parts:
            x, shares, present = prepare(pixels, owner, self.count)
            logits, patches = forward(work, x, self.late)
            loss = entropy(logits, present / present.sum(1, keepdim=True).clamp(min=1))
            patch_loss = entropy(patches, shares)
            ((loss + weight * patch_loss) * (len(x) / total)).backward()
            single = present.sum(1) == 1
            hit = (logits.argmax(1) == present.argmax(1)) & single
            losses = [loss.item() * len(x) / total, patch_loss.item() * len(x) / total]
            sums += np.array([*losses, hit.sum().item(), single.sum().item()])
        return sums

    def step(self, batch, weight):
        copy_weights(self.work[0], self.master)
        size = batch[0].shape[1] // PATCH
        parts = Parts(zip(*(t.split(max(1, PART // size**2)) for t in batch)))
        sums = sum(self.pool.map(lambda w: self.part(w, parts, len(batch[0]), weight), self.work))
        for p, *works in zip(*(m.parameters() for m in [self.master, *self.work])):
            p.grad = sum(w.grad.float() for w in works if w.grad is not None)
            for w in works:
                w.grad = None
        torch.nn.utils.clip_grad_norm_(self.master.parameters(), CLIP)
        done = self.done()
        rate = self.args.lr * min(1, done / WARM_UP + 1e-3) * 0.5 * (1 + math.cos(math.pi * done))
        for group in (g for o in self.optimizers for g in o.param_groups):
            group["lr"] = rate
        list(self.pool.map(lambda o: o.step(), self.optimizers))
        self.steps += 1
        keep = min(EMA, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.ema.parameters()),
                             [p.detach() for p in self.master.parameters()], 1 - keep)
        return sums

    def evaluate(self, sets, batch):
        copy_weights(self.work[0], self.ema)
        one, two = accuracy(self.work[0], sets, self.count, batch)
        print(f"validation: {self.ema.patch_embed.img_size[0]} px, one object {one:.4f}, "
              f"both of two {two:.4f}", flush=True)

    def run_phase(self):
        until, size, objects, smallest, largest, batch, weight = self.phases[self.phase]
        self.resize(size)
        sets = [fixed(self.args.scenes, VALIDATION, self.args.validate, size, k, smallest, largest)
                for k in (1, 2)]
        scenes = Scenes(command(self.args.scenes, (FINISHED if self.late else TRAIN) + self.phase, self.drawn, size, objects,
                                smallest, largest), batch, size)
        start = logged = saved = time.time()
        sums, before = np.zeros(5), self.elapsed
        while self.done() < until:
            sums += [*self.step(scenes.next(), weight), 1]
            self.drawn += batch
            self.tokens += batch * ((size // PATCH) ** 2 + 1)
            now = time.time()
            self.elapsed = before + now - start
            if now - logged >= self.args.log:
                loss, patch_loss, hits, single, steps = sums
                print(f"{time.strftime('%H:%M:%S')} {100 * self.done():5.1f} % {size} px "
                      f"{self.drawn} scenes, {steps * batch / (now - logged):.0f}/s, loss "
                      f"{loss / steps:.3f}, patches {patch_loss / steps:.3f}, one object "
                      f"{hits / max(single, 1):.3f}", flush=True)
                sums[:], logged = 0, now
            if now - saved >= self.args.save:
                self.save()
                self.evaluate(sets, batch)
                saved = time.time()
        scenes.close()
        self.evaluate(sets, batch)
        self.phase, self.drawn = self.phase + 1, 0
        if self.phase < len(self.phases):
            self.resize(self.phases[self.phase][1])
        self.save()

    def run(self):
        while self.phase < len(self.phases):
            self.run_phase()
        print(f"done: {self.steps} steps, {self.tokens} tokens, {self.elapsed / 60:.1f} minutes")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", required=True, help="folder of the checkpoint")
    p.add_argument("--scenes", default="build/vitx-scenes", help="the generator")
    p.add_argument("--tokens", type=float, default=4.8e7, help="length of the run")
    p.add_argument("--finish", help="folder of a run that this one begins with")
    p.add_argument("--minutes", type=float, help="length of the run, instead of --tokens")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--lr", type=float, default=LR)
    p.add_argument("--log", type=float, default=30, help="seconds between lines")
    p.add_argument("--save", type=float, default=240, help="seconds between checkpoints")
    p.add_argument("--validate", type=int, default=600, help="scenes of one, and of two objects")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    Trainer(args).run()


if __name__ == "__main__":
    main()
