#!/usr/bin/env python3
"""vitx-cli against timm or transformers in float64, on any model folder and any pictures.

    python tools/golden/compare.py build/vitx-cli MODEL_FOLDER PICTURE... [--fit squash]

MODEL_FOLDER is in timm's layout (config.json with "architecture") or in Hugging Face's ("model_type",
with preprocessor_config.json), as users load it: timm.create_model("local-dir:...") with
timm.data.create_transform, or AutoModelForImageClassification with AutoImageProcessor. One line a picture:

    picture, top class of both (must agree), and three largest differences: logits over the largest
    logit, attention of the last block (head mean) and rollout over their map's maximum

Maps are the row of the token that the head reads (the mean over the patch rows where it reads their
mean) without the prefix columns. Exits 1 when a difference is above --tolerance (1e-4), or a number
of vitx-cli is missing. Pixels are float32, all else float64. Pictures are turned upright first, as
vitx does it; neither library does so by itself. Hugging Face's pictures go through its Pillow
backend: the torchvision backend rounds differently when it resizes (see --backend).
"""
import os
os.environ["TIMM_FUSED_ATTN"] = "0"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from reference import query_row, rollout_matrix, timm_attentions


class Timm:
    """A folder that timm.create_model("local-dir:...") loads."""

    def __init__(self, folder, squash):
        import timm
        import timm.data
        from timm.data.transforms import str_to_interp_mode
        from torchvision import transforms
        self.model = timm.create_model(f"local-dir:{folder}", pretrained=True).double().eval()
        config = timm.data.resolve_model_data_config(self.model)
        if squash:
            self.transform = transforms.Compose([
                transforms.Resize(config["input_size"][1:],
                                  interpolation=str_to_interp_mode(config["interpolation"])),
                transforms.ToTensor(), transforms.Normalize(config["mean"], config["std"])])
        else:
            self.transform = timm.data.create_transform(**config, is_training=False)
        self.grid = self.model.patch_embed.grid_size
        self.prefix = self.model.num_prefix_tokens
        self.query = 0 if self.model.global_pool == "token" else -1

    def run(self, picture):
        pixels = self.transform(picture)[None].double()
        logits, kept = timm_attentions(self.model, lambda: self.model(pixels))
        return logits[0].numpy(), np.stack([a[0] for a in kept])


class HuggingFace:
    """A folder that transformers loads."""

    def __init__(self, folder, squash, backend):
        from transformers import AutoImageProcessor, AutoModelForImageClassification
        from transformers.utils import logging
        logging.disable_progress_bar()
        keep_softmax_in_float64()
        self.model = AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch.float64, attn_implementation="eager").eval()
        self.processor = AutoImageProcessor.from_pretrained(folder, backend=backend)
        size, patch = (pair(getattr(self.model.config, key)) for key in ("image_size", "patch_size"))
        self.grid = (size[0] // patch[0], size[1] // patch[1])
        self.query, self.prefix = 0, None  # the prefix is told by the first attention
        self.options = {}
        if squash:
            self.options = dict(size={"height": size[0], "width": size[1]}, do_resize=True,
                                do_center_crop=False)

    def run(self, picture):
        pixels = self.processor(images=picture, return_tensors="pt", **self.options)["pixel_values"]
        out = self.model(pixels.double(), output_attentions=True)
        attentions = np.stack([a[0].numpy() for a in out.attentions])
        self.prefix = attentions.shape[-1] - self.grid[0] * self.grid[1]
        return out.logits[0].numpy(), attentions


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def keep_softmax_in_float64():
    """transformers' eager attention asks softmax for float32 whatever the model's type is."""
    functional = torch.nn.functional
    plain = functional.softmax

    def softmax(x, dim=None, _stacklevel=3, dtype=None):
        return plain(x, dim=dim, dtype=None if x.dtype == torch.float64 else dtype)

    functional.softmax = softmax


def load(folder, squash, backend):
    config = json.loads((folder / "config.json").read_text())
    if "model_type" in config:
        return HuggingFace(folder, squash, backend)
    return Timm(folder, squash)


def vitx(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError("%s gave %d: %s" % (" ".join(command), done.returncode,
                                               done.stderr.strip()))
    return done.stdout


def vitx_answer(cli, common, picture, classes):
    """Logits [K], attention and rollout as vitx-cli gives them."""
    line = json.loads(vitx([cli, "classify", *common, "--json", "--top", "all", str(picture)]))
    logits = np.full(classes, np.nan)
    for prediction in line["predictions"]:
        logits[prediction["index"]] = prediction["logit"]
    with tempfile.TemporaryDirectory() as folder:
        maps = []
        for method in ("attention", "rollout"):
            out = os.path.join(folder, method + ".npy")
            vitx([cli, "explain", *common, "--method", method, "-o", out, str(picture)])
            maps.append(np.load(out).astype(np.float64))
    return logits, line["predictions"][0]["index"], *maps


def difference(found, expected):
    """Largest |found - expected| over the largest |expected|; infinite for a wrong shape or a NaN."""
    if found.shape != expected.shape:
        return float("inf")
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    return worst if worst == worst else float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cli")
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--fit", choices=("recipe", "squash"), default="recipe")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--backend", choices=("pil", "torchvision"), default="pil",
                        help="of Hugging Face's image processor (default: pil)")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    reference = load(args.model, args.fit == "squash", args.backend)
    common = ["-m", str(args.model), "--fit", args.fit]
    failures = 0
    for file in args.pictures:
        picture = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        logits, attentions = reference.run(picture)
        rows = (attentions[-1].mean(axis=0), rollout_matrix(attentions))
        expected = [logits] + [query_row(m, reference.query, reference.prefix)
                               .reshape(reference.grid) for m in rows]
        try:
            found, top, attention, rollout = vitx_answer(args.cli, common, file, logits.size)
        except (RuntimeError, ValueError, OSError) as error:
            print(f"{file}: {error}")
            failures += 1
            continue
        errors = [difference(f, e) for f, e in zip((found, attention, rollout), expected)]
        ok = max(errors) <= args.tolerance and top == int(logits.argmax())
        failures += not ok
        print("%-24s %s  top %d %d  logits %.1e  attention %.1e  rollout %.1e"
              % (file.name, "ok " if ok else "BAD", top, logits.argmax(), *errors), flush=True)
    print(f"{args.model}: {len(args.pictures)} pictures, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
