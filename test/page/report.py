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
            self._blocks[name] = zlib.decompress(raw, wbits=-15)
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


def rollout(attention, prefix, query, first=0, last=None, fusion="mean", discard=0.0):
    """Rollout of [L,H,T,T] in double, as lib/explain/rollout.c says it: the patches' weights.

    query: the tokens, as a slice, of which the row is the mean."""
    last = len(attention) - 1 if last is None else last
    tokens = attention.shape[-1]
    row = np.zeros(tokens)
    row[query] = 1 / len(range(*query.indices(tokens)))
    fuse = {"mean": np.mean, "max": np.max, "min": np.min}[fusion]
    for layer in range(last, first - 1, -1):
        f = fuse(attention[layer], axis=0)
        flat = f.reshape(-1).copy()
        drop = np.argsort(flat, kind="stable")[: int(tokens * tokens * discard)]
        flat[drop[drop != 0]] = 0
        b = flat.reshape(tokens, tokens) + np.eye(tokens)
        row = row @ (b / b.sum(axis=1, keepdims=True))
    return row[prefix:]
