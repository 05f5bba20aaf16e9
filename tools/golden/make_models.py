#!/usr/bin/env python3
"""Writes test/golden/models: tiny random models with what their own library answers in float64.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers pillow numpy
    venv/bin/python tools/golden/make_models.py [MODEL...]

Without names all models are made anew, with names those alone (and versions.txt stays as it is).
Every model is made and saved by its library (timm's save_for_hf, transformers' save_pretrained),
with weights that are random but large enough for every tensor to matter. The expected values come
from the library's own code run in double on the weights as they stand in the file, that is, after
rounding to the file's dtype. The picture goes through the library's own transform (Hugging Face:
the Pillow processors). README.md there names the files; versions.txt what made them.
"""
import json
import math
import os
import shutil
import sys

import numpy as np
import PIL
import timm
import torch
import transformers
from PIL import Image
from reference import register_softmax64
from timm.data import create_transform, resolve_data_config
from timm.models._hub import save_for_hf
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "models")
NAMES = ["tench", "goldfish", "great white shark", "tiger shark", "hammerhead", "stingray", "hen"]


def picture(path):
    """61 wide, 47 high: smooth colours, an edge and some noise, so that every filter shows."""
    rng = np.random.default_rng(61)
    y, x = np.mgrid[0:47, 0:61].astype(np.float64)
    rgb = np.stack([127 + 120 * np.sin(x / 7 + y / 11), 4 * x + y * 0.2, 5.2 * y + 0 * x], -1)
    rgb[12:30, 20:41] = 255 - rgb[12:30, 20:41]
    rgb += rng.normal(0, 12, rgb.shape)
    image = Image.fromarray(np.clip(np.rint(rgb), 0, 255).astype(np.uint8))
    image.save(path, optimize=True)
    return image


def randomise(model, seed, dtype):
    """Matrices keep the scale of their input (attention somewhat sharper), vectors are all alive;
    then everything is rounded to what the file will hold."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            r = torch.randn(p.shape, generator=g)
            leaf = name.rsplit(".", 2)[-2] if "." in name else name
            if p.dim() in (2, 4):
                sharp = 1.5 if any(s in name for s in ("qkv", "query", "key", "q_proj", "k_proj", "head", "classifier")) else 1.0
                p.copy_(r * sharp / math.sqrt(p[0].numel()))
            elif "norm" in leaf and name.endswith("weight"):
                p.copy_(1 + 0.3 * r)
            elif "gamma" in name:
                p.copy_(0.5 + 0.2 * r)
            elif "token" in name or "pos" in name:
                p.copy_(0.6 * r)
            else:
                p.copy_(0.2 * r)
            p.copy_(p.to(dtype).float())


def save(folder, name, array):
    np.save(os.path.join(folder, name + ".npy"), np.ascontiguousarray(array.detach().numpy().astype(np.float32)))


def expected(folder, model, x, blocks, attentions, run):
    """Runs in double with hooks that keep each block's output and attention probabilities."""
    model = model.double().eval()
    kept = {}

    def keep(key, pick):
        return lambda module, args, out: kept.__setitem__(key, pick(out))

    for i, module in enumerate(blocks):
        module.register_forward_hook(keep(f"block_{i}", lambda o: o[0] if isinstance(o, tuple) else o))
    for i, (module, pick) in enumerate(attentions):
        module.register_forward_hook(keep(f"attention_{i}", pick))
    with torch.no_grad():
        logits = run(model, x.double())
    assert len(kept) == len(blocks) + len(attentions) and torch.isfinite(logits).all()
    spread = (logits.max(-1).values - logits.min(-1).values).min()
    assert spread > 0.5, f"{folder}: logits hardly differ ({spread})"
    save(folder, "input", x)
    save(folder, "logits", logits)
    for name, array in kept.items():
        save(folder, name, array)


def wanted(name):
    return len(sys.argv) == 1 or name in sys.argv[1:]


def fresh(name):
    folder = os.path.join(OUT, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def batch(first, n, seed):
    """The picture's tensor and, after it, n-1 random ones of the same shape."""
    g = torch.Generator().manual_seed(seed)
    return torch.cat([first[None]] + [torch.randn((1,) + tuple(first.shape), generator=g) for _ in range(n - 1)])


def make_timm(name, image, architecture, seed, dtype=torch.float32, n=1, labels=None, data={}, drop_args=(), **args):
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(dict(embed_dim=24, depth=2, num_heads=3, mlp_ratio=40 / 24, img_size=20, patch_size=4, num_classes=7), **args)
    model = timm.create_model(architecture, pretrained=False, **args)
    randomise(model, seed, dtype)
    model.pretrained_cfg = dict(model.pretrained_cfg, **data)
    save_for_hf(model.to(dtype), folder, safe_serialization=True, model_config=labels, data_config=data or None)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    for key in drop_args:  # what configurations on the hub leave to the architecture's name
        config["model_args"].pop(key, None)
    json.dump(config, open(path, "w"), indent=2)
    model = model.float()
    cfg = resolve_data_config(pretrained_cfg=config["pretrained_cfg"])
    x = batch(create_transform(**cfg, is_training=False)(image), n, seed + 1)
    for block in model.blocks:
        block.attn.fused_attn = False
    expected(folder, model, x, list(model.blocks), [(b.attn.attn_drop, lambda o: o) for b in model.blocks],
             lambda m, t: m(t))


def make_hf(name, image, kind, seed, dtype=torch.float32, n=1, labels=None, processor={}, shard=None, **args):
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=20,
                     patch_size=4), **args)
    if labels:
        args.update(id2label=dict(enumerate(labels)), label2id={v: k for k, v in enumerate(labels)})
    else:
        args.update(num_labels=7)
    config_class, model_class, processor_class = {
        "vit": (transformers.ViTConfig, transformers.ViTForImageClassification, ViTImageProcessorPil),
        "vit-bare": (transformers.ViTConfig, transformers.ViTModel, ViTImageProcessorPil),
        "deit-bare": (transformers.DeiTConfig, transformers.DeiTModel, DeiTImageProcessorPil),
        "deit": (transformers.DeiTConfig, transformers.DeiTForImageClassification, DeiTImageProcessorPil)}[kind]
    model = model_class(config_class(**args))
    randomise(model, seed, dtype)
    model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    transform = processor_class(**processor)
    transform.save_pretrained(folder)
    model = model.float()
    model.config._attn_implementation = "softmax64"
    pixels = transform(image, return_tensors="pt")["pixel_values"][0]
    x = batch(pixels, n, seed + 1)
    bare = kind.endswith("-bare")
    layers = list((model if bare else getattr(model, kind)).layers)
    expected(folder, model, x, layers, [(layer.attention, lambda o: o[1]) for layer in layers],
             lambda m, t: m(t).last_hidden_state[:, 0] if bare else m(t).logits)


def main():
    os.makedirs(OUT, exist_ok=True)
    register_softmax64()
    image = picture(os.path.join(OUT, "picture.png"))
    size20 = dict(size={"height": 20, "width": 20})
    labels = {"label_names": ["n%08d" % i for i in range(7)],
              "label_descriptions": {"n%08d" % i: t for i, t in enumerate(NAMES)}}
    make_timm("vit-timm", image, "vit_tiny_patch16_224", 1, n=2, depth=3, img_size=40, patch_size=8, labels=labels)
    make_hf("vit-hf", image, "vit", 2, labels=NAMES, processor=size20)
    make_timm("deit-timm", image, "deit_tiny_patch16_224", 3, torch.float16,
              drop_args=("num_heads", "embed_dim", "depth", "mlp_ratio", "global_pool"))
    make_hf("deit-hf", image, "deit", 4, torch.bfloat16, labels=NAMES, hidden_act="gelu_new",
            processor=dict(size={"height": 25, "width": 25}, crop_size={"height": 20, "width": 20}))
    make_timm("vit-timm-avg", image, "vit_tiny_patch16_224", 5, torch.float16, global_pool="avg", act_layer="gelu_tanh",
              data=dict(crop_mode="squash", interpolation="bilinear"))
    make_timm("vit-timm-avg-norm", image, "vit_tiny_patch16_224", 6, torch.bfloat16, global_pool="avg", fc_norm=False)
    make_timm("vit-timm-no-class-token", image, "vit_tiny_patch16_224", 7, torch.bfloat16, global_pool="avg",
              class_token=False, qkv_bias=False, act_layer="relu", num_heads=2)
    make_timm("vit-timm-layerscale", image, "vit_tiny_patch16_224", 8, torch.float16, init_values=0.1, pre_norm=True,
              no_embed_class=True, act_layer="quick_gelu")
    make_timm("vit-timm-oblong", image, "vit_tiny_patch16_224", 9, torch.bfloat16, img_size=(24, 40), patch_size=(8, 4),
              data=dict(input_size=(3, 24, 40)))
    make_hf("vit-hf-sharded", image, "vit", 10, hidden_act="relu", qkv_bias=False, image_size=(24, 40), patch_size=8, num_hidden_layers=3,
            processor=dict(size={"height": 24, "width": 40}), shard="20KB")
    make_hf("vit-hf-half", image, "vit", 11, torch.float16, hidden_act="quick_gelu", layer_norm_eps=1e-5,
            processor=dict(size={"shortest_edge": 23}, do_center_crop=True, crop_size={"height": 20, "width": 20}, resample=3))
    make_hf("vit-hf-margin", image, "vit", 12, image_size=23, patch_size=5, processor=dict(size={"height": 23, "width": 23}))
    make_timm("vit-timm-3x3", image, "vit_tiny_patch16_224", 13, torch.float16, img_size=12)
    make_timm("vit-timm-2x2-avg", image, "vit_tiny_patch16_224", 14, torch.float16, img_size=8, global_pool="avg")
    make_timm("vit-timm-bare", image, "vit_tiny_patch16_224", 20, torch.float16, num_classes=0, global_pool="avg")
    make_hf("vit-hf-bare", image, "vit-bare", 21, torch.float16, processor=size20)
    make_hf("deit-hf-bare", image, "deit-bare", 22, torch.float16,
            processor=dict(size={"height": 25, "width": 25}, crop_size={"height": 20, "width": 20}))
    for folder, _, files in os.walk(OUT):  # the safetensors writer makes private files
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
    if len(sys.argv) > 1:
        return
    with open(os.path.join(OUT, "versions.txt"), "w") as f:
        for module in (torch, timm, transformers, PIL, np):
            f.write(f"{module.__name__} {module.__version__}\n")


if __name__ == "__main__":
    main()
