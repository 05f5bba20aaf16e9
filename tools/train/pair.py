#!/usr/bin/env python3
"""Trains the model in weights/pair: a picture tower and a text tower, on scenes and what is true of them.

    python3 -m venv venv && venv/bin/pip install torch timm safetensors numpy tokenizers transformers
    make && venv/bin/python tools/train/tokens.py weights/pair
    venv/bin/python tools/train/pair.py --out run --minutes 85   # continues where a run broke off
    venv/bin/python tools/train/slim.py run --out slim --minutes 60
    venv/bin/python tools/train/export_pair.py slim weights/pair

The picture tower begins with weights/scenes (towers.py), the text tower with chance: it learns alone at
first, from what the picture tower makes of a few scenes (LiT, arXiv:2111.07991). Of every scene all
is known that can be said of it (vitx-scenes --facts): so it is known of every picture and every text of
a batch whether they match, and no text counts as wrong because it was written for another picture.

- A text matches if its cosine is above that of an empty text ("", "a photo of a .", "一张图片"): the
  loss is of the logistic kind (SigLIP, arXiv:2303.15343) with the empty text in place of a bias. So
  "not here" can be asked of any model in CLIP's form: which is nearer, the text or the empty text?
- A batch has scenes with a few things in common. Of these every colour and every place is said: so each
  picture is held against what is nearly right, the same thing in another colour or place.
- Every patch learns which thing's texts are nearest, or the empty text where it shows background, and
  which colour and place are true of the thing that it shows. The class token learns to say what the
  patches of the objects say.

English and Chinese, sentences and templates (weights/templates) by chance. Single precision, one thread.
"""
import argparse
import copy
import glob
import math
import os
import queue
import signal
import subprocess
import threading
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from towers import Pair, begin_with, open_channels
from train import classes, command, prepare

# Until which part of the run; pixels; objects; their size; scenes per step; how many scenes are drawn at
# once; whether the picture tower learns, or stays and has looked at them once; how many patches it sees,
# those that show objects first (0: all; FLIP, arXiv:2212.00794).
PHASES = [
    (0.10, 112, "1-3", 0.45, 0.95, 64, 2400, False, 0),
    (0.60, 112, "1-3", 0.45, 0.95, 32, 3200, True, 28),
    (1.00, 224, "1-3", 0.30, 0.75, 16, 480, True, 0),
]
VISITS = 3  # how often every scene that was drawn is taken, before others are drawn
CLASSES, RELATIONS = 4, 6  # of a step: things of which every colour and place is said; scenes of relations
TRAIN, VALIDATION = 101, 1000001  # seeds; export_pair.py reports on another
LR_PICTURES, LR_TEXTS, WARM_UP, DECAY, CLIP, EMA = 4e-4, 2e-3, 0.005, 0.05, 1.0, 0.99
GENTLE = 150  # steps until the picture tower learns at its full rate
FROZEN = 3  # blocks that stay as weights/scenes has them: a third less to compute
LATE = 0.1  # share of the scenes where the class token reads the patches in the last block alone
WHICH, CHOICE, PATCHES, DETAIL, WHOLE = 1.0, 1.0, 0.5, 0.5, 1.0  # weights of losses
TEMPLATES = 0.4  # share of texts made by a template
CONTEXT = 32
EMPTY = ["", "a photo of a .", "a picture", "nothing", "一张图片", "一张的照片", "什么都没有"]
KINDS = ["thing", "colour", "place", "count", "relation"]


class Facts:
    """All that can be said, and how."""

    def __init__(self, scenes):
        lines = subprocess.run([scenes, "--sentences"], check=True, capture_output=True, text=True).stdout
        rows = [line.split("\t") for line in lines.splitlines()]
        self.total = int(rows[-1][0]) + 1
        self.forms = [([], []) for _ in range(self.total)]
        self.kind = np.zeros(self.total, int)
        self.thing, self.other, self.value = (np.zeros(self.total, int) for _ in range(3))
        for number, kind, _, thing, other, value, en, zh in rows:
            n = int(number)
            self.kind[n] = KINDS.index(kind)
            self.thing[n], self.other[n], self.value[n] = int(thing), int(other), int(value)
            self.forms[n][0].append(en)
            self.forms[n][1].append(zh)
        self.things = int(self.thing.max()) + 1
        self.at = {}
        for n in range(self.total):
            key = (int(self.kind[n]), int(self.thing[n]), int(self.other[n]))
            self.at.setdefault(key, []).append(n)
        self.at = {k: np.array(v) for k, v in self.at.items()}


def read_templates(root):
    out = ([], [])
    for path in sorted(glob.glob(os.path.join(root, "weights/templates/*.txt"))):
        with open(path, encoding="utf-8") as file:
            out[os.path.basename(path).startswith("zh")].extend(file.read().splitlines())
    return out


class Tokens:
    def __init__(self, path):
        self.tokenizer, self.known = Tokenizer.from_file(path), {}

    def ids(self, text):
        if text not in self.known:
            ids = self.tokenizer.encode(text).ids
            self.known[text] = ids if len(ids) <= CONTEXT else ids[:CONTEXT - 1] + ids[-1:]
        return self.known[text]

    def __call__(self, texts):
        """ids [m,t], ends [m]."""
        lists = [self.ids(t) for t in texts]
        out = torch.zeros(len(lists), max(map(len, lists)), dtype=torch.long)
        for row, ids in zip(out, lists):
            row[:len(ids)] = torch.tensor(ids)
        return out, torch.tensor([len(ids) - 1 for ids in lists])


def read(stream, count, size, total):
    """count scenes: pixels [n,h,w,3], classes [n,h,w], truth [n,facts] (0 false, 1 true, 2 neither)."""
    data = np.empty((count, 4 * size * size + total), np.uint8)
    if stream.readinto(memoryview(data).cast("B")) != data.size:
        raise EOFError("the scenes end before their time")
    frame = 3 * size * size
    raw = torch.from_numpy(data)
    return (raw[:, :frame].reshape(count, size, size, 3),
            raw[:, frame:frame + size * size].reshape(count, size, size), data[:, 4 * size * size:])


def argv(args, seed, first, size, objects, smallest, largest, count=1 << 40):
    return command(args.scenes, seed, first, size, objects, smallest, largest, count) + ["--facts"]


def fixed(scenes, total, seed, count, size, objects, smallest=0.3, largest=0.75):
    words = command(scenes, seed, 0, size, objects, smallest, largest, count) + ["--facts"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, bufsize=1 << 20) as child:
        return read(child.stdout, count, size, total)


class Scenes:
    """Batches from a generator beside us, two of them ahead."""

    def __init__(self, words, batch, size, total):
        self.child = subprocess.Popen(words, stdout=subprocess.PIPE, bufsize=1 << 20)
        self.queue = queue.Queue(maxsize=2)
        threading.Thread(target=self.fill, args=(batch, size, total), daemon=True).start()

    def fill(self, *what):
        try:
            while True:
                self.queue.put(read(self.child.stdout, *what))
        except (EOFError, ValueError):
            self.queue.put(None)

    def next(self):
        item = self.queue.get()
        if item is None:
            raise SystemExit("the scene generator ended")
        return item

    def close(self):
        self.child.kill()
        self.child.wait()


def embed_texts(pair, tokens, texts, batch=256):
    """Directions [m,embed]; texts of about one length at a time."""
    order = sorted(range(len(texts)), key=lambda n: len(tokens.ids(texts[n])))
    out = [pair.texts(*tokens([texts[n] for n in order[i:i + batch]])) for i in range(0, len(texts), batch)]
    return torch.cat(out)[torch.tensor(order).argsort()]


class Batch:
    """Which texts a batch gets: all things, all counts, all colours and places of some things that many of
    the scenes have, and some relations. `chosen` [m]: facts; `groups`: (thing, kind, columns)."""

    def __init__(self, facts, templates, truth, classes, dice):
        self.facts, self.templates, self.truth, self.dice = facts, templates, truth, dice
        self.chosen = [int(facts.at[0, thing, 0][0]) for thing in range(facts.things)]
        self.chosen += facts.at[3, 0, 0].tolist()
        self.groups = []
        for thing in classes:
            for kind in (1, 2):
                numbers = facts.at[kind, int(thing), 0].tolist()
                self.groups.append((int(thing), kind, range(len(self.chosen), len(self.chosen) + len(numbers))))
                self.chosen += numbers
        several = np.flatnonzero((truth[:, :facts.things] == 1).sum(1) > 1)
        for i in dice.permutation(several)[:RELATIONS]:
            there = dice.permutation([k for k in range(facts.things) if truth[i, k] == 1])
            numbers = facts.at[4, int(there[0]), int(there[1])]
            for wanted in (0, 1):
                self.chosen += dice.permutation(numbers[truth[i, numbers] == wanted])[:1].tolist()
        self.chosen = np.array(self.chosen)

    def text(self, fact):
        language = int(self.dice.integers(2))
        forms = self.facts.forms[fact][language]
        if self.facts.kind[fact] != 3 and self.dice.random() < TEMPLATES:
            known = self.templates[language]
            return known[self.dice.integers(len(known))].replace("{}", forms[0])
        return forms[self.dice.integers(len(forms))]

    def texts(self):
        return [self.text(fact) for fact in self.chosen]

    def matches(self):
        """[n,m]: 0, 1, 2 for neither."""
        return torch.from_numpy(self.truth[:, self.chosen].astype(np.int64))

    def near(self):
        """[n,m]: texts that say something else than what is there of things that are there."""
        facts, chosen = self.facts, self.chosen
        there = self.truth[:, facts.thing[chosen]] == 1
        there &= (facts.kind[chosen] != 4) | (self.truth[:, facts.other[chosen]] == 1)
        return torch.from_numpy(there & np.isin(facts.kind[chosen], (1, 2, 4)))


def balanced(logits, match, where):
    """The logistic loss of those that match and of those that do not, both as heavy."""
    right, wrong = where & (match == 1), where & (match == 0)
    return 0.5 * (F.softplus(-logits[right]).mean() + F.softplus(logits[wrong]).mean())


def among(logits, match):
    """Of a group's texts [...,c], which of them is true: -log of what the true ones get, without those that
    are neither; and where there is a true one at all."""
    known = logits.masked_fill(match == 2, -1e4)
    true = known.masked_fill(match != 1, -1e4)
    return known.logsumexp(-1) - true.logsumexp(-1), (match == 1).any(-1)


def choices(pair, directions, texts, batch, match, shares):
    """Which colour, which place: asked of the picture, and of every patch of the thing."""
    whole, parts = [], []
    for thing, _, columns in batch.groups:
        columns = list(columns)
        rows = (match[:, thing] == 1).nonzero()[:, 0]
        cosines = directions[rows] @ texts[columns].T
        one, asked = among(cosines[:, 0] * pair.logit_scale.exp(), match[rows][:, columns])
        whole.append(one[asked])
        every, _ = among(cosines[:, 1:] * pair.patch_scale.exp(), match[rows][:, None, columns])
        parts.append(every[asked[:, None] & (shares[rows, :, 1 + thing] > 0.4)])
    return torch.cat(whole).mean(), torch.cat(parts).mean()


def which_thing(pair, patches, texts, empty, shares):
    """patches [n,t,e], texts of the things [k,e]; shares [n,t,1+k] of pixels, 0 the background."""
    logits = torch.cat([(patches @ empty)[..., None], patches @ texts.T], 2) * pair.patch_scale.exp()
    return -(shares * F.log_softmax(logits, -1)).sum(-1).mean()


def losses(pair, seen, facts, templates, tokens, dice):
    """`seen`: tokens of the picture tower, what prepare() and the facts say of the scenes, and the things
    that many of them have."""
    hidden, shares, present, truth, classes = seen
    batch = Batch(facts, templates, truth, classes, dice)
    directions = pair.directions(hidden)
    texts = embed_texts(pair, tokens, batch.texts() + [EMPTY[dice.integers(len(EMPTY))]], 60)
    texts, empty = texts[:-1], texts[-1]
    match, near, scale = batch.matches(), batch.near(), pair.logit_scale.exp()
    cosines = directions[:, 0] @ texts.T
    logits = (cosines - (directions[:, 0] @ empty)[:, None]) * scale
    every = balanced(logits, match, torch.ones_like(near))
    hard = balanced(logits, match, near)
    target = present / present.sum(1, keepdim=True).clamp(min=1)
    which = -(target * F.log_softmax(cosines[:, :facts.things] * scale, -1)).sum(-1).mean()
    # the picture is what its objects' patches say, every object as loud
    weights = shares[:, :, 1:] / shares[:, :, 1:].sum(1, keepdim=True).clamp(min=0.1)
    said = F.normalize((weights.sum(2, keepdim=True) * directions[:, 1:]).sum(1), dim=-1).detach()
    whole = 1 - (directions[:, 0] * said).sum(1).mean()
    local = which_thing(pair, directions[:, 1:], texts[:facts.things], empty, shares)
    choice, detail = choices(pair, directions, texts, batch, match, shares)
    with torch.no_grad():
        right = ((logits > 0) == (match == 1))[near & (match < 2)].float().mean()
    loss = (every + hard + WHICH * which + CHOICE * choice + PATCHES * local + DETAIL * detail
            + WHOLE * whole)
    return loss, torch.stack([every, hard, which, choice, local, detail, whole, right]).detach()


# ------------------------------------------------------------------ measuring ----------------


@torch.no_grad()
def embed_pictures(pair, pixels, owner, things, batch=16):
    out = [pair.pictures(prepare(pixels[i:i + batch], owner[i:i + batch], things)[0].float())[:, 0]
           for i in range(0, len(pixels), batch)]
    return torch.cat(out)


def area_under(right, wrong):
    """How often one of `right` is above one of `wrong`."""
    order = torch.cat([right, wrong]).argsort().argsort().float() + 1
    n, m = len(right), len(wrong)
    return ((order[:n].sum() - n * (n + 1) / 2) / (n * m)).item()


@torch.no_grad()
def measure(pair, tokens, facts, pictures, truth, language, form=1):
    """What a language's sentences are worth on scenes, whose pictures are embedded: see export_pair.py."""
    truth = torch.from_numpy(truth.astype(np.int64))
    things = embed_texts(pair, tokens, [facts.forms[k][language][form] for k in range(facts.things)])
    empty = embed_texts(pair, tokens, [""])[0]
    scores, there = pictures @ things.T, truth[:, :facts.things] == 1
    out = {}
    count = there.sum(1)
    top = torch.zeros_like(there)
    for i, k in enumerate(count.tolist()):
        top[i, scores[i].topk(k).indices] = True
    for k in sorted(set(count.tolist())):
        out[f"things_of_{k}"] = (top == there).all(1)[count == k].float().mean().item()
    above = scores - (pictures @ empty)[:, None]
    out["not_here_auc"] = area_under(above[there], above[~there])
    out["not_here_right"] = 0.5 * ((above[there] > 0).float().mean() + (above[~there] <= 0).float().mean()).item()
    for kind in (1, 2, 3, 4):
        out.update(pairs(pair, tokens, facts, pictures, truth, kind, language, form))
    return out


def pairs(pair, tokens, facts, pictures, truth, kind, language, form):
    """Of a true fact and a false one that differ in the value: how often the true one's text is nearer;
    and how often the nearest of all values is true, if one is."""
    groups = []
    for i in range(len(pictures)):
        there = [k for k in range(facts.things) if truth[i, k] == 1]
        keys = {1: [(1, a, 0) for a in there], 2: [(2, a, 0) for a in there], 3: [(3, 0, 0)],
                4: [(4, a, b) for a in there for b in there if a != b]}[kind]
        groups += [(i, facts.at[key]) for key in keys]
    used = sorted({int(f) for _, group in groups for f in group})
    if not used:
        return {}
    texts = embed_texts(pair, tokens, [facts.forms[f][language][min(form, len(facts.forms[f][0]) - 1)] for f in used])
    place = {f: n for n, f in enumerate(used)}
    wins, compared, first, asked, chance = 0, 0, 0, 0, 0.0
    for i, group in groups:
        scores = texts[[place[int(f)] for f in group]] @ pictures[i]
        true, false = scores[truth[i, group] == 1], scores[truth[i, group] == 0]
        wins += (true[:, None] > false[None]).sum().item()
        compared += len(true) * len(false)
        if len(true) and len(false):
            first += int(true.max() > false.max())
            asked += 1
            chance += len(true) / (len(true) + len(false))
    name = KINDS[kind]
    return {name + "_pairs": wins / max(1, compared), name + "_first": first / max(1, asked),
            name + "_chance": chance / max(1, asked), name + "_asked": asked}


# ------------------------------------------------------------------ training -----------------


@torch.no_grad()
def orthogonal(g):
    """Newton-Schulz as Muon has it (Jordan et al. 2024), in single precision."""
    x = g / (g.norm() + 1e-7)
    x = x.T if g.shape[0] > g.shape[1] else x
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, weight_decay, momentum=0.95):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                step = orthogonal(p.grad.lerp(m, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(step, alpha=-group["lr"] * 0.2 * max(p.shape) ** 0.5)


def optimizers(pair, args):
    text = [p for p in pair.text_model.encoder.parameters() if p.dim() == 2]
    pictures = [p for p in pair.vision_model.encoder.parameters() if p.dim() == 2]
    known = {id(p) for p in text + pictures}
    rest = [(n, p) for n, p in pair.named_parameters() if id(p) not in known]
    old = [p for n, p in rest if n.startswith("vision_model")]
    new = [p for n, p in rest if not n.startswith("vision_model") and p.dim() > 1]
    flat = [p for n, p in rest if not n.startswith("vision_model") and p.dim() <= 1]
    groups = [dict(params=old, lr=args.lr_pictures, weight_decay=0.0, pictures=True),
              dict(params=new, lr=args.lr_texts, weight_decay=0.0),
              dict(params=flat, lr=args.lr_texts, weight_decay=0.0)]
    muon = [dict(params=text, lr=args.lr_texts, weight_decay=DECAY)]
    groups.append(dict(params=pictures, lr=args.lr_pictures, weight_decay=DECAY, pictures=True))
    return [torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), foreach=True),
            Muon(muon, lr=1e-3, weight_decay=DECAY)]


def look(pair, facts, scenes, late, some=0):
    pixels, owner, truth = scenes
    x, shares, present = prepare(pixels, owner, facts.things)
    where = None
    if some:
        first = torch.rand(shares.shape[:2]) + (shares[:, :, 0] < 0.9)
        rows, grid = first.topk(some, 1).indices, math.isqrt(x.shape[1])
        x, shares = (v.gather(1, rows[..., None].expand(-1, -1, v.shape[2])) for v in (x, shares))
        where = rows, grid
    return pair.vision_model(x.float(), late, where), shares, present, truth


class Pool:
    """Batches of scenes that have a few things in common, from some thousand at a time."""

    def __init__(self, pair, facts, scenes, phase):
        _, _, _, _, _, self.batch, self.count, self.learns, self.some = phase
        self.pair, self.facts, self.scenes, self.left = pair, facts, scenes, 0

    def fill(self):
        drawn = [self.scenes.next() for _ in range(self.count // self.batch)]
        if not self.learns:
            with torch.no_grad():
                drawn = [look(self.pair, self.facts, scenes, LATE) for scenes in drawn]
        self.parts = [torch.cat(p) if torch.is_tensor(p[0]) else np.concatenate(p) for p in zip(*drawn)]
        self.rows = [np.flatnonzero(self.parts[-1][:, k] == 1) for k in range(self.facts.things)]
        self.left = VISITS * len(drawn)

    def next(self, dice):
        """As losses() wants it."""
        if not self.left:
            self.fill()
        self.left -= 1
        classes = dice.permutation([k for k in range(self.facts.things) if len(self.rows[k])])[:CLASSES]
        rows = np.concatenate([dice.choice(self.rows[k], self.batch // CLASSES) for k in classes])
        taken = [p[torch.from_numpy(rows)] if torch.is_tensor(p) else p[rows] for p in self.parts]
        return (*(look(self.pair, self.facts, taken, LATE, self.some) if self.learns else taken), classes)


class Run:
    """A run that goes on where it broke off: `pair` learns, `ema` is its mean over the last steps,
    COUNTS names the numbers that say how far the run is."""

    COUNTS = ("phase", "drawn", "steps", "elapsed")
    EMA = EMA

    def begin(self, args):
        torch.manual_seed(args.seed)
        self.args, self.facts, self.tokens = args, Facts(args.scenes), Tokens(args.tokenizer)
        self.stop = False  # SIGTERM: save and end
        for name in self.COUNTS:
            setattr(self, name, 0)
        return torch.load(self.path(), weights_only=True) if os.path.exists(self.path()) else None

    def restore(self, saved):
        self.pair.load_state_dict(saved["model"])
        self.ema.load_state_dict(saved["ema"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        for name in self.COUNTS:
            setattr(self, name, saved[name])

    def path(self):
        return os.path.join(self.args.out, "last.pt")

    def save(self, **more):
        state = {name: getattr(self, name) for name in self.COUNTS}
        state.update(model=self.pair.state_dict(), ema=self.ema.state_dict(),
                     optimizers=[o.state_dict() for o in self.optimizers], **more)
        torch.save(state, self.path() + ".new")
        os.replace(self.path() + ".new", self.path())

    def done(self):
        return min(1.0, self.elapsed / (60 * self.args.minutes))

    def rate(self, warm_up):
        """Of the peak: up at first, then down as a cosine."""
        done = self.done()
        return min(1, done / warm_up + 1e-3) * 0.5 * (1 + math.cos(math.pi * done))

    def descend(self, loss):
        for p in self.pair.parameters():
            p.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.pair.parameters(), CLIP)
        for optimizer in self.optimizers:
            optimizer.step()

    def follow(self):
        self.steps += 1
        keep = min(self.EMA, (1 + self.steps) / (10 + self.steps))
        new = [p.detach() for p in self.pair.parameters()]
        torch._foreach_lerp_(list(self.ema.parameters()), new, 1 - keep)

    def evaluate(self, sets):
        pixels, owner, truth = sets
        pictures = embed_pictures(self.ema, pixels, owner, self.facts.things)
        for language, name in ((0, "en"), (1, "zh")):
            found = measure(self.ema, self.tokens, self.facts, pictures, truth, language)
            shown = (f"{k} {v:.3f}" for k, v in found.items() if not k.endswith(("asked", "chance")))
            print(f"  {name}: " + ", ".join(shown), flush=True)


class Trainer(Run):
    COUNTS = (*Run.COUNTS, "moved")  # steps in which the picture tower moved

    def __init__(self, args):
        saved = self.begin(args)
        assert self.facts.things == len(classes(args.scenes))
        self.templates = read_templates(args.root)
        self.pair = Pair(self.tokens.tokenizer.get_vocab_size(), CONTEXT)
        if args.weights and not saved:
            self.phase = 1  # the text tower knows what the picture tower says
            self.pair.load_state_dict(torch.load(os.path.join(args.weights, "last.pt"), weights_only=True)["ema"])
        elif not saved:
            pixels, owner, _ = fixed(args.scenes, self.facts.total, VALIDATION, 100, 112, "1-3", 0.45, 0.95)
            patches = prepare(pixels, owner, self.facts.things)[0].float()
            begin_with(self.pair, load_file(args.begin), patches)
            open_channels(self.pair, patches)
        vision = self.pair.vision_model
        for part in (vision.embeddings, vision.pre_layrnorm, *vision.encoder.layers[:FROZEN]):
            part.requires_grad_(False)
        self.ema = copy.deepcopy(self.pair).requires_grad_(False)
        self.optimizers = optimizers(self.pair, args)
        self.peaks = [[g["lr"] for g in o.param_groups] for o in self.optimizers]
        if saved:
            self.restore(saved)

    def step(self, seen, dice):
        rate = self.rate(WARM_UP)
        for optimizer, peaks in zip(self.optimizers, self.peaks):
            for group, peak in zip(optimizer.param_groups, peaks):
                group["lr"] = rate * peak * (min(1, self.moved / GENTLE) if "pictures" in group else 1)
        loss, parts = losses(self.pair, seen, self.facts, self.templates, self.tokens, dice)
        self.descend(loss)
        with torch.no_grad():
            self.pair.logit_scale.clamp_(max=math.log(50))
            self.pair.patch_scale.clamp_(max=math.log(50))
        self.moved += seen[0].requires_grad
        self.follow()
        return parts.numpy()

    def run_phase(self):
        until, size, objects, smallest, largest, batch, *_ = PHASES[self.phase]
        sets = fixed(self.args.scenes, self.facts.total, VALIDATION, self.args.validate, size, "1-3",
                     smallest, largest)
        seed = TRAIN + 10 * (self.args.seed - 1) + self.phase
        scenes = Scenes(argv(self.args, seed, self.drawn, size, objects, smallest, largest), batch, size,
                        self.facts.total)
        before, start = self.elapsed, time.time()
        pool = Pool(self.pair, self.facts, scenes, PHASES[self.phase])
        logged, saved, sums, count = start, start, 0, 0
        while self.done() < until:
            dice = np.random.default_rng([self.args.seed, self.phase, self.drawn])
            sums, count = sums + self.step(pool.next(dice), dice), count + 1
            self.drawn += batch
            now = time.time()
            self.elapsed = before + now - start
            if now - logged >= self.args.log:
                every, hard, which, choice, local, detail, whole, right = sums / count
                print(f"{time.strftime('%H:%M:%S')} {100 * self.done():5.1f} % {size} px {self.drawn} scenes, "
                      f"{count * batch / (now - logged):.1f}/s, loss {every:.3f} hard {hard:.3f} "
                      f"which {which:.3f} choice {choice:.3f} patches {local:.3f} detail {detail:.3f} "
                      f"whole {whole:.3f}, right {right:.3f}, scales {self.pair.logit_scale.exp():.1f} "
                      f"{self.pair.patch_scale.exp():.1f}", flush=True)
                logged, sums, count = now, 0, 0
            if self.stop:
                self.save()
                scenes.close()
                raise SystemExit(f"stopped at {100 * self.done():.1f} %")
            if now - saved >= self.args.save:
                self.save()
                self.evaluate(sets)
                saved = time.time()
        scenes.close()
        self.phase, self.drawn = self.phase + 1, 0
        self.save()
        self.evaluate(sets)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stop", True))
        while self.phase < len(PHASES):
            self.run_phase()
        print(f"done: {self.steps} steps, {self.elapsed / 60:.1f} minutes")


def options(p, minutes):
    p.add_argument("--out", required=True, help="folder of the checkpoint")
    p.add_argument("--scenes", default="build/vitx-scenes", help="the generator")
    p.add_argument("--tokenizer", default="weights/pair/tokenizer.json")
    p.add_argument("--minutes", type=float, default=minutes, help="length of the run")
    p.add_argument("--log", type=float, default=30, help="seconds between lines")
    p.add_argument("--save", type=float, default=300, help="seconds between checkpoints")
    p.add_argument("--validate", type=int, default=200, help="scenes")


def start(trainer, p):
    args = p.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.out, exist_ok=True)
    trainer(args).run()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options(p, 85)
    p.add_argument("--root", default=".", help="folder of vitx, for its templates")
    p.add_argument("--begin", default="weights/scenes/model.safetensors", help="the picture tower to begin with")
    p.add_argument("--weights", help="folder of a run that this one begins with")
    p.add_argument("--seed", type=int, default=1, help="another one draws other scenes, too")
    p.add_argument("--lr-pictures", type=float, default=LR_PICTURES)
    p.add_argument("--lr-texts", type=float, default=LR_TEXTS)
    start(Trainer, p)


if __name__ == "__main__":
    main()
