#!/usr/bin/env python3
"""Writes what train.py learned as a timm model in half precision, and measures it.

    venv/bin/python tools/train/export.py run weights/scenes

model.safetensors and config.json as timm writes them, labels.zh.txt, and accuracy.json: the weights
as they stand in the file, in float32, on 224-pixel scenes of a seed that training never saw.
"""
import argparse
import json
import os

import safetensors.torch
import timm
import torch
from train import MODEL, SIZE, classes, fixed

SEED = 2000001
ARCHITECTURE = "vit_tiny_patch16_224"
ARGS = {k: v for k, v in MODEL.items() if k != "patch_size"}


def config(names):
    half = [0.5, 0.5, 0.5]
    return dict(
        architecture=ARCHITECTURE, num_classes=len(names), num_features=MODEL["embed_dim"],
        global_pool="token", label_names=names, model_args=ARGS,
        pretrained_cfg=dict(
            tag="scenes", input_size=[3, SIZE, SIZE], fixed_input_size=True, interpolation="bicubic",
            crop_pct=1.0, crop_mode="center", mean=half, std=half, num_classes=len(names),
            pool_size=None, first_conv="patch_embed.proj", classifier="head"))


@torch.no_grad()
def rank(model, pixels):
    """Classes, the likeliest first."""
    out = [model((p.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5) for p in pixels.split(50)]
    return torch.cat(out).argsort(1, descending=True)


def present(owner, k):
    """The k classes of every scene."""
    return torch.stack([torch.unique(o[o > 0]).long() - 1 for o in owner])


def report(model, scenes, names, count):
    out = dict(seeds=[SEED + k for k in (1, 2, 3)], scenes=count, size=SIZE, smallest=0.3, largest=0.75)
    for k, key in (1, "one_object_top1"), (2, "two_objects_top2"), (3, "three_objects_top3"):
        pixels, owner = fixed(scenes, SEED + k, count, SIZE, k, 0.3, 0.75)
        truth, answer = present(owner, k), rank(model, pixels)[:, :k]
        out[key] = (truth == answer.sort(1).values).all(1).float().mean().item()
        if k == 1:
            table = torch.zeros(len(names), len(names), dtype=torch.long)
            table.index_put_((truth[:, 0], answer[:, 0]), torch.ones(count, dtype=torch.long), True)
    rows = table.sum(1)
    out["classes"] = {n: dict(scenes=int(rows[i]), top1=int(table[i, i]) / max(1, int(rows[i])))
                      for i, n in enumerate(names)}
    out["confusion"] = table.tolist()  # row: the object; column: the answer
    return out


def text(value, indent=""):
    """JSON with a line for every member and for every row of a table."""
    if isinstance(value, dict):
        rows = [f'{indent}  {json.dumps(k)}: {text(v, indent + "  ")}' for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}" if indent in ("", "  ") else json.dumps(value)
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"{indent}  {json.dumps(row)}" for row in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("run", help="folder of train.py")
    p.add_argument("out")
    p.add_argument("--scenes", default="build/vitx-scenes", help="the generator")
    p.add_argument("--count", type=int, default=2800, help="scenes of one, two and three objects")
    args = p.parse_args()

    table = classes(args.scenes)
    names = [row[1] for row in table]
    weights = torch.load(os.path.join(args.run, "last.pt"), weights_only=True)["ema"]
    weights = {k: v.half().contiguous() for k, v in weights.items() if not k.startswith("patch_head")}
    model = timm.create_model(ARCHITECTURE, num_classes=len(names), **ARGS).eval()
    model.load_state_dict({k: v.float() for k, v in weights.items()})

    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, "model.safetensors")
    safetensors.torch.save_file(weights, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)  # the writer makes private files
    files = {"config.json": text(config(names)), "labels.zh.txt": "\n".join(r[2] for r in table),
             "accuracy.json": text(report(model, args.scenes, names, args.count))}
    for name, content in files.items():
        with open(os.path.join(args.out, name), "w", encoding="utf-8") as file:
            file.write(content + "\n")


if __name__ == "__main__":
    main()
