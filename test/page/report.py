"""What a report file holds, read without a browser: the other side of every comparison.

The format is that of lib/report/manifest.c and code.h. Nothing here comes from the page's script.
"""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np


class _Outline(HTMLParser):
    """Scripts by id, the content security policy, tags in order."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.scripts, self.tags, self.policy, self.lang, self._id = {}, [], None, None, None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag == "html":
            self.lang = attrs.get("lang")
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]
        if tag == "script":
            self._id = attrs.get("id", "code")
            self.scripts[self._id] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._id = None

    def handle_data(self, data):
        if self._id is not None:
            self.scripts[self._id] += data


class Report:
    def __init__(self, path):
        self.path = Path(path)
        self.bytes = self.path.read_bytes()
        self.text = self.bytes.decode("utf-8")  # must be valid
        self.outline = _Outline()
        self.outline.feed(self.text)
        self.manifest = json.loads(self.outline.scripts["vx-report"], parse_constant=_no_constant)
        self._blocks = {}

    def block(self, name):
        if name not in self._blocks:
            raw = base64.b64decode(re.sub(r"\s", "", self.outline.scripts[name]), validate=True)
            self._blocks[name] = zlib.decompress(raw)
        return self._blocks[name]

    def picture(self, i=0):
        return self.manifest["pictures"][i]

    def map(self, picture, i):
        m = picture["maps"][i]
        kind = {"f32": "<f4", "f16": "<f2", "u8rgb": "u1"}[m["code"]]
        values = np.frombuffer(self.block(m["block"]), kind)
        return values.astype(np.float64).reshape(m["shape"])

    def attention(self, picture, layer, kind="all"):
        """[G,R,T] of a layer, or None; layer "pool" is the pooling head's."""
        a = picture["attention"]
        name = a["pool"] if layer == "pool" else a["layers"][layer][kind]
        if name is None:
            return None
        tokens, prefix = picture["tokens"], picture["prefix"]
        groups = 1 if kind == "mean" else self.manifest["model"]["heads"]
        rows = tokens if kind in ("all", "mean") and layer != "pool" else 1
        return decode(self.block(name), groups, rows, tokens, prefix)


    def fused(self, picture, layer, fusion):
        """(F [T,T] of a layer as the file gives it, before anything is dropped; for each entry the
        index of the first step that drops it), by lib/report/fused.h."""
        a = picture["attention"]
        kind = "all" if a["layers"][layer]["all"] else "mean"
        k, count = FUSIONS.index(fusion), 3 if kind == "all" else 1
        tokens, prefix = picture["tokens"], picture["prefix"]
        heads = self.attention(picture, layer, kind)
        if count > 1 and len(heads) == 1:
            count = 1
        raw = self.block(a["layers"][layer]["fused"])
        order = count * (4 * STEPS + tokens * tokens)
        fine_row = (tokens - prefix + 7) // 8 if count == 3 else 0
        reads, rest = divmod(len(raw) - order - tokens * fine_row, 4 * tokens * count)
        assert rest == 0, f"{len(raw)} bytes"
        rows = np.frombuffer(raw, "<f4", count * reads * tokens).reshape(count, reads, tokens)
        at = 4 * rows.size
        limit = np.frombuffer(raw, "<f4", count * STEPS, offset=at).reshape(count, STEPS)[k]
        at += 4 * count * STEPS
        turn = np.frombuffer(raw, "i1", count * tokens * tokens, offset=at).reshape(count, -1)[k]
        fine = np.frombuffer(raw, "u1", offset=at + count * tokens * tokens)
        f = np.zeros((tokens, tokens), np.float32)
        for h, head in enumerate(heads):
            if fusion == "mean":
                f = (f + 1 / len(heads) * head).astype(np.float32)
            elif h == 0:
                f = head.astype(np.float32)
            else:
                f = (np.maximum if fusion == "max" else np.minimum)(f, head.astype(np.float32))
        if fusion == "min" and count == 3:
            self._refine(f, self.block(a["layers"][layer]["all"]), heads, prefix, fine)
        if reads:
            first = 0 if prefix else None
            f[first : first + reads] = rows[k]
        return f, np.searchsorted(limit, f.reshape(-1), side="left") + turn

    def _refine(self, f, raw, heads, prefix, fine):
        """Which half of its step a minimum lies in."""
        n, tokens = len(heads) * len(f), len(f)
        scale = np.frombuffer(raw, "<f2", n).astype(np.float64).reshape(len(heads), tokens)
        units = np.frombuffer(raw, "u1", offset=2 * n * (1 + prefix)).reshape(len(heads), tokens, -1)
        head = heads[:, :, prefix:].astype(np.float32).argmin(axis=0)[None]
        u = np.take_along_axis(units, head, 0)[0].astype(np.float64)
        s = np.take_along_axis(np.broadcast_to(scale[:, :, None], units.shape), head, 0)[0]
        up = np.unpackbits(fine.reshape(tokens, -1), axis=1, bitorder="little")[:, : u.shape[1]]
        better = s * ((u + np.where(up, 0.25, -0.25)) / 255) ** 2
        f[:, prefix:] = np.where(u > 0, better, f[:, prefix:])

    def rollout(self, picture, query, first=0, fusion="mean", discard=0.0):
        """Rollout as the page computes it, in double: the patches' weights."""
        tokens = picture["tokens"]
        row = np.zeros(tokens)
        row[query] = 1 / len(range(*query.indices(tokens)))
        for layer in range(self.manifest["model"]["layers"] - 1, first - 1, -1):
            f, level = self.fused(picture, layer, fusion)
            f = f.astype(np.float64).reshape(-1)
            gone = level < round(discard * 20)
            gone[0] = False
            b = np.where(gone, 0, f).reshape(tokens, tokens) + np.eye(tokens)
            row = row @ (b / b.sum(axis=1, keepdims=True))
        return row[picture["prefix"] :]


FUSIONS, STEPS = ("mean", "max", "min"), 19


def _no_constant(name):
    raise ValueError(f"the manifest holds {name}, which is no JSON")


def decode(raw, groups, rows, tokens, prefix):
    patches, n = tokens - prefix, groups * rows
    # The pooling head sees the patches alone in some models: what is missing of the prefix is 0.
    assert len(raw) == n * (2 + 2 * prefix + patches), (len(raw), groups, rows, tokens, prefix)
    scale = np.frombuffer(raw, "<f2", n).astype(np.float64)
    front = np.frombuffer(raw, "<f2", n * prefix, offset=2 * n).astype(np.float64)
    units = np.frombuffer(raw, "u1", offset=2 * n * (1 + prefix)).astype(np.float64)
    out = np.empty((n, tokens))
    out[:, :prefix] = front.reshape(n, prefix)
    out[:, prefix:] = scale[:, None] * (units.reshape(n, patches) / 255) ** 2
    return out.reshape(groups, rows, tokens)


def step(truth, prefix):
    """The largest error that the coding allows for each weight of truth [...,T], plus rounding in
    float16 (2^-11 of a value, 2^-25 for small ones) and what two runs of a model may differ by."""
    patches = truth[..., prefix:]
    scale = patches.max(axis=-1, keepdims=True)
    half = np.empty_like(truth)
    # Half a unit of u, where a = scale (u / 255)^2: at most (u + 1/4) / 255^2 of the scale.
    half[..., prefix:] = np.sqrt(scale * patches) / 255 + scale * 0.75 / 255**2
    half[..., :prefix] = 0
    return half + truth * 2.0**-11 + 2.0**-25 + 1e-6

