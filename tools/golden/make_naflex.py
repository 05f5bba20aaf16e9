#!/usr/bin/env python3
"""Writes test/golden/naflex: tiny models of SigLIP 2 NaFlex, which take pictures of any shape.

    venv/bin/python tools/golden/make_naflex.py

As make_towers.py, by transformers in float64. cases.txt: model, the part of models/picture.png that is
the picture (x, y, width, height), the largest number of patches, the grid it becomes. What is expected is
in MODEL-CASE/: input.npy [1,3,H,W], answer.npy [1,K], attention_N.npy [1,H,T,T], of a pooling head attention_pool.npy [1,H,1,T],
and gradient.npy [1,3,H,W] of sum_k cos(k) answer_k. All that is without padding; the answer to the processor's padded patches with their
mask has to be the same.
"""
import os

import numpy as np
import torch
import transformers
from make_models import NAMES, OUT, randomise
from make_towers import TINY, record_mha
from PIL import Image
from reference import register_softmax64
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

HERE = os.path.join(os.path.dirname(OUT), "naflex")
P = 4
PARTS = [(0, 0, 40, 30, 25), (3, 2, 12, 34, 25), (0, 0, 33, 9, 25), (5, 5, 20, 20, 25), (1, 0, 37, 23, 49), (4, 4, 6, 5, 9)]


def save(folder, name, array):
    np.save(os.path.join(folder, name + ".npy"), np.ascontiguousarray(array.detach().double().numpy().astype(np.float32)))


def make(name, known, seed, dtype):
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    vision = dict(TINY, num_patches=25, patch_size=P)
    text = dict(TINY, vocab_size=20, max_position_embeddings=8)
    if known:
        labels = dict(id2label=dict(enumerate(NAMES)), label2id={v: k for k, v in enumerate(NAMES)})
        model = transformers.Siglip2ForImageClassification(transformers.Siglip2Config(text_config=text, vision_config=vision, **labels))
    else:
        model = transformers.Siglip2Model(transformers.Siglip2Config(text_config=text, vision_config=vision))
    randomise(model, seed, dtype)
    model.to(dtype).save_pretrained(folder)
    processor = Siglip2ImageProcessorPil(patch_size=P, max_num_patches=25)
    processor.save_pretrained(folder)
    model = model.float().double().eval()
    return model, processor


def attend(model, how):
    for config in (model.config, model.config.vision_config, model.vision_model.config):
        config._attn_implementation = how


def patches_of(x):
    """[1,3,H,W] -> [1,N,P*P*3] and the grid."""
    h, w = x.shape[2] // P, x.shape[3] // P
    return x.reshape(1, 3, h, P, w, P).permute(0, 2, 4, 3, 5, 1).reshape(1, h * w, -1), (h, w)


def pixels_of(patches, grid):
    h, w = grid
    return patches.reshape(1, h, w, P, P, 3).permute(0, 5, 1, 3, 2, 4).reshape(1, 3, h * P, w * P)


def answer_of(model, known, patches, mask, grid):
    args = dict(pixel_values=patches, pixel_attention_mask=mask, spatial_shapes=torch.tensor([grid]))
    if known:
        return model(**args).logits
    return model.vision_model(patches, pixel_attention_mask=mask, spatial_shapes=args["spatial_shapes"]).pooler_output


def case(folder, model, processor, known, image, most):
    made = processor(image, max_num_patches=most, return_tensors="pt")
    grid = tuple(made["spatial_shapes"][0].tolist())
    n = grid[0] * grid[1]
    attend(model, "eager")  # which knows the mask; its softmax runs in float32
    padded = answer_of(model, known, made["pixel_values"].double(), made["pixel_attention_mask"], grid)
    x = pixels_of(made["pixel_values"][:, :n], grid)
    attend(model, "softmax64")
    kept, hooks = {}, []
    for i, layer in enumerate(model.vision_model.encoder.layers):
        hooks.append(layer.self_attn.register_forward_hook(lambda m, a, o, i=i: kept.__setitem__(f"attention_{i}", o[1])))
    if not known:
        pool = record_mha(model.vision_model.head.attention)
        hooks.append(pool.register_forward_hook(lambda m, a, o: kept.__setitem__("attention_pool", o)))
    leaf = x.double().requires_grad_()
    patches, again = patches_of(leaf)
    assert again == grid
    answer = answer_of(model, known, patches, torch.ones(1, n, dtype=torch.int32), grid)
    (answer * torch.cos(torch.arange(answer.shape[1], dtype=torch.float64))).sum().backward()
    for hook in hooks:
        hook.remove()
    error = (answer - padded).abs().max().item() / padded.abs().max().item()
    assert error < 1e-5, error
    os.makedirs(folder, exist_ok=True)
    save(folder, "input", x)
    save(folder, "answer", answer)
    save(folder, "gradient", leaf.grad)
    for key, value in kept.items():
        save(folder, key, value)
    return grid


def main():
    register_softmax64()
    torch.set_num_threads(1)
    picture = Image.open(os.path.join(OUT, "picture.png")).convert("RGB")
    lines = []
    for name, known, seed in (("siglip2-hf", False, 60), ("siglip2-hf-class", True, 61)):
        model, processor = make(name, known, seed, torch.float16)
        for i, (x, y, w, h, most) in enumerate(PARTS):
            image = picture.crop((x, y, x + w, y + h))
            grid = case(os.path.join(HERE, f"{name}-{i}"), model, processor, known, image, most)
            lines.append(f"{name} {x} {y} {w} {h} {most} {grid[0]} {grid[1]}")
            print(lines[-1])
    with open(os.path.join(HERE, "cases.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    for folder, _, files in os.walk(HERE):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)


main()
