#!/usr/bin/env python3
"""Golden numbers of the method features: principal components of patch tokens.

    python tools/golden/make_features.py test/golden/models/vit-timm test/golden/features

Numpy in float64 from the definitions: the model's forward pass, then the singular value
decomposition of the centred tokens, for three small made-up pictures alone and together. The forward
pass is checked against the model's own block_*.npy, which another program made. test_features.c
makes the same pictures. OUT_FOLDER/README.md says what is written.
"""
import json
import math
import struct
import sys
from pathlib import Path

import numpy as np

SIDE, PATCH, HEADS, EPS, PICTURES = 40, 8, 3, 1e-6, 3

README = """# features: golden numbers of the method features

Made by `python tools/golden/make_features.py test/golden/models/vit-timm test/golden/features` with
numpy {numpy}. All arrays are little-endian float64, C order. Pictures 0 to 2 are 40 x 40, by the formula
of `picture()` in the script and in `test/test_features.c`.

- `alone.npy` [3,5,5,3]: the first three components of each picture's patch tokens behind the last block.
- `first.npy` [3,5,5,3]: the same behind block 0.
- `together.npy` [3,5,5,4]: the first four components of the three pictures' tokens together.
- `spread.npy` [4]: the standard deviations of the tokens along these.
"""


def picture(index):
    y, x, k = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3), indexing="ij")
    return (x * x * (index + 1) + 3 * y * (k + 2) + x * y * (index + k) // 4) % 256


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in about["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(about["shape"]).astype(float)
    return tensors


def norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def attend(x, w, name):
    tokens, width = x.shape
    q, k, v = linear(x, w, name + ".qkv").reshape(tokens, 3, HEADS, width // HEADS).transpose(1, 2, 0, 3)
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(width // HEADS)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    rows = scores / scores.sum(-1, keepdims=True)
    return linear((rows @ v).transpose(1, 0, 2).reshape(tokens, width), w, name + ".proj")


def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def blocks(pixels, w):
    """Tokens behind each block, [L][T,D], of an input [3,H,W]."""
    side = SIDE // PATCH
    patches = pixels.reshape(3, side, PATCH, side, PATCH).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    kernel = w["patch_embed.proj.weight"]
    x = patches @ kernel.reshape(len(kernel), -1).T + w["patch_embed.proj.bias"]
    x = np.concatenate([w["cls_token"][0], x]) + w["pos_embed"][0]
    behind = []
    while f"blocks.{len(behind)}.norm1.weight" in w:
        name = f"blocks.{len(behind)}."
        x = x + attend(norm(x, w, name + "norm1"), w, name + "attn")
        hidden = gelu(linear(norm(x, w, name + "norm2"), w, name + "mlp.fc1"))
        x = x + linear(hidden, w, name + "mlp.fc2")
        behind.append(x)
    return behind


def components(tokens, count):
    """Tokens [P,D] -> projections [P,count], standard deviations [count]."""
    centred = tokens - tokens.mean(0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    vectors = vectors[:count]
    peaks = np.take_along_axis(vectors, abs(vectors).argmax(1)[:, None], 1)
    return centred @ (vectors * np.sign(peaks)).T, values[:count] / math.sqrt(len(tokens))


def main(model, out):
    w = read_safetensors(model / "model.safetensors")
    given = np.load(model / "input.npy").reshape(-1, 3, SIDE, SIDE)[0]
    for i, tokens in enumerate(blocks(given, w)):
        known = np.load(model / f"block_{i}.npy").reshape((-1,) + tokens.shape)[0]
        error = abs(tokens - known).max()
        assert error < 1e-5, f"block {i} is {error} from {model}/block_{i}.npy"
    behind = [blocks(picture(i).transpose(2, 0, 1) / 127.5 - 1, w) for i in range(PICTURES)]
    last = [b[-1][1:] for b in behind]
    side = SIDE // PATCH
    out.mkdir(parents=True, exist_ok=True)
    shape = (PICTURES, side, side, -1)
    together, spread = components(np.concatenate(last), 4)
    np.save(out / "alone.npy", np.stack([components(x, 3)[0] for x in last]).reshape(shape))
    np.save(out / "first.npy", np.stack([components(b[0][1:], 3)[0] for b in behind]).reshape(shape))
    np.save(out / "together.npy", together.reshape(shape))
    np.save(out / "spread.npy", spread)
    (out / "README.md").write_text(README.format(numpy=np.__version__))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
