#!/usr/bin/env python3
"""Writes test/golden/sizes: models at other sizes than their own, and resampled position embeddings.

    python tools/golden/make_sizes.py [../shared/data]

The models are those of test/golden/models (make_models.py); what is expected comes from their own
library in float64: timm's set_input_size, transformers' interpolate_pos_encoding=True. With a data
folder the real DeiT-tiny on photos as well. README.md there says what is written.
"""
import os
os.environ["TIMM_FUSED_ATTN"] = "0"

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import open_clip
import PIL
import safetensors.torch
import scipy
import scipy.ndimage
import timm
import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from reference import register_softmax64, timm_attentions
from timm.data import create_transform, resolve_data_config
from timm.layers import resample_abs_pos_embed
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

warnings.filterwarnings("ignore")
GOLDEN = Path(__file__).resolve().parents[2] / "test" / "golden"
OUT = GOLDEN / "sizes"

# model, height, width, class whose logit's gradient is taken
CASES = [
    ("vit-timm", 48, 48, 2), ("vit-timm", 24, 48, 5), ("vit-timm-layerscale", 28, 12, 1),
    ("vit-timm-oblong", 40, 24, 3), ("vit-timm-avg", 32, 20, 0), ("deit-timm", 16, 28, 4),
    ("dinov3-timm", 24, 16, 2), ("eva02-timm", 12, 32, 1), ("pe-timm-spatial", 20, 28, 3), ("rope-timm-mixed", 8, 20, 4),
    ("beit-timm", 20, 24, 2), ("beit-timm", 12, 8, 1), ("vit-timm-relpos", 20, 24, 3), ("beit-hf", 20, 28, 4),
    ("vit-hf", 28, 28, 6), ("vit-hf", 16, 32, 2), ("deit-hf", 24, 16, 3), ("vit-hf-half", 32, 32, 1),
]
PHOTOS = ["images/dog.jpg", "images/cheetah.jpg", "images/chelsea.png"]
PHOTO_SIZES = [(384, 384), (224, 320)]
# from, to
GRIDS = [((5, 5), (7, 7)), ((5, 5), (3, 8)), ((14, 14), (24, 24)), ((14, 14), (14, 20)),
         ((14, 14), (9, 16)), ((37, 37), (16, 16)), ((7, 3), (4, 11)), ((5, 5), (1, 1)), ((1, 1), (4, 3))]


def save(name, array):
    path = OUT / (name + ".npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ascontiguousarray(np.asarray(array), dtype="<f4"))


# ---------------------------------------------------------------- positions

def interpolate(grid, size=None, scale=None, **how):
    x = torch.from_numpy(grid).permute(2, 0, 1)[None]
    x = F.interpolate(x, size=size, scale_factor=scale, **how)
    return x[0].permute(1, 2, 0).numpy()


def by_timm(grid, to, **how):
    x = torch.from_numpy(grid).reshape(1, -1, grid.shape[2])
    x = resample_abs_pos_embed(x, new_size=to, old_size=grid.shape[:2], num_prefix_tokens=0, **how)
    return x.reshape(*to, -1).numpy()


def by_hf(grid, to):
    """ViTEmbeddings, which knows square grids only; its call for the others."""
    if grid.shape[0] != grid.shape[1]:
        return interpolate(grid, to, mode="bicubic", align_corners=False)
    config = transformers.ViTConfig(hidden_size=grid.shape[2], image_size=grid.shape[0], patch_size=1)
    layer = transformers.models.vit.modeling_vit.ViTEmbeddings(config)
    rows = torch.cat([torch.zeros(1, grid.shape[2]), torch.from_numpy(grid).reshape(-1, grid.shape[2])])
    layer.position_embeddings.data = rows[None]
    tokens = torch.zeros(1, 1 + to[0] * to[1], grid.shape[2])
    with torch.no_grad():
        return layer.interpolate_pos_encoding(tokens, *to)[0, 1:].reshape(*to, -1).numpy()


def by_open_clip(grid, to):
    """resize_pos_embed() makes square grids of square ones; its call for the others."""
    if grid.shape[0] != grid.shape[1] or grid.shape[0] == 1:
        return interpolate(grid, to, mode="bicubic", antialias=True, align_corners=False)

    class Model:
        class visual:
            grid_size = to

            class positional_embedding:
                shape = ()
    state = {"visual.positional_embedding":
             torch.cat([torch.zeros(1, grid.shape[2]), torch.from_numpy(grid).reshape(-1, grid.shape[2])])}
    open_clip.model.resize_pos_embed(state, Model)
    return state["visual.positional_embedding"][1:].reshape(*to, -1).numpy()


def by_dinov2(grid, to):
    """dinov2/models/vision_transformer.py @ b8931f7, interpolate_pos_encoding, interpolate_offset 0.1."""
    scale = tuple(float(n + 0.1) / m for n, m in zip(to, grid.shape))
    out = interpolate(grid, scale=scale, mode="bicubic", antialias=False)
    assert out.shape[:2] == tuple(to)
    return out


def by_naflex(grid, to):
    """What Siglip2VisionEmbeddings, which knows square grids only, says it equals, and does but for rounding."""
    out = interpolate(grid, to, mode="bilinear", align_corners=False, antialias=True)
    if grid.shape[0] == grid.shape[1]:
        layer = transformers.models.siglip2.modeling_siglip2.Siglip2VisionEmbeddings
        own = layer.resize_positional_embeddings(torch.from_numpy(grid), torch.tensor([to]), to[0] * to[1])
        assert np.abs(own[0].reshape(*to, -1).numpy() - out).max() < 1e-5
    return out


def by_jax(grid, to):
    """big_vision/models/vit.py, resample_posemb; each side by its own factor."""
    return scipy.ndimage.zoom(grid, (to[0] / grid.shape[0], to[1] / grid.shape[1], 1), order=1)


def positions():
    rng = np.random.default_rng(37)
    rules = {
        "timm": by_timm,
        "timm-npz": lambda g, to: by_timm(g, to, interpolation="bilinear", antialias=False),
        "hf": by_hf,
        "hf-naflex": by_naflex,
        "open_clip": by_open_clip,
        "dinov2": by_dinov2,
        "jax": by_jax,
    }
    lines = []
    for i, (old, to) in enumerate(GRIDS):
        grid = rng.normal(0, 0.6, (*old, 2)).astype(np.float32)
        save(f"positions/{i}", grid)
        for name, rule in rules.items():
            made = rule(grid, to)
            assert made.dtype == np.float32 and made.shape == (*to, 2)
            save(f"positions/{i}.{name}", made)
        lines.append("%d %d %d %d %d\n" % (i, *old, *to))
    (OUT / "positions" / "grids.txt").write_text("".join(lines))


# ---------------------------------------------------------------- models

def keep(name, x, logits, attention, k):
    gradient, = torch.autograd.grad(logits[0, k], x)
    save(f"{name}/input", x.detach())
    save(f"{name}/logits", logits.detach())
    save(f"{name}/attention", attention)
    save(f"{name}/gradient", gradient)


def timm_model(folder):
    config = json.loads((folder / "config.json").read_text())
    args = dict(config.get("model_args", {}))
    if folder.name == "deit-timm":  # what make_models.py left to the architecture's name
        args = dict(dict(embed_dim=24, depth=2, num_heads=3, mlp_ratio=40 / 24), **args)
    model = timm.create_model(config["architecture"], pretrained=False, **dict({"num_classes": config["num_classes"]}, **args))
    model.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
    return model.float().double().eval(), config["pretrained_cfg"]


def run_timm(name, folder, image, size, k):
    model, cfg = timm_model(folder)
    model.set_input_size(img_size=size)
    transform = create_transform(**resolve_data_config({"input_size": (3, *size)}, pretrained_cfg=cfg), is_training=False)
    x = transform(image)[None].double().requires_grad_()
    logits, kept = timm_attentions(model, lambda: model(x))
    keep(name, x, logits, kept[-1], k)


def attention_of(layer):
    """The module that returns probabilities."""
    return getattr(layer.attention, "attention", layer.attention)


def run_hf(name, folder, image, size, k):
    """The crop is the size, and what is resized to grows with it, rounded down."""
    kind = folder.name.split("-")[0]
    of, transform = {"deit": (transformers.DeiTForImageClassification, DeiTImageProcessorPil),
                     "vit": (transformers.ViTForImageClassification, ViTImageProcessorPil),
                     "beit": (transformers.BeitForImageClassification, BeitImageProcessorPil)}[kind]
    model = of.from_pretrained(folder)
    model.config._attn_implementation = "softmax64"
    model = model.float().double().eval()
    processor = transform.from_pretrained(folder)
    own = processor.crop_size if processor.do_center_crop else processor.size
    h, w = size
    new = {k: int(v) * (h if k != "width" else w) // (own["height"] if k != "width" else own["width"])
           for k, v in dict(processor.size).items() if v is not None}
    pixels = processor(image, size=new, **({"crop_size": {"height": h, "width": w}} if processor.do_center_crop else {}),
                       return_tensors="pt")["pixel_values"]
    assert tuple(pixels.shape[2:]) == size
    x = pixels.double().requires_grad_()
    kept = []
    tower = next(getattr(model, name) for name in ("deit", "vit", "beit") if hasattr(model, name))
    layers = tower.layers if hasattr(tower, "layers") else tower.encoder.layer
    hook = attention_of(layers[-1]).register_forward_hook(lambda m, a, o: kept.append(o[1].detach()))
    logits = model(x, interpolate_pos_encoding=True).logits
    hook.remove()
    keep(name, x, logits, kept[0], k)


def models():
    image = Image.open(GOLDEN / "models" / "picture.png").convert("RGB")
    lines = []
    for model, h, w, k in CASES:
        name = f"{model}-{h}x{w}"
        (run_hf if "-hf" in model else run_timm)(name, GOLDEN / "models" / model, image, (h, w), k)
        lines.append(f"{model} {h} {w} {k}\n")
    (OUT / "cases.txt").write_text("".join(lines))


# ---------------------------------------------------------------- photos

def photos(data):
    folder = data / "models" / "deit_tiny_patch16_224"
    config = json.loads((folder / "config.json").read_text())
    for size in PHOTO_SIZES:
        model = timm.create_model(config["architecture"], pretrained=False, num_classes=config["num_classes"])
        model.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
        model = model.double().eval()
        model.set_input_size(img_size=size)
        transform = create_transform(**resolve_data_config({"input_size": (3, *size)}, pretrained_cfg=config["pretrained_cfg"]),
                                     is_training=False)
        with torch.no_grad():
            x = torch.stack([transform(Image.open(data / p).convert("RGB")) for p in PHOTOS]).double()
            save("deit_tiny-%dx%d" % size, model(x))
    (OUT / "photos.txt").write_text("".join(p + "\n" for p in PHOTOS))


def main():
    torch.set_num_threads(1)
    register_softmax64()
    positions()
    models()
    if len(sys.argv) > 1:
        photos(Path(sys.argv[1]))
    versions = [f"{m.__name__} {m.__version__}" for m in (torch, timm, transformers, open_clip, scipy, PIL, np)]
    (OUT / "versions.txt").write_text("\n".join(versions) + "\n")


main()
