#!/usr/bin/env python3
"""Logits, attention and rollout of the real DeiT-tiny on photos, by timm in float64.

    python tools/golden/make_deit_tiny.py ../shared/data test/golden/deit_tiny

DATA_FOLDER holds models/deit_tiny_patch16_224, images/ and crops/. Every file of images/ goes
through timm's own evaluation transform (resize to 248 on the shortest side, bicubic, centre crop),
every file of crops/ (224x224 already) only through ToTensor and Normalize. Pixels are float32 as
users have them; from there on everything is float64. OUT_FOLDER/README.md says what is written.
"""
import os
os.environ["TIMM_FUSED_ATTN"] = "0"

import json
import sys
from pathlib import Path

import numpy as np
import PIL
import safetensors.torch
import timm
import timm.data
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from reference import fuse, query_row, rollout_matrix, timm_attentions

GRID, PREFIX = 14, 1
DOG = "images/dog.jpg"
# fuse, discard ratio, start layer, form: variants for dog.jpg alone
VARIANTS = [
    ("max", 0.0, 0, "row"), ("min", 0.0, 0, "row"),
    ("mean", 0.9, 0, "row"), ("max", 0.9, 0, "row"), ("min", 0.9, 0, "row"),
    ("mean", 0.0, 1, "row"), ("max", 0.9, 1, "row"),
    ("mean", 0.0, 0, "compat"), ("max", 0.0, 0, "compat"),
    ("mean", 0.9, 0, "compat"), ("max", 0.9, 0, "compat"), ("min", 0.9, 0, "compat"),
]

README = """# deit_tiny: the real DeiT-tiny on photos, in float64

Made by `python tools/golden/make_deit_tiny.py ../shared/data test/golden/deit_tiny` with
{versions}.
Model: `models/deit_tiny_patch16_224` of the data folder, loaded into timm's `deit_tiny_patch16_224`, fused
attention off, float64. The pictures are not part of the repository; tests that need them skip where they are absent.

`names.txt` lists the pictures, one a line, in the order of the first axis of the arrays below. `images/*` went
through timm's evaluation transform for this model ({transform});
`crops/*` are 224x224 already and were only scaled and normalised (`--fit squash`). EXIF orientations in the set are
all 1, or absent.
Transformed pixels are float32, widened to float64. All arrays are little-endian float32, C order.

| file | shape | what |
|---|---|---|
| `logits.npy` | [{n},1000] | logits |
| `attention.npy` | [{n},3,197] | last block (11): attention of the class token, per head, all columns (0 = class token); rows sum to 1 |
| `rollout.npy` | [{n},14,14] | rollout: mean of heads, discard 0, start layer 0, rows normalised; the class token's row, raw |
| `dog_attention5.npy` | [3,197] | images/dog.jpg, block 5: attention of the class token, per head |
| `dog_rollout.npy` | [{k},14,14] | images/dog.jpg, rollout variants, one a line of `dog_rollout.txt` |

`dog_rollout.txt`: fuse, discard ratio, start layer, form. Form `row` is raw, rows normalised. Form `compat` is
jacobgil/vit-explain @ 15a81d3, `vit_rollout.py`: column j divided by the sum of row j, then the map divided by its
maximum. Both zero the int(T*T*ratio) smallest entries of the whole fused matrix before the identity is added, entry
[0,0] excepted.

Which entries are discarded depends on the order of nearly equal numbers: over the variants and blocks the closest
neighbours of a cut differ by a relative {margin:.1e}. Their values being so alike, relative errors of 2e-6 in every
attention value change no map here by more than 4e-6 of its maximum (20 random trials each), so 1e-4 of the maximum
holds for every rollout map, as for the logits. The attention of the last block needs more room: this model multiplies
rounding errors in its last two blocks, in any order of operations, and timm's own float32 run is off by 6e-5 of the
maximum on images/camera.png (2e-5 on the next worst of seven pictures). The `compat` maps agree with
vit-explain's own `rollout()`, run in float64 on the same attentions, within 2e-15.

Sanity: dog.jpg, class 249 (malamute) {malamute:.5f}, class 444 (bicycle-built-for-two) {bicycle:.5f}.
"""


def load(folder):
    config = json.loads((folder / "config.json").read_text())
    model = timm.create_model(config["architecture"], pretrained=False,
                              num_classes=config["num_classes"])
    model.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
    return model.double().eval(), timm.data.resolve_data_config(
        {}, pretrained_cfg=config["pretrained_cfg"])


def discard_margin(attentions, how, ratio):
    """Smallest relative gap, over the blocks, between the last entry dropped and the first kept."""
    gaps = []
    for attention in attentions:
        flat = np.sort(fuse(attention, how).flatten())
        cut = int(flat.size * ratio)
        gaps.append((flat[cut] - flat[cut - 1]) / flat[cut])
    return min(gaps)


def variant(attentions, how, ratio, start, form):
    row = query_row(rollout_matrix(attentions, how, ratio, start, form), 0, PREFIX)
    return (row / row.max() if form == "compat" else row).reshape(GRID, GRID)


def save(folder, name, array):
    np.save(folder / name, np.ascontiguousarray(array, dtype="<f4"))


def main(data, out):
    out.mkdir(parents=True, exist_ok=True)
    torch.set_grad_enabled(False)
    model, config = load(data / "models" / "deit_tiny_patch16_224")
    whole = timm.data.create_transform(**config, is_training=False)
    plain = transforms.Compose([transforms.ToTensor(),
                                transforms.Normalize(config["mean"], config["std"])])
    files = sorted((data / "images").iterdir()) + sorted((data / "crops").iterdir())
    names, logits, last, maps = [], [], [], []
    for file in files:
        picture = Image.open(file).convert("RGB")
        pixels = (plain if file.parent.name == "crops" else whole)(picture)
        answer, kept = timm_attentions(model, lambda: model(pixels[None].double()))
        attentions = np.stack([a[0] for a in kept])
        assert abs(attentions.sum(axis=-1) - 1).max() < 1e-12
        names.append(f"{file.parent.name}/{file.name}")
        logits.append(answer[0].numpy())
        last.append(attentions[-1][:, 0])
        maps.append(variant(attentions, "mean", 0.0, 0, "row"))
        if names[-1] == DOG:
            dog, dog_logits = attentions, logits[-1]
    (out / "names.txt").write_text("".join(n + "\n" for n in names))
    save(out, "logits.npy", logits)
    save(out, "attention.npy", last)
    save(out, "rollout.npy", maps)
    save(out, "dog_attention5.npy", dog[5][:, 0])
    save(out, "dog_rollout.npy", [variant(dog, *v) for v in VARIANTS])
    (out / "dog_rollout.txt").write_text("".join("%s %g %d %s\n" % v for v in VARIANTS))
    bicycle = dog_logits[444]
    assert abs(dog_logits[249] - 7.70569) < 1e-5 and abs(bicycle - 6.74987) < 1e-5
    versions = ", ".join(f"{m.__name__} {m.__version__}"
                         for m in (timm, torch, torchvision, PIL, np))
    steps = ", ".join(str(t) for t in whole.transforms[:2])
    margin = min(discard_margin(dog, how, ratio) for how, ratio, _, _ in VARIANTS if ratio)
    (out / "README.md").write_text(README.format(
        versions=versions, transform=steps, n=len(names), k=len(VARIANTS), margin=margin,
        malamute=dog_logits[249], bicycle=bicycle))
    for name, row in zip(names, logits):
        top = np.argsort(-row)[:2]
        print("%-24s %4d %9.5f  %4d %9.5f" % (name, top[0], row[top[0]], top[1], row[top[1]]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
