#!/usr/bin/env python3
"""Writes test/golden/models: tiny random models with what their own library answers in float64.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers peft pillow numpy
    venv/bin/python tools/golden/make_models.py [MODEL...]

Without names all models are made anew, with names those alone (and versions.txt stays as it is).
Every model is made and saved by its library (timm's save_for_hf, transformers' save_pretrained),
with weights that are random but large enough for every tensor to matter. The expected values come
from the library's own code run in double on the weights as they stand in the file, that is, after
rounding to the file's dtype. The picture goes through the library's own transform (Hugging Face:
the Pillow processors). Google's .npz files are written by NumPy, in the layouts of vision_transformer
and big_vision, and answered by a timm model into which timm's own loader has read the file. README.md there names the files; versions.txt what made them.
"""
import json
import math
import os
import shutil
import sys
import types

import ml_dtypes
import numpy as np
import peft
import PIL
import timm
import torch
import torchvision
import transformers
from PIL import Image
from reference import register_softmax64
from timm.data import create_transform, resolve_data_config
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from torchvision.transforms._presets import ImageClassification
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from timm.models.vision_transformer import VisionTransformer, _load_weights, checkpoint_filter_fn
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
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
            elif "gamma" in name or "lambda1" in name:
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
    leaf = x.double().requires_grad_()
    answer = run(model, leaf)
    (answer * torch.cos(torch.arange(answer.shape[1], dtype=torch.float64))).sum().backward()
    save(folder, "gradient", leaf.grad)


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


TIMM_ARGS = dict(embed_dim=24, depth=2, num_heads=3, mlp_ratio=40 / 24, img_size=20, patch_size=4, num_classes=7)


def build_timm(architecture, seed, dtype, **args):
    model = timm.create_model(architecture, pretrained=False, **args)
    randomise(model, seed, dtype)
    return model


def softmaxes(attention):
    """Of differential attention both of each head: first the first ones, then those that are taken away."""
    if not hasattr(attention, "sub_norm"):
        return lambda o: o
    return lambda o: o.unflatten(1, (attention.num_heads, 2)).transpose(1, 2).flatten(1, 2)


def join_twins(folder, depth):
    """The heads of both attentions of a block, one behind the other."""
    path = lambda i: os.path.join(folder, f"attention_{i}.npy")
    for i in range(depth):
        np.save(path(i), np.concatenate([np.load(path(2 * i)), np.load(path(2 * i + 1))], 1))
    for i in range(depth, 2 * depth):
        os.remove(path(i))


def expected_timm(folder, config, model, image, n, seed):
    model = model.float()
    if getattr(model, "rope", None) is not None:  # its tables were rounded to the file's dtype, and no file holds them
        model.rope.init_non_persistent_buffers()
    cfg = resolve_data_config(pretrained_cfg=config["pretrained_cfg"])
    x = batch(create_transform(**cfg, is_training=False)(image), n, seed + 1)
    attentions = [getattr(block, "attn", block) for block in model.blocks]  # of parallel blocks the block itself
    twins = hasattr(model.blocks[0], "attns")  # two attentions a block
    if twins:
        attentions = [each.attn for block in model.blocks for each in block.attns]
    for attention in attentions:
        attention.fused_attn = False
    expected(folder, model, x, list(model.blocks), [(a.attn_drop, softmaxes(a)) for a in attentions], lambda m, t: m(t))
    if twins:
        join_twins(folder, len(model.blocks))


def make_timm(name, image, architecture, seed, dtype=torch.float32, n=1, labels=None, data={}, drop_args=(), **args):
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(TIMM_ARGS, **args)
    model = build_timm(architecture, seed, dtype, **args)
    model.pretrained_cfg = dict(model.pretrained_cfg, **data)
    save_for_hf(model.to(dtype), folder, safe_serialization=True, model_config=labels, data_config=data or None)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    for key in drop_args:  # what configurations on the hub leave to the architecture's name
        config["model_args"].pop(key, None)
    json.dump(config, open(path, "w"), indent=2)
    expected_timm(folder, config, model, image, n, seed)


def make_wrapped(name, image, architecture, seed, dtype, data, **args):
    """What transformers makes of a timm model. Its files begin their names with "timm_model."; from version 5 on they
    are saved without it, as timm itself does."""
    if not wanted(name):
        return
    folder = fresh(name)
    model = build_timm(architecture, seed, dtype, **dict(TIMM_ARGS, **args))
    save_for_hf(model.to(dtype), folder, safe_serialization=True, model_config={"label_names": NAMES}, data_config=data)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    del config["model_args"]["num_classes"]  # the wrapper gives it
    json.dump(config, open(path, "w"))
    wrapper = transformers.TimmWrapperForImageClassification.from_pretrained(folder, dtype=dtype)
    shutil.rmtree(folder)
    wrapper.save_pretrained(folder)
    state = {"timm_model." + k.removeprefix("timm_model."): v for k, v in wrapper.timm_model.state_dict().items()}
    save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    model, info = transformers.TimmWrapperForImageClassification.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    expected_timm(folder, json.load(open(path)), model.timm_model, image, 1, seed)


def hf_names(state, prefix, dino):
    """A timm state dict under the names of transformers; prefix "deit." and so on."""
    out = {}
    top = {"cls_token": "embeddings.cls_token", "dist_token": "embeddings.distillation_token",
           "register_tokens": "embeddings.register_tokens", "mask_token": "embeddings.mask_token",
           "pos_embed": "embeddings.position_embeddings", "norm": "layernorm",
           "patch_embed.proj": "embeddings.patch_embeddings.projection"}
    block = {"attn.proj": "attention.output.dense", "ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1",
             "mlp.w12": "mlp.weights_in", "mlp.w3": "mlp.weights_out"}
    if not dino:
        block.update({"norm1": "layernorm_before", "norm2": "layernorm_after", "mlp.fc1": "intermediate.dense",
                      "mlp.fc2": "output.dense"})
    for key, value in state.items():
        stem, leaf = key.rsplit(".", 1) if key.endswith((".weight", ".bias")) else (key, "")
        leaf = leaf and "." + leaf
        if stem == "head" or stem == "head_dist":
            both = "head_dist.weight" in state
            out[{"head": "cls_classifier" if both else "classifier", "head_dist": "distillation_classifier"}[stem] + leaf] = value
        elif stem.startswith("blocks."):
            _, index, rest = stem.split(".", 2)
            at = f"{prefix}encoder.layer.{index}."
            if rest == "attn.qkv":
                for part, rows in zip(("query", "key", "value"), value.chunk(3)):
                    out[f"{at}attention.attention.{part}{leaf}"] = rows.clone()
            else:
                out[at + block.get(rest, rest) + leaf] = value
        else:
            out[prefix + top[stem] + leaf] = value
    return out


def meta_dinov2(model, heads):
    """A timm DINOv2 with its head replaced by `heads` {name: tensor}, under Meta's names, with a position
    for the class token; timm's own reader is to give the weights back."""
    g = torch.Generator().manual_seed(99)
    timm_state = {k: v for k, v in model.state_dict().items() if not k.startswith("head.")}
    state, dtype = dict(timm_state), model.cls_token.dtype
    if "reg_token" in state:
        state["register_tokens"] = state.pop("reg_token")
        row = (0.6 * torch.randn(1, 1, state["cls_token"].shape[-1], generator=g)).to(dtype)
        state["cls_token"] = (state["cls_token"] - row).to(dtype)
        state["pos_embed"] = torch.cat([row, state["pos_embed"]], 1)
    state["mask_token"] = torch.randn(1, state["cls_token"].shape[-1], generator=g).to(dtype)
    for key in list(state):
        swiglu = model.blocks[0].mlp.fc1.out_features != model.blocks[0].mlp.fc2.in_features
        if swiglu and ".mlp.fc" in key:
            state[key.replace("fc1", "w12").replace("fc2", "w3")] = state.pop(key)
    model.float()
    back = checkpoint_filter_fn({k: v.float() for k, v in state.items()}, model)
    assert set(back) == set(timm_state)
    model.load_state_dict(back, strict=False)  # the class token as a sum of what the file holds
    prefix = "backbone." if heads else ""
    return {**{prefix + k: v for k, v in state.items()}, **heads}


class Concatenated(torch.nn.Module):
    """dinov2/hub/classifiers.py: a linear head on the class token and the mean of the patches."""

    def __init__(self, backbone, heads):
        super().__init__()
        self.backbone, self.blocks = backbone, backbone.blocks
        self.linear_head = torch.nn.Linear(*reversed(heads["linear_head.weight"].shape))
        self.linear_head.load_state_dict({k.split(".")[1]: v for k, v in heads.items()})

    def forward(self, x):
        x = self.backbone.forward_features(x)
        return self.linear_head(torch.cat([x[:, 0], x[:, self.backbone.num_prefix_tokens:].mean(1)], 1))


def linear_head(width, classes, dtype):
    head = torch.nn.Linear(2 * width, classes)
    randomise(head, 77, dtype)
    return {"linear_head." + k: v.detach().to(dtype) for k, v in head.state_dict().items()}


def make_meta(name, image, architecture, seed, dtype=torch.float32, n=1, convert=None, crop=None, **args):
    """Under the names of Meta's repositories. They have no configuration: what shapes do not tell (heads) is
    said in a config.json of timm's kind."""
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(TIMM_ARGS, **args)
    model = build_timm(architecture, seed, dtype, **args).to(dtype)
    heads = linear_head(24, 7, dtype) if convert == "lc" else {}
    if convert:
        state = meta_dinov2(model, heads)
    else:  # DeiT III
        state = {k.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): v for k, v in model.state_dict().items()}
        assert any("gamma_1" in k for k in state)
    save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(folder, "model.safetensors"))
    side = args["img_size"]
    config = {"model_args": {"num_heads": args["num_heads"]}, "pretrained_cfg": dict(input_size=[3, side, side], **(crop or {}))}
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=2)
    known = dict(interpolation="bicubic", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop_pct=0.875 if convert else 0.9)
    cfg = {"pretrained_cfg": dict(known, **config["pretrained_cfg"])}
    expected_timm(folder, cfg, Concatenated(model.float(), heads) if heads else model, image, n, seed)


HF_KINDS = {
    "vit": (transformers.ViTConfig, transformers.ViTForImageClassification, ViTImageProcessorPil),
    "deit": (transformers.DeiTConfig, transformers.DeiTForImageClassification, DeiTImageProcessorPil),
    "deit-teacher": (transformers.DeiTConfig, transformers.DeiTForImageClassificationWithTeacher, DeiTImageProcessorPil),
    "vit-bare": (transformers.ViTConfig, transformers.ViTModel, ViTImageProcessorPil),
    "deit-bare": (transformers.DeiTConfig, transformers.DeiTModel, DeiTImageProcessorPil),
    "dinov3-bare": (transformers.DINOv3ViTConfig, transformers.DINOv3ViTModel, transformers.DINOv3ViTImageProcessor),
    "ijepa": (transformers.IJepaConfig, transformers.IJepaForImageClassification, ViTImageProcessorPil),
    "dinov2-bare": (transformers.Dinov2Config, transformers.Dinov2Model, BitImageProcessorPil),
    "dinov2": (transformers.Dinov2Config, transformers.Dinov2ForImageClassification, BitImageProcessorPil),
    "aimv2-bare": (transformers.Aimv2VisionConfig, transformers.Aimv2VisionModel, CLIPImageProcessorPil),
    "internvl-bare": (transformers.InternVLVisionConfig, transformers.InternVLVisionModel, CLIPImageProcessorPil),
    "tipsv2-bare": (transformers.Tipsv2VisionConfig, transformers.Tipsv2VisionModel, BeitImageProcessorPil),
    "sapiens2-bare": (transformers.Sapiens2Config, transformers.Sapiens2Model, BeitImageProcessorPil),
    "beit": (transformers.BeitConfig, transformers.BeitForImageClassification, BeitImageProcessorPil),
    "beit-bare": (transformers.BeitConfig, transformers.BeitModel, BeitImageProcessorPil),
    "data2vec": (transformers.Data2VecVisionConfig, transformers.Data2VecVisionForImageClassification, BeitImageProcessorPil),
    "dinov2-registers": (transformers.Dinov2WithRegistersConfig, transformers.Dinov2WithRegistersForImageClassification,
                         BitImageProcessorPil),
}


NO_PILLOW = {"tipsv2-bare": "Tipsv2ImageProcessor", "sapiens2-bare": "Sapiens2ImageProcessor"}


def rename_processor(folder, name):
    path = os.path.join(folder, "preprocessor_config.json")
    config = dict(json.load(open(path)), image_processor_type=name)
    json.dump(config, open(path, "w"), indent=2)


def keep_pool(folder, model, x):
    """The attention of AIMv2's head, whose query is its class token: [n,H,1,T]."""
    head, kept = model.double().eval().head, []
    hook = head.register_forward_pre_hook(lambda module, args: kept.append(args[0]))
    with torch.no_grad():
        model(x.double())
    hook.remove()
    split = lambda t: t.reshape(t.shape[0], -1, head.num_heads, t.shape[-1] // head.num_heads).transpose(1, 2)
    q, k = split(head.cls_token.expand(len(x), 1, -1)), split(head.k_proj(kept[0]))
    save(folder, "attention_pool", torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1))


def make_hf(name, image, kind, seed, dtype=torch.float32, n=1, labels=None, processor={}, shard=None, weights=None, **args):
    """weights: a function that gives a state dict; without it they are random."""
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=20,
                     patch_size=4), **args)
    if kind.startswith(("dinov2", "tipsv2")):
        del args["intermediate_size"]
    if labels:
        args.update(id2label=dict(enumerate(labels)), label2id={v: k for k, v in enumerate(labels)})
    else:
        args.update(num_labels=7)
    config_class, model_class, processor_class = HF_KINDS[kind]
    if weights:
        config_class(**args).save_pretrained(folder)
        save_file({k: v.contiguous() for k, v in weights().items()}, os.path.join(folder, "model.safetensors"),
                  metadata={"format": "pt"})
        model, info = model_class.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
    else:
        model = model_class(config_class(**args))
        randomise(model, seed, dtype)
    model.to(dtype).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    transform = processor_class(**processor)
    transform.save_pretrained(folder)
    if kind in NO_PILLOW:  # the same as its own class, which knows torchvision alone, but for one level here and there
        rename_processor(folder, NO_PILLOW[kind])
    model = model_class.from_pretrained(folder, dtype=torch.float32) if kind in ("dinov3-bare", "sapiens2-bare") else model.float()  # frequencies in no file
    model.config._attn_implementation = "softmax64"
    pixels = transform(image, return_tensors="pt")["pixel_values"][0]
    x = batch(pixels, n, seed + 1)
    base = model.model if kind == "sapiens2-bare" else model.base_model
    layers = list(base.layers if hasattr(base, "layers") else base.layer if hasattr(base, "layer") else base.encoder.layers
                  if hasattr(base.encoder, "layers") else base.encoder.layer)
    attentions = [(layer.attention, lambda o: o[1]) for layer in layers]
    if kind == "data2vec":  # which has no interface of attentions
        attentions = [(layer.attention.attention.dropout, lambda o: o) for layer in layers]
    if kind == "aimv2-bare":
        keep_pool(folder, model, x)
    expected(folder, model, x, layers, attentions, lambda m, t: m(t).logits if not kind.endswith("-bare") else m(t).pooler_output
             if kind in ("beit-bare", "aimv2-bare") else m(t).last_hidden_state[:, 0])


def make_two_heads_and_dinov2(image):
    half, small = torch.float16, dict(size={"height": 20, "width": 20})
    distilled = ("deit_tiny_distilled_patch16_224", 31, half)
    make_timm("deit-timm-distilled", image, *distilled, n=2)
    make_hf("deit-hf-teacher", image, "deit-teacher", 32, half, layer_norm_eps=1e-6, processor=dict(do_center_crop=False, **small),
            weights=lambda: hf_names(build_timm(*distilled, **TIMM_ARGS).to(half).state_dict(), "deit.", False))
    make_timm("deit-timm-distilled-bare", image, "deit_tiny_distilled_patch16_224", 45, half, num_classes=0)
    make_timm("deit3-timm", image, "deit3_small_patch16_224", 33, torch.bfloat16, img_size=23, patch_size=5,
              data=dict(input_size=(3, 23, 23)))
    make_meta("deit3-meta", image, "deit3_small_patch16_224", 34, half)
    make_timm("vit-timm-registers", image, "vit_tiny_patch16_224", 35, half, reg_tokens=3, img_size=(16, 24),
              data=dict(input_size=(3, 16, 24)))
    make_timm("vit-timm-registers-gap", image, "vit_medium_patch16_reg4_gap_256", 36, torch.bfloat16)
    make_timm("dinov2-timm", image, "vit_small_patch14_dinov2", 37, half)
    make_timm("dinov2-timm-registers-swiglu", image, "vit_giant_patch14_reg4_dinov2", 38, half, mlp_ratio=64 / 24)
    make_hf("dinov2-hf", image, "dinov2", 39, half, mlp_ratio=2, labels=NAMES,
            processor=dict(size={"shortest_edge": 23}, crop_size={"height": 20, "width": 20}))
    giant = ("vit_giant_patch14_reg4_dinov2", 40, half)
    make_meta("dinov2-meta-registers-swiglu", image, *giant, n=2, convert="lc", mlp_ratio=64 / 24)

    def same():
        model = build_timm(*giant, **dict(TIMM_ARGS, mlp_ratio=64 / 24)).to(half)
        heads = linear_head(24, 7, half)
        state = {k.removeprefix("backbone."): v for k, v in meta_dinov2(model, heads).items() if k not in heads}
        named = hf_names(state, "dinov2_with_registers.", True)
        return {**named, **{k.replace("linear_head", "classifier"): v for k, v in heads.items()}}

    small_bare = ("vit_small_patch14_dinov2", 43, half)
    make_meta("dinov2-meta-bare", image, *small_bare, convert="bare", num_classes=0, mlp_ratio=2)
    make_hf("dinov2-hf-bare", image, "dinov2-bare", 42, half, mlp_ratio=2,
            processor=dict(size={"shortest_edge": 20}, crop_size={"height": 20, "width": 20}), weights=lambda: hf_names(
                meta_dinov2(build_timm(*small_bare, **dict(TIMM_ARGS, num_classes=0, mlp_ratio=2)).to(half), {}), "", True))
    make_hf("vit-hf-3x3", image, "vit", 44, half, image_size=12, layer_norm_eps=1e-6,
            processor=dict(size={"height": 12, "width": 12}), weights=lambda: hf_names(
                build_timm("vit_tiny_patch16_224", 13, half, **dict(TIMM_ARGS, img_size=12)).to(half).state_dict(), "vit.", False))
    make_hf("dinov2-hf-registers-swiglu", image, "dinov2-registers", 41, half, use_swiglu_ffn=True, mlp_ratio=2, weights=same,
            processor=dict(size={"shortest_edge": 20}, crop_size={"height": 20, "width": 20}, do_normalize=False))


def make_norms(image):
    """Norms of queries and keys, norms that do not subtract the mean."""
    half, small = torch.float16, dict(img_size=12)
    make_timm("vit-timm-qk-norm", image, "vit_tiny_patch16_224", 51, half, qk_norm=True, **small)
    make_timm("vit-timm-rms", image, "vit_tiny_patch16_224", 52, half, qk_norm=True, norm_layer="rmsnorm", pre_norm=True, reg_tokens=1,
              **small)


def make_relative(image):
    """Relative positions: BEiT and data2vec."""
    half, small = torch.float16, dict(size={"height": 12, "width": 12})
    make_timm("beit-timm", image, "beit_base_patch16_224", 53, half, img_size=(16, 12), init_values=0.1,
              data=dict(input_size=(3, 16, 12)))
    hf = dict(image_size=12, layer_norm_eps=1e-6)
    make_hf("beit-hf", image, "beit", 54, half, use_relative_position_bias=True, processor=small, labels=NAMES, **hf)
    make_hf("data2vec-hf", image, "data2vec", 55, half, use_shared_relative_position_bias=True, use_mean_pooling=False,
            use_absolute_position_embeddings=True, attn_implementation="eager", processor=small, **hf)
    make_hf("beit-hf-bare", image, "beit-bare", 56, half, use_relative_position_bias=True, processor=small, **hf)


def make_internvit(of, folder):
    """The weights of an InternVLVisionModel in the names of OpenGVLab's files, with what that model answers."""
    for name in os.listdir(of):
        if name.endswith(".npy") or name == "preprocessor_config.json":
            shutil.copy(os.path.join(of, name), folder)
    state, out = load_file(os.path.join(of, "model.safetensors")), {}
    names = {"cls_token": "class_embedding", "patch_embeddings.projection": "patch_embedding", "position_embeddings": "position_embedding",
             "encoder.layer.": "encoder.layers.", "attention.projection_layer": "attn.proj", "attention.q_norm": "attn.q_norm",
             "attention.k_norm": "attn.k_norm", "layernorm_before": "norm1", "layernorm_after": "norm2", "lambda_": "ls"}
    for key, value in state.items():
        for one, other in names.items():
            key = key.replace(one, other)
        out[key] = value
    for i in range(2):
        at = f"encoder.layers.{i}.attention."
        out[f"encoder.layers.{i}.attn.qkv.weight"] = torch.cat([out.pop(f"{at}{part}_proj.weight") for part in "qkv"])
    save_file(out, os.path.join(folder, "model.safetensors"))
    config = dict(architectures=["InternVisionModel"], model_type="intern_vit_6b", hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                  num_attention_heads=3, image_size=12, patch_size=4, qkv_bias=False, qk_normalization=True, layer_norm_eps=1e-6,
                  hidden_act="gelu", norm_type="rms_norm")
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=2)


def make_differences(image):
    """Differential attention, and keys and values of fewer heads than queries."""
    half, oblong = torch.float16, dict(img_size=(16, 24), data=dict(input_size=(3, 16, 24)))
    make_timm("vit-timm-diff", image, "vit_dwee_patch16_reg1_gap_256", 82, half, class_token=True, global_pool="token", n=2, **oblong)
    make_timm("vit-timm-twins", image, "vit_small_patch16_18x2_224", 87, half, n=2, init_values=0.5, **oblong)
    make_timm("vit-timm-diff-parallel", image, "vit_dpwee_patch16_reg1_gap_256", 83, half, **oblong)
    make_timm("sapiens2-timm", image, "vit_base_patch16_sapiens2", 84, half, num_heads=4, num_kv_heads=(4, 2), embed_dim=32, num_reg_tokens=2,
              **oblong)
    side = dict(size={"height": 20, "width": 20}, resample=2)
    make_hf("tips-hf", image, "tipsv2-bare", 85, half, mlp_ratio=40 / 24, layerscale_value=0.5, processor=dict(do_normalize=False, **side))
    if wanted("tips-hf-full"):
        make_tips_full("tips-hf", fresh("tips-hf-full"))
    side["size"] = {"height": 16, "width": 24}
    make_hf("sapiens2-hf", image, "sapiens2-bare", 86, half, hidden_size=32, num_attention_heads=4, image_size=[16, 24], num_register_tokens=2,
            num_key_value_heads_per_layer=[2, 4], layerscale_value=0.5,
            processor=dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], **side))


def make_tips_full(tower, folder):
    """The same tower beside a text tower, as Tipsv2Model saves both."""
    tower = os.path.join(OUT, tower)
    vision = transformers.Tipsv2VisionModel.from_pretrained(tower, dtype=torch.float16)
    text = dict(hidden_size=24, intermediate_size=32, num_hidden_layers=1, num_attention_heads=3, vocab_size=20)
    config = vision.config.to_dict()
    config.pop("_name_or_path")  # the path of the tower on this machine
    full = transformers.Tipsv2Model(transformers.Tipsv2Config(vision_config=config, text_config=text))
    full.vision_model.load_state_dict(vision.state_dict())
    full.half().save_pretrained(folder)
    for name in os.listdir(tower):
        if not os.path.exists(os.path.join(folder, name)):
            shutil.copy(os.path.join(tower, name), folder)


def make_blocks(image):
    """Norms behind attention and perceptron, both side by side, gates with RMSNorm; relative positions made by a perceptron."""
    half, small = torch.float16, dict(img_size=12)
    make_timm("vit-timm-post-norm", image, "vit_base_patch16_rpn_224", 57, half, init_values=None, **small)
    make_timm("vit-timm-parallel", image, "vit_pwee_patch16_reg1_gap_256", 58, half, **small)
    make_timm("vit-timm-parallel-rms", image, "vit_base_patch16_xp_224", 59, half, **small)
    make_timm("vit-timm-relpos", image, "vit_relpos_base_patch16_clsgap_224", 60, img_size=(16, 12),
              data=dict(input_size=(3, 16, 12)))
    make_timm("vit-timm-relpos-post-norm", image, "vit_relpos_medium_patch16_rpn_224", 81, class_token=True, global_pool="token",
              fc_norm=False, **small)
    make_timm("aimv2-timm", image, "aimv2_large_patch14_224", 62, half, **small)
    clip = dict(size={"shortest_edge": 12}, crop_size={"height": 12, "width": 12})
    make_hf("aimv2-hf", image, "aimv2-bare", 64, half, image_size=12, processor=clip)
    make_hf("internvl-hf", image, "internvl-bare", 65, half, image_size=[12, 12], patch_size=[4, 4], attention_bias=True, processor=clip)
    rms = dict(image_size=[12, 12], patch_size=[4, 4], use_qk_norm=True, norm_type="rms_norm")
    make_hf("internvl-hf-rms", image, "internvl-bare", 66, half, processor=clip, **rms)
    if wanted("internvit-opengvlab"):
        make_internvit(os.path.join(OUT, "internvl-hf-rms"), fresh("internvit-opengvlab"))
    make_timm("vit-timm-avg-prefix", image, "vit_tiny_patch16_224", 67, half, global_pool="avg", pool_include_prefix=True, reg_tokens=2,
              **small)
    make_timm("vit-timm-eva-post-norm", image, "eva02_enormous_patch14_clip_224", 63, half, **small)


def google_arrays(state, heads, big_vision, stacked):
    """A timm state dict as Flax's arrays: what timm's loader turns round, the other way round."""
    s = {k: v.numpy() for k, v in state.items()}
    d = s["pos_embed"].shape[-1]
    out = {"embedding/kernel": s["patch_embed.proj.weight"].transpose(2, 3, 1, 0), "embedding/bias": s["patch_embed.proj.bias"],
           "Transformer/encoder_norm/scale": s["norm.weight"], "Transformer/encoder_norm/bias": s["norm.bias"]}
    if "head.weight" in s:
        out.update({"head/kernel": s["head.weight"].T, "head/bias": s["head.bias"]})
    if "attn_pool.latent" in s:
        out.update(google_pool({k.removeprefix("attn_pool."): v for k, v in s.items() if k.startswith("attn_pool.")}, heads))
    out["pos_embedding" if big_vision else "Transformer/posembed_input/pos_embedding"] = s["pos_embed"]
    if "cls_token" in s:
        out["cls"] = s["cls_token"]
    attention, norm2, mlp = (0, 1, 0) if big_vision else (1, 2, 3)
    blocks = []
    for i in range(1 + max(int(k.split(".")[1]) for k in s if k.startswith("blocks."))):
        t = {k.split(".", 2)[2]: v for k, v in s.items() if k.startswith(f"blocks.{i}.")}
        a = f"MultiHeadDotProductAttention_{attention}/"
        block = {"LayerNorm_0/scale": t["norm1.weight"], "LayerNorm_0/bias": t["norm1.bias"],
                 f"LayerNorm_{norm2}/scale": t["norm2.weight"], f"LayerNorm_{norm2}/bias": t["norm2.bias"],
                 a + "out/kernel": t["attn.proj.weight"].T.reshape(heads, d // heads, d), a + "out/bias": t["attn.proj.bias"]}
        for j, name in enumerate(("query", "key", "value")):
            block[a + name + "/kernel"] = t["attn.qkv.weight"][j * d:(j + 1) * d].T.reshape(d, heads, d // heads)
            block[a + name + "/bias"] = t["attn.qkv.bias"][j * d:(j + 1) * d].reshape(heads, d // heads)
        for j in range(2):
            block[f"MlpBlock_{mlp}/Dense_{j}/kernel"] = t[f"mlp.fc{j + 1}.weight"].T
            block[f"MlpBlock_{mlp}/Dense_{j}/bias"] = t[f"mlp.fc{j + 1}.bias"]
        blocks.append(block)
    if stacked:
        out.update({"Transformer/encoderblock/" + k: np.stack([b[k] for b in blocks]) for k in blocks[0]})
    else:
        out.update({f"Transformer/encoderblock_{i}/{k}": v for i, b in enumerate(blocks) for k, v in b.items()})
    return out


def google_pool(t, heads):
    """big_vision's MAPHead_0 from timm's AttentionPoolLatent."""
    d, a = t["latent"].shape[-1], "MultiHeadDotProductAttention_0/"
    out = {"probe": t["latent"], "LayerNorm_0/scale": t["norm.weight"], "LayerNorm_0/bias": t["norm.bias"],
           a + "out/kernel": t["proj.weight"].T.reshape(heads, d // heads, d), a + "out/bias": t["proj.bias"]}
    weight, bias = (np.concatenate([t["q." + x], t["kv." + x]]) for x in ("weight", "bias"))
    for j, name in enumerate(("query", "key", "value")):
        out[a + name + "/kernel"] = weight[j * d:(j + 1) * d].T.reshape(d, heads, d // heads)
        out[a + name + "/bias"] = bias[j * d:(j + 1) * d].reshape(heads, d // heads)
    for j in range(2):
        out[f"MlpBlock_0/Dense_{j}/kernel"] = t[f"mlp.fc{j + 1}.weight"].T
        out[f"MlpBlock_0/Dense_{j}/bias"] = t[f"mlp.fc{j + 1}.bias"]
    return {"MAPHead_0/" + k: v for k, v in out.items()}


def load_google(model, path, prefix, bfloat16):
    """timm's loader, which knows prefixes but for img/. It asks JAX for np.load and for a type, which are NumPy's as well."""
    if not bfloat16:
        model.load_pretrained(path, prefix if prefix == "img/" else "")
        return
    jax = types.ModuleType("jax")
    jax.numpy = np
    sys.modules.update({"jax": jax, "jax.numpy": np})
    _load_weights(model, path, load_bfloat16=True)


def make_google(name, image, seed, prefix, big_vision, dtype=torch.float32, stacked=False, compressed=False, fortran=False,
                weights_of=None, extra={}, config=None, architecture="vit_tiny_patch16_224", answered=expected, pictures={}, **args):
    """answered: as expected(), which writes what the model answers. pictures: how they are made, which no file says."""
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(dict(img_size=20, patch_size=4, embed_dim=24, depth=2, num_heads=3, mlp_ratio=40 / 24, num_classes=7), **args)
    model = VisionTransformer(**args)
    randomise(model, seed, dtype)
    if weights_of:
        model.load_state_dict(load_file(os.path.join(OUT, weights_of, "model.safetensors")))
    arrays = google_arrays(model.state_dict(), args["num_heads"], big_vision, stacked)
    arrays = {k: np.asfortranarray(v) if fortran else np.ascontiguousarray(v) for k, v in arrays.items()}
    if dtype == torch.bfloat16:  # raw pairs of bytes, as NumPy writes them with and without ml_dtypes
        arrays = {k: v.astype(ml_dtypes.bfloat16) for k, v in arrays.items()}
        arrays = {k: v.view("V2") if "kernel" in k else v for k, v in arrays.items()}
    elif dtype == torch.float16:
        arrays = {k: v.astype(np.float16) for k, v in arrays.items()}
    arrays = {prefix + k: v for k, v in arrays.items()}
    arrays.update(extra)
    path = os.path.join(folder, "weights.npz")
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    read = VisionTransformer(**args)
    load_google(read, path, prefix, dtype == torch.bfloat16)
    for key, value in model.state_dict().items():
        assert torch.equal(value, read.state_dict()[key]), key
    data = dict(input_size=(3, args["img_size"], args["img_size"]), interpolation="bicubic", crop_pct=0.9,
                mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    data.update(pictures)
    if config:
        data.update(config)
        json.dump({"architecture": architecture, "pretrained_cfg": data}, open(os.path.join(folder, "config.json"), "w"),
                  indent=2)
    x = create_transform(**data, is_training=False)(image)[None]
    for block in read.blocks:
        block.attn.fused_attn = False
    answered(folder, read, x, list(read.blocks), [(b.attn.attn_drop, lambda o: o) for b in read.blocks], lambda m, t: m(t))


def in_memory(name):
    """The names that transformers 5 has while a DINOv3 runs."""
    path = os.path.join(OUT, name, "model.safetensors")
    if wanted(name):
        state = {("model." if k.startswith("layer.") else "") + k: v for k, v in load_file(path).items()}
        save_file(state, path, metadata={"format": "pt"})


def make_dinov3_meta(name, image, seed):
    """Under the names of Meta's repository, with what its files hold besides: masked biases of keys and the periods."""
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(TIMM_ARGS, img_size=(16, 24), num_reg_tokens=3, num_classes=0, global_pool="token", swiglu_mlp=True, mlp_ratio=2)
    model = build_timm("vit_small_patch16_dinov3_qkvb", seed, torch.float16, **args).half()
    state, g = {}, torch.Generator().manual_seed(seed)
    for key, value in model.state_dict().items():
        at = key.rsplit("attn.", 1)[0] + "attn.qkv."
        if key.endswith("q_bias"):
            keys = torch.randn(value.shape, generator=g).half()
            state[at + "bias"] = torch.cat([value, keys, model.state_dict()[key.replace("q_bias", "v_bias")]])
            state[at + "bias_mask"] = torch.cat([torch.ones_like(value), torch.zeros_like(value), torch.ones_like(value)])
        elif not key.endswith("v_bias"):
            for old, new in (("reg_token", "storage_tokens"), ("gamma_1", "ls1.gamma"), ("gamma_2", "ls2.gamma"),
                             ("mlp.fc1_g", "mlp.w1"), ("mlp.fc1_x", "mlp.w2"), ("mlp.fc2", "mlp.w3")):
                key = key.replace(old, new)
            state[key] = value
    state["mask_token"] = torch.zeros(1, 24).half()
    state["rope_embed.periods"] = (100 ** (2 * torch.arange(2) / 4)).half()
    save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(folder, "model.safetensors"))
    cfg = dict(input_size=[3, 16, 24], interpolation="bilinear", crop_mode="squash", crop_pct=1.0)
    json.dump({"model_args": {"num_heads": 3}, "pretrained_cfg": cfg}, open(os.path.join(folder, "config.json"), "w"), indent=2)
    known = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    expected_timm(folder, {"pretrained_cfg": dict(known, **cfg)}, model.float(), image, 1, seed)


def add_angles(path):
    """What EVA-02's own files hold besides: cosines and sines of the grid that they were trained on."""
    sines, cosines = timm.layers.RotaryEmbeddingCat(8, in_pixels=False, feat_shape=[5, 5], ref_feat_shape=[16, 16]).get_embed().chunk(2, -1)
    state = load_file(path)
    state.update({"blocks.0.attn.rope.freqs_cos": cosines.half().contiguous(), "blocks.0.attn.rope.freqs_sin": sines.half().contiguous()})
    save_file(state, path, metadata={"format": "pt"})


def make_rotary(image):
    """Models that rotate queries and keys. Grids are oblong, so that rows and columns cannot be mistaken."""
    oblong = dict(img_size=(16, 24), data=dict(input_size=(3, 16, 24)))
    make_timm("dinov3-timm", image, "vit_small_patch16_dinov3_qkvb", 60, torch.float16, n=2, num_reg_tokens=3, **oblong)
    make_timm("dinov3-timm-swiglu", image, "vit_small_plus_patch16_dinov3", 61, torch.float16, swiglu_align_to=0, mlp_ratio=2,
              data=dict(input_size=(3, 20, 20)),
              drop_args=("global_pool",))
    half = torch.float16
    make_timm("eva02-timm", image, "eva02_tiny_patch14_224", 62, half, **oblong)
    make_timm("eva02-timm-apart", image, "eva02_base_patch14_224", 63, half, depth=1, **oblong)
    if wanted("eva02-timm-apart"):
        add_angles(os.path.join(OUT, "eva02-timm-apart", "model.safetensors"))
    make_timm("eva02-timm-clip", image, "eva02_base_patch16_clip_224", 64, half, mlp_ratio=2, **oblong)
    make_timm("rope-timm", image, "vit_small_patch16_rope_224", 65, half, **oblong)
    make_timm("rope-timm-mixed", image, "vit_small_patch16_rope_mixed_ape_224", 66, half, **oblong)
    make_timm("rope-timm-gap", image, "vit_mediumd_patch16_rope_reg1_gap_256", 67, half, depth=1, **oblong)
    side = dict(size={"height": 16, "width": 24})
    dino = dict(num_register_tokens=3, image_size=24, layerscale_value=0.5)
    make_hf("dinov3-hf", image, "dinov3-bare", 68, half, processor=side, **dino)
    make_hf("dinov3-hf-gated", image, "dinov3-bare", 69, half, processor=side, use_gated_mlp=True, hidden_act="silu", num_hidden_layers=1,
            **dino)
    in_memory("dinov3-hf-gated")
    make_dinov3_meta("dinov3-meta", image, 70)
    make_timm("pe-timm-spatial", image, "vit_pe_spatial_tiny_patch16_512", 71, half, **oblong)
    make_timm("pe-timm-lang", image, "vit_pe_lang_gigantic_patch14_448", 72, half, depth=1, **oblong)


def make_torchvision(name, image, seed, dtype=torch.float16):
    """torchvision's class, its state dict and its transform. Its files have no configuration: the number of heads and the
    input's size are said in a config.json of timm's kind."""
    if not wanted(name):
        return
    folder = fresh(name)
    model = torchvision.models.VisionTransformer(image_size=20, patch_size=4, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=40,
                                                 num_classes=7)
    randomise(model, seed, dtype)
    save_file({k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}, os.path.join(folder, "model.safetensors"))
    json.dump({"model_args": {"num_heads": 3}, "pretrained_cfg": {"input_size": [3, 20, 20]}},
              open(os.path.join(folder, "config.json"), "w"), indent=2)
    blocks = list(model.encoder.layers)
    for block in blocks:
        def with_weights(q, k, v, need_weights, run=block.self_attention.forward):
            return run(q, k, v, need_weights=True, average_attn_weights=False)
        block.self_attention.forward = with_weights
    x = ImageClassification(crop_size=20, resize_size=22)(image)[None]
    expected(folder, model, x, blocks, [(b.self_attention, lambda o: o[1]) for b in blocks], lambda m, t: m(t))


def make_lora(name, image, seed):
    """A transformers model and peft's adapter beside it: peft's model answers."""
    if not wanted(name):
        return
    folder, half = fresh(name), torch.float16
    args = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=20, patch_size=4,
                num_labels=7)
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**args))
    randomise(model, seed, half)
    model.to(half).save_pretrained(folder)
    transform = ViTImageProcessorPil(size={"height": 20, "width": 20})
    transform.save_pretrained(folder)
    model = model.float()
    model.config._attn_implementation = "softmax64"
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=3, target_modules=["q_proj", "v_proj", "fc1"],
                                                         modules_to_save=["classifier"]))
    g = torch.Generator().manual_seed(seed + 1)
    for key, p in adapted.named_parameters():
        if "lora_" in key or "modules_to_save" in key:
            with torch.no_grad():
                p.copy_((torch.randn(p.shape, generator=g) / math.sqrt(p.shape[-1])).to(half).float())
    adapted.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    layers = list(model.vit.layers)
    x = transform(image, return_tensors="pt")["pixel_values"]
    expected(folder, adapted, x, layers, [(layer.attention, lambda o: o[1]) for layer in layers], lambda m, t: m(pixel_values=t).logits)


def mmpretrain_names(state):
    """A timm state dict under the names of MMPretrain's ImageClassifier."""
    block = {"norm1": "ln1", "norm2": "ln2", "mlp.fc1": "ffn.layers.0.0", "mlp.fc2": "ffn.layers.1", "ls1.gamma": "attn.gamma1.weight",
             "ls2.gamma": "ffn.gamma2.weight"}
    top = {"patch_embed.proj": "backbone.patch_embed.projection", "norm": "backbone.ln1", "fc_norm": "backbone.ln2",
           "norm_pre": "backbone.pre_norm", "head": "head.layers.head"}
    out = {}
    for key, value in state.items():
        stem, leaf = key.rsplit(".", 1) if key.endswith((".weight", ".bias")) else (key, "")
        if stem.startswith("blocks."):
            _, index, rest = stem.split(".", 2)
            stem = f"backbone.layers.{index}.{block.get(rest, rest)}"
        else:
            stem = top.get(stem, "backbone." + stem)
        out[stem + ("." + leaf if leaf else "")] = value
    return out


def make_mmpretrain(name, image, architecture, seed, dtype=torch.float16, **args):
    """MMPretrain's names over a timm model, which answers. Configurations of MMPretrain are programs; a config.json of timm's
    kind stands in for one."""
    if not wanted(name):
        return
    folder = fresh(name)
    args = dict(TIMM_ARGS, **args)
    model = build_timm(architecture, seed, dtype, **args).to(dtype)
    state = mmpretrain_names(model.state_dict())
    state.update({"data_preprocessor.mean": torch.full((3, 1, 1), 127.5), "data_preprocessor.std": torch.full((3, 1, 1), 127.5)})
    save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(folder, "model.safetensors"))
    cfg = dict(input_size=(3, 20, 20), interpolation="bicubic", crop_pct=0.875, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    config = {"model_args": {"num_heads": 3}, "pretrained_cfg": {"input_size": [3, 20, 20]}}
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=2)
    expected_timm(folder, {"pretrained_cfg": cfg}, model, image, 1, seed)


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
    make_timm("vit-timm-q-v-bias", image, "eva_giant_patch14_224", 42, torch.float16)
    make_wrapped("vit-timm-wrapped", image, "vit_tiny_patch16_224", 41, torch.float16, dict(crop_mode="border"))
    make_timm("vit-timm-bare", image, "vit_tiny_patch16_224", 20, torch.float16, num_classes=0, global_pool="avg")
    make_hf("ijepa-hf", image, "ijepa", 45, torch.float16, labels=NAMES, processor=size20, layer_norm_eps=1e-6)
    make_hf("vit-hf-bare", image, "vit-bare", 21, torch.float16, processor=size20)
    make_hf("deit-hf-bare", image, "deit-bare", 22, torch.float16,
            processor=dict(size={"height": 25, "width": 25}, crop_size={"height": 20, "width": 20}))
    make_two_heads_and_dinov2(image)
    make_norms(image)
    make_relative(image)
    make_blocks(image)
    make_differences(image)
    make_rotary(image)
    make_torchvision("vit-torchvision", image, 70)
    make_lora("vit-hf-lora", image, 73)
    make_mmpretrain("vit-mmpretrain", image, "vit_tiny_patch16_224", 71, init_values=0.1)
    make_mmpretrain("vit-mmpretrain-avg", image, "vit_tiny_patch16_224", 72, global_pool="avg")
    rng = np.random.default_rng(15)
    make_google("vit-npz", image, 15, "", False, img_size=12)
    make_google("vit-npz-deflated", image, 16, "opt/target/", False, torch.float16, compressed=True, fortran=True,
                weights_of="vit-timm-3x3", img_size=12,
                extra={"opt/target/pre_logits/kernel": rng.normal(size=(24, 24)).astype(np.float32),
                       "opt/target/pre_logits/bias": np.zeros(24, np.float32), "opt/state/step": np.int32(7)})
    make_google("vit-big-vision", image, 17, "params/", True, torch.float16, num_heads=2, no_embed_class=True,
                config=dict(interpolation="bilinear", crop_pct=1.0))
    make_google("vit-big-vision-scan", image, 18, "params/img/", True, torch.bfloat16, stacked=True, depth=3, class_token=False,
                global_pool="avg", fc_norm=False, extra={"params/t": np.ones(1, np.float32), "params/txt/cls": np.zeros((1, 1, 8))})
    for folder, _, files in os.walk(OUT):  # the safetensors writer makes private files
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
    if len(sys.argv) > 1:
        return
    with open(os.path.join(OUT, "versions.txt"), "w") as f:
        for module in (torch, torchvision, timm, transformers, peft, PIL, np, ml_dtypes):
            f.write(f"{module.__name__} {module.__version__}\n")


if __name__ == "__main__":
    main()
