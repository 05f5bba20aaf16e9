#!/usr/bin/env python3
"""Writes the models of CLIP and SigLIP in test/golden/models, and those that pool by attention.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers open_clip_torch cn_clip pillow numpy
    venv/bin/python tools/golden/make_towers.py [MODEL...]

As make_models.py, which has the picture and says what the files are. Beside those, in float64 by the
library's own code: attention_pool.npy [n,H,1,T], the attention of a pooling head; gradient.npy
[n,3,H,W], the gradient of sum_k cos(k) answer_k. A model of another layout with the same weights
("layout") has to give the same answers, which is checked here and by test/test_towers.c.
"""
import json
import math
import os
import sys

import numpy as np
import open_clip
import safetensors.torch
import timm
import torch
import transformers
from make_models import NAMES, OUT, batch, expected, fresh, make_google, randomise, save, wanted
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg, image_transform_v2
from open_clip.transformer import QuickGELU
from PIL import Image
from reference import register_softmax64
from timm.data import create_transform, resolve_data_config
from timm.models._hub import save_for_hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

D, HEADS, DEPTH, HIDDEN, OUTPUTS = 24, 3, 2, 40, 7
TINY = dict(hidden_size=D, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=HIDDEN)


def probabilities(mha, args):
    """Of a torch MultiheadAttention from its arguments: [B,H,Q,T]."""
    q, k = args[0], args[1]
    d = mha.embed_dim
    wq, wk, _ = mha.in_proj_weight.chunk(3)
    bq, bk, _ = mha.in_proj_bias.chunk(3)
    split = lambda x: x.reshape(x.shape[0], -1, mha.num_heads, d // mha.num_heads).transpose(1, 2)
    q, k = split(q @ wq.T + bq), split(k @ wk.T + bk)
    return torch.softmax(q @ k.transpose(2, 3) / math.sqrt(d // mha.num_heads), -1)


class Recorder(torch.nn.Module):
    """Stands for something that is not a module's output, so that expected() can hook it."""

    def forward(self, x):
        return x


def record_mha(mha):
    recorder = Recorder()

    def look(module, args):
        recorder(probabilities(module, args))

    mha.register_forward_pre_hook(look)
    return recorder


def record_latent(pool):
    """Of timm's AttentionPoolLatent."""
    recorder = Recorder()

    def look(module, args):
        x = args[0]
        b, n, c = x.shape
        q = module.q(module.latent.expand(b, -1, -1)).reshape(b, 1, module.num_heads, -1).transpose(1, 2)
        k = module.kv(x).reshape(b, n, 2, module.num_heads, -1).permute(2, 0, 3, 1, 4)[0]
        recorder(torch.softmax(q @ k.transpose(2, 3) * module.scale, -1))

    pool.register_forward_pre_hook(look)
    return recorder


def finish(folder, model, x, blocks, attentions, pool, run):
    """All files of a model; its answer to x."""
    model = model.double().eval()
    if pool:
        kept = []
        pool.register_forward_hook(lambda module, args, out: kept.append(out))
    expected(folder, model, x, blocks, [(a, (lambda o: o[1] if isinstance(o, tuple) else o)) for a in attentions], run)
    if pool:  # 0 at prefix tokens that it does not attend to
        tokens = np.load(os.path.join(folder, "attention_0.npy")).shape[-1]
        save(folder, "attention_pool", torch.nn.functional.pad(kept[0], (tokens - kept[0].shape[-1], 0)))
    with torch.no_grad():
        return run(model, x.double())


# ---------------------------------------------------------------------------- maps

def open_pool(pool):
    """Makes a pooling head keep its attention in the graph (pool.p); what it answers stays the same."""
    def attend(q, k, v, heads):
        split = lambda x: x.reshape(x.shape[0], -1, heads, x.shape[-1] // heads).transpose(1, 2)
        q, k, v = split(q), split(k), split(v)
        pool.p = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
        return (pool.p @ v).transpose(1, 2).flatten(2)

    def mha(query, key, value, **kwargs):
        parts = [x @ w.T + b for x, w, b in zip((query, key, value), pool.in_proj_weight.chunk(3), pool.in_proj_bias.chunk(3))]
        return pool.out_proj(attend(*parts, pool.num_heads)), None

    def latent(x, attn_mask=None):
        k, v = pool.kv(x).chunk(2, -1)
        x = pool.proj(attend(pool.q(pool.latent).expand(len(x), -1, -1), k, v, pool.num_heads))
        return (x + pool.mlp(pool.norm(x)))[:, 0]

    pool.forward = mha if isinstance(pool, torch.nn.MultiheadAttention) else latent


def without_each(model, x, answer):
    """[patches]: what the logit of output 2 loses where a patch's token is left out."""
    with torch.no_grad():
        tokens, prefix = model._pos_embed(model.patch_embed(x[:1].double())), model.num_prefix_tokens
        keep = lambda p: [t for t in range(tokens.shape[1]) if t != p]
        answers = [model.forward_head(model.norm(model.blocks(tokens[:, keep(p)]))) for p in range(prefix, tokens.shape[1])]
        return answer[0, 2] - torch.cat(answers)[:, 2]


def maps(folder, model, x, blocks, attentions, norm1, pool, run, answer, tail, prefix):
    """maps.npy: rows [patches] of methods, named in maps.txt (method, score, layer); saliency.npy [H,W] of
    the cosine. Scores: the logit of output 2, and the cosine with sin(k + 1). `tail`: from a block's
    tokens to the answer."""
    if pool:
        open_pool(pool)
    kept = {}
    hook = lambda key: lambda m, a, o: kept.__setitem__(key, o[1] if isinstance(o, tuple) else o)
    for i, (a, b) in enumerate(zip(attentions, blocks)):
        a.register_forward_hook(hook(i))
        b.register_forward_hook(lambda m, a, o, i=i: kept.__setitem__(("x", i), o[0] if isinstance(o, tuple) else o))
    norm1.register_forward_hook(hook("norm1"))
    leaf = x[:1].double().requires_grad_()
    z = run(model, leaf)
    kept["p"] = pool.p if pool else None
    same(z.detach(), answer[:1])
    direction = torch.sin(torch.arange(z.shape[1], dtype=torch.float64) + 1)
    score = {"logit": lambda z: z[0, 2], "cosine": lambda z: torch.nn.functional.cosine_similarity(z, direction[None])[0]}
    depth, rows, lines = len(blocks), [], []
    at = list(range(depth))
    normal = lambda m: m / m.sum(-1, keepdim=True)
    eye = torch.eye(kept[0].shape[-1], dtype=torch.float64)
    for name, s in score.items():
        leaves = [kept[i] for i in at] + [kept["norm1"], leaf] + ([kept["p"]] if pool else [])
        g = torch.autograd.grad(s(z), leaves, retain_graph=True)
        A, G = [kept[i][0].detach() for i in at], [v[0] for v in g[:depth]]
        out = {}
        if pool:
            pad = lambda row: torch.nn.functional.pad(row, (len(eye) - row.shape[-1], 0))
            P, dP = pad(kept["p"][0, :, 0].detach()), pad(g[-1][0, :, 0])
            mean = P.mean(0)
            out["attention auto"] = mean
            out["attention 0"] = torch.einsum("t,htj->hj", mean, A[0]).mean(0)
            roll, gen, grad = mean.clone(), (P * dP).clamp(min=0).mean(0), (P * dP).mean(0).clamp(min=0)
            grad = grad / grad.sum() if grad.sum() > 0 else grad
            cam = lambda a, d: (d[:, prefix:].mean(-1)[:, None] * a).mean(0)
            out["attn-gradcam auto"] = cam(P, dP)
            out["attn-gradcam 0"] = cam(torch.einsum("t,htj->hj", mean, A[0]), torch.einsum("t,htj->hj", mean, G[0]))
            legrad = 0
            for i in at:
                s_l = s(tail(kept[("x", i)].detach()[:1]))
                legrad = legrad + pad(torch.autograd.grad(s_l, pool.p)[0][0, :, 0]).clamp(min=0).mean(0)
            out["legrad auto"] = legrad
        else:
            roll = eye[0].clone()
            gen = grad = roll
        for i in reversed(at):
            product = A[i] * G[i]
            roll = roll @ normal(A[i].mean(0) + eye)
            gen = gen + gen @ product.clamp(min=0).mean(0)
            grad = grad @ normal(product.mean(0).clamp(min=0) + eye)
        out["rollout auto"], out["generic auto"], out["grad-rollout auto"] = roll, gen, grad
        a, d = kept["norm1"][0].detach()[prefix:], g[depth][0][prefix:]
        out["gradcam auto"] = a @ d.mean(0)
        for key, row in out.items():
            method, layer = key.split()
            lines.append(f"{method} {name} {layer}")
            rows.append(row[prefix:] if len(row) > len(a) else row)
    save(folder, "maps", torch.stack(rows))
    if os.path.basename(folder).startswith("vit-timm-map"):
        save(folder, "drop", without_each(model, x, answer))
    save(folder, "saliency", g[depth + 1][0].abs().max(0).values)
    with open(os.path.join(folder, "maps.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


# ---------------------------------------------------------------------------- Hugging Face

def save_processor(folder, transform):
    """As a processor of pictures and texts is saved, by transformers 5; what is beside it must not count."""
    json.dump(dict(image_processor=transform.to_dict(), processor_class="CLIPProcessor"), open(os.path.join(folder, "processor_config.json"), "w"), indent=2)
    json.dump(dict(transform.to_dict(), image_mean=[0.1, 0.2, 0.3]), open(os.path.join(folder, "preprocessor_config.json"), "w"), indent=2)
    read = type(transform).from_pretrained(folder)
    assert tuple(read.image_mean) == tuple(transform.image_mean)


def make_hf(name, image, kind, seed, dtype=torch.float32, size=20, patch=4, processor={}, nested=False, drop=(), n=1, **args):
    folder = fresh(name)
    family, _, form = kind.partition("-")
    vision = dict(TINY, image_size=size, patch_size=patch, **args)
    known = dict(id2label=dict(enumerate(NAMES)), label2id={v: k for k, v in enumerate(NAMES)}) if form == "class" else {}
    if family == "clip":
        text = dict(TINY, vocab_size=20, max_position_embeddings=8, eos_token_id=1, bos_token_id=0)
        config = transformers.CLIPVisionConfig(projection_dim=OUTPUTS, **vision)
        model = {"projection": transformers.CLIPVisionModelWithProjection, "": transformers.CLIPVisionModel}.get(form)
        whole = transformers.CLIPForImageClassification if known else transformers.CLIPModel
        full = lambda: whole(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=OUTPUTS, **known))
        transform = CLIPImageProcessorPil(**processor)
    else:
        text = dict(TINY, vocab_size=20, max_position_embeddings=8)
        config = transformers.SiglipVisionConfig(**vision)
        model = {"": transformers.SiglipVisionModel}.get(form)
        whole = transformers.SiglipForImageClassification if known else transformers.SiglipModel
        full = lambda: whole(transformers.SiglipConfig(text_config=text, vision_config=vision, **known))
        transform = SiglipImageProcessorPil(**processor)
    model = model(config) if model else full()
    randomise(model, seed, dtype)
    model.to(dtype).save_pretrained(folder)
    if nested:
        save_processor(folder, transform)
    else:
        transform.save_pretrained(folder)
    if drop:  # what configurations on the hub leave out
        path = os.path.join(folder, "config.json")
        config = json.load(open(path))
        for key in drop:
            config.get("vision_config", config).pop(key, None)
        json.dump(config, open(path, "w"), indent=2)
    model = model.float()
    tower = model.vision_model if hasattr(model, "vision_model") else model
    for part in (model, tower):
        part.config._attn_implementation = "softmax64"
    if hasattr(model.config, "vision_config"):
        model.config.vision_config._attn_implementation = "softmax64"
    tower.config._attn_implementation = "softmax64"
    x = batch(transform(image, return_tensors="pt")["pixel_values"][0], n, seed + 1)
    layers = list(tower.encoder.layers)
    pool = record_mha(tower.head.attention) if family == "siglip" and not known else None

    def run(m, t):
        if form == "full":
            out = m.get_image_features(pixel_values=t)
            return out if isinstance(out, torch.Tensor) else out.pooler_output
        out = m(pixel_values=t)
        if known:
            return out.logits
        return out.image_embeds if form == "projection" else out.pooler_output

    answer = finish(folder, model, x, layers, [layer.self_attn for layer in layers], pool, run)
    if name in ("clip-hf", "siglip-hf"):
        tail = lambda tokens: tower.head(tower.post_layernorm(tokens)) if family == "siglip" else None
        maps(folder, model, x, layers, [layer.self_attn for layer in layers], layers[-1].layer_norm1,
             tower.head.attention if family == "siglip" else None, run, answer, tail, family == "clip")
    return answer, model, x


# ---------------------------------------------------------------------------- timm

def make_timm(name, image, architecture, seed, dtype=torch.float32, size=20, patch=4, data={}, drop=(), n=1, fill=None, **args):
    folder = fresh(name)
    args = dict(dict(embed_dim=D, depth=DEPTH, num_heads=HEADS, mlp_ratio=HIDDEN / D, img_size=size, patch_size=patch), **args)
    model = timm.create_model(architecture, pretrained=False, **args)
    randomise(model, seed, dtype)
    if fill:
        fill(model)
    model.pretrained_cfg = dict(model.pretrained_cfg, **data)
    save_for_hf(model.to(dtype), folder, safe_serialization=True, data_config=data or None)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    for key in drop:
        config["model_args"].pop(key, None)
    json.dump(config, open(path, "w"), indent=2)
    model = model.float()
    if getattr(model, "rope", None) is not None:  # its tables were rounded, and no file holds them
        model.rope.init_non_persistent_buffers()
    cfg = resolve_data_config(pretrained_cfg=config["pretrained_cfg"])
    x = batch(create_transform(**cfg, is_training=False)(image), n, seed + 1)
    for block in model.blocks:
        block.attn.fused_attn = False
    pool = record_latent(model.attn_pool) if model.attn_pool is not None else None
    run = lambda m, t: m(t)
    attentions = [b.attn.attn_drop for b in model.blocks]
    answer = finish(folder, model, x, list(model.blocks), attentions, pool, run)
    if name.startswith(("vit-timm-map", "pe-timm")):
        maps(folder, model, x, list(model.blocks), attentions, model.blocks[-1].norm1, model.attn_pool, run, answer,
             lambda tokens: model.forward_head(model.norm(tokens)), model.num_prefix_tokens)
    return answer, model, x


# ---------------------------------------------------------------------------- big_vision

def make_big_vision(name, image, seed, prefix, dtype, **args):
    """SigLIP's own files."""
    def answered(folder, model, x, blocks, attentions, run):
        finish(folder, model, x, blocks, [a for a, _ in attentions], record_latent(model.attn_pool), run)

    make_google(name, image, seed, prefix, True, dtype, answered=answered, class_token=False, global_pool="map", **args)


# ---------------------------------------------------------------------------- open_clip

def make_open_clip(name, image, seed, vision, quick=False, preprocess={}, dtype=torch.float32, trunk=None, fill=None):
    folder = fresh(name)
    text = dict(context_length=8, vocab_size=20, width=16, heads=2, layers=1)
    model_cfg = dict(embed_dim=trunk["embed_dim"] if trunk else OUTPUTS, vision_cfg=vision, text_cfg=text)
    if quick:
        model_cfg["quick_gelu"] = True
    if trunk:  # of a size that no name has: the tower is built as open_clip builds it, around it
        model = open_clip.CustomTextCLIP(OUTPUTS, dict(layers=1, width=16, head_width=8, patch_size=4, image_size=8), text)
        model.visual = tower(trunk)
    else:
        model = open_clip.CLIP(OUTPUTS, vision, text, quick_gelu=quick)
    randomise(model, seed, dtype)
    if fill:
        fill(model.visual)
    tensors = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    safetensors.torch.save_file(tensors, os.path.join(folder, "open_clip_model.safetensors"))
    cfg = PreprocessCfg(size=vision["image_size"], **preprocess)
    json.dump(dict(model_cfg=model_cfg, preprocess_cfg=preprocess), open(os.path.join(folder, "open_clip_config.json"), "w"), indent=2)
    visual = model.visual.float()
    x = batch(image_transform_v2(cfg, is_train=False)(image), 1, seed + 1)
    if trunk:
        for block in visual.trunk.blocks:
            block.attn.fused_attn = False
        blocks, attentions = list(visual.trunk.blocks), [b.attn.attn_drop for b in visual.trunk.blocks]
        pool = record_latent(visual.trunk.attn_pool) if vision["timm_pool"] == "map" else None
    else:
        blocks, pool = list(visual.transformer.resblocks), None
        attentions = [record_mha(b.attn) for b in blocks]
    return finish(folder, visual, x, blocks, attentions, pool, lambda m, t: m(t)), visual, x


def make_openai(name, image, seed, dtype=torch.float16):
    """The state dict of OpenAI's CLIP, with the numbers that it holds as tensors. Heads are 64 wide."""
    folder = fresh(name)
    model = open_clip.CLIP(OUTPUTS, dict(image_size=20, layers=2, width=64, head_width=64, patch_size=4, mlp_ratio=0.5),
                           dict(context_length=8, vocab_size=20, width=64, heads=1, layers=1, mlp_ratio=0.5), quick_gelu=True)
    randomise(model, seed, dtype)
    state = {k: v.to(dtype) for k, v in model.state_dict().items()}
    state.update(input_resolution=torch.tensor(20), context_length=torch.tensor(8), vocab_size=torch.tensor(20))
    torch.save(state, os.path.join(folder, "ViT-tiny.pt"))
    visual = model.visual.float()
    x = batch(image_transform_v2(PreprocessCfg(size=20), is_train=False)(image), 1, seed + 1)
    blocks = list(visual.transformer.resblocks)
    finish(folder, visual, x, blocks, [record_mha(b.attn) for b in blocks], None, lambda m, t: m(t))


def make_cn_clip(name, image, seed, dtype=torch.float16):
    """As cn_clip's training saves it. Heads are 64 wide, so there is one."""
    from cn_clip.clip import model as cn
    from cn_clip.clip.utils import image_transform

    cn.LayerNorm.forward = torch.nn.LayerNorm.forward  # which computes in float32
    folder = fresh(name)
    model = cn.CLIP(embed_dim=OUTPUTS, image_resolution=20, vision_layers=1, vision_width=64, vision_patch_size=4, vocab_size=20,
                    text_attention_probs_dropout_prob=0.1, text_hidden_act="gelu", text_hidden_dropout_prob=0.1,
                    text_hidden_size=16, text_initializer_range=0.02, text_intermediate_size=24, text_max_position_embeddings=8,
                    text_num_attention_heads=2, text_num_hidden_layers=1, text_type_vocab_size=2)
    randomise(model, seed, dtype)
    state = {"module." + k: v.to(dtype) for k, v in model.state_dict().items()}
    torch.save({"epoch": 1, "step": 1, "name": "tiny", "state_dict": state}, os.path.join(folder, "clip_cn_tiny.pt"))
    visual = model.visual.float()
    x = batch(image_transform(20)(image), 1, seed + 1)
    blocks = list(visual.transformer.resblocks)
    recorders = []
    for block in blocks:  # [T,B,D] in cn_clip
        recorder = Recorder()

        def look(module, args, recorder=recorder):
            recorder(probabilities(module, [a.transpose(0, 1) for a in args[:2]]))

        block.attn.register_forward_pre_hook(look)
        recorders.append(recorder)
    turned = []
    for block in blocks:
        recorder = Recorder()

        def turn(module, args, out, recorder=recorder):
            recorder(out.transpose(0, 1))

        block.register_forward_hook(turn)
        turned.append(recorder)
    return finish(folder, visual, x, turned, recorders, None, lambda m, t: m(t))


def tower(trunk):
    """open_clip's TimmModel around a tiny trunk."""
    make = timm.create_model
    timm.create_model = lambda name, **kw: make(name, embed_dim=trunk.get("width", D), depth=DEPTH, mlp_ratio=HIDDEN / D,
                                                img_size=trunk["size"], patch_size=trunk["patch"], **kw)
    try:
        return TimmModel(trunk["name"], trunk["embed_dim"], image_size=trunk["size"], pool=trunk.get("pool", "map"),
                         proj=trunk["proj"])
    finally:
        timm.create_model = make


def hf_into_open_clip(hf):
    """Fills an open_clip tower with the weights of a CLIPVisionModelWithProjection."""
    source = hf.state_dict()

    def fill(visual):
        take = lambda key: source["vision_model." + key].float()
        with torch.no_grad():
            visual.conv1.weight.copy_(take("embeddings.patch_embedding.weight"))
            visual.class_embedding.copy_(take("embeddings.class_embedding"))
            visual.positional_embedding.copy_(take("embeddings.position_embedding.weight"))
            visual.proj.copy_(source["visual_projection.weight"].T)
            for theirs, ours in (("pre_layrnorm", visual.ln_pre), ("post_layernorm", visual.ln_post)):
                ours.weight.copy_(take(theirs + ".weight"))
                ours.bias.copy_(take(theirs + ".bias"))
            for i, block in enumerate(visual.transformer.resblocks):
                at = f"encoder.layers.{i}."
                for leaf in ("weight", "bias"):
                    getattr(block.attn, "in_proj_" + leaf).copy_(
                        torch.cat([take(f"{at}self_attn.{p}_proj.{leaf}") for p in "qkv"]))
                    for theirs, ours in (("self_attn.out_proj", block.attn.out_proj), ("layer_norm1", block.ln_1),
                                         ("layer_norm2", block.ln_2), ("mlp.fc1", block.mlp.c_fc), ("mlp.fc2", block.mlp.c_proj)):
                        getattr(ours, leaf).copy_(take(f"{at}{theirs}.{leaf}"))

    return fill


def hf_into_timm(hf):
    """Fills a timm SigLIP with the weights of a SiglipVisionModel."""
    source = {k.removeprefix("vision_model."): v.float() for k, v in hf.state_dict().items()}

    def fill(model):
        with torch.no_grad():
            model.pos_embed.copy_(source["embeddings.position_embedding.weight"][None])
            pool = model.attn_pool
            pool.latent.copy_(source["head.probe"])
            for leaf in ("weight", "bias"):
                getattr(model.patch_embed.proj, leaf).copy_(source["embeddings.patch_embedding." + leaf])
                getattr(model.norm, leaf).copy_(source["post_layernorm." + leaf])
                packed = source["head.attention.in_proj_" + leaf]
                getattr(pool.q, leaf).copy_(packed[:D])
                getattr(pool.kv, leaf).copy_(packed[D:])
                for theirs, ours in (("attention.out_proj", pool.proj), ("layernorm", pool.norm), ("mlp.fc1", pool.mlp.fc1),
                                     ("mlp.fc2", pool.mlp.fc2)):
                    getattr(ours, leaf).copy_(source[f"head.{theirs}.{leaf}"])
                for i, block in enumerate(model.blocks):
                    at = f"encoder.layers.{i}."
                    getattr(block.attn.qkv, leaf).copy_(torch.cat([source[f"{at}self_attn.{p}_proj.{leaf}"] for p in "qkv"]))
                    for theirs, ours in (("self_attn.out_proj", block.attn.proj), ("layer_norm1", block.norm1),
                                         ("layer_norm2", block.norm2), ("mlp.fc1", block.mlp.fc1), ("mlp.fc2", block.mlp.fc2)):
                        getattr(ours, leaf).copy_(source[f"{at}{theirs}.{leaf}"])

    return fill


def same(a, b):
    error = (a - b).abs().max().item()
    assert error < 1e-9, f"two layouts of the same weights differ by {error}"


def main():
    register_softmax64()
    image = Image.open(os.path.join(OUT, "picture.png"))
    half = torch.float16
    small = dict(size={"shortest_edge": 20}, crop_size=20)
    square = dict(size={"height": 20, "width": 20})
    squash = dict(mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize_mode="squash")
    vision = dict(image_size=20, layers=DEPTH, width=D, head_width=D // HEADS, patch_size=4, mlp_ratio=HIDDEN / D)
    if wanted("clip-hf") or wanted("clip-open-clip"):
        _, hf, _ = make_hf("clip-hf", image, "clip-projection", 30, half, 40, 8, dict(size={"shortest_edge": 44}, crop_size=40))
        x40 = dict(vision, image_size=40, patch_size=8)
        answer, visual, x = make_open_clip("clip-open-clip", image, 31, x40, quick=True, dtype=half, fill=hf_into_open_clip(hf))
        same(answer, hf(pixel_values=x.double()).image_embeds)
    if wanted("clip-hf-full"):
        make_hf("clip-hf-full", image, "clip-full", 32, half, processor=small, drop=("num_channels",), hidden_act="gelu")
    if wanted("clip-hf-bare"):
        make_hf("clip-hf-bare", image, "clip-", 33, half, processor=small, n=2)
    if wanted("clip-hf-class"):
        make_hf("clip-hf-class", image, "clip-class", 44, half, processor=small, nested=True)
    if wanted("siglip-hf-class"):
        make_hf("siglip-hf-class", image, "siglip-class", 43, half, processor=square)
    if wanted("clip-timm"):
        make_timm("clip-timm", image, "vit_base_patch16_clip_quickgelu_224", 34, half, 40, 8, num_classes=OUTPUTS, drop=("act_layer",))
    if wanted("clip-open-clip-avg"):
        make_open_clip("clip-open-clip-avg", image, 35, dict(vision, pool_type="avg", final_ln_after_pool=True, no_ln_pre=True,
                       act_kwargs={"approximate": "tanh"}, norm_kwargs={"eps": 1e-6}, ls_init_value=0.1), dtype=half, preprocess=squash)
    if wanted("siglip-hf") or wanted("siglip-timm"):
        _, hf, _ = make_hf("siglip-hf", image, "siglip-", 36, half, 40, 8, dict(size={"height": 40, "width": 40}))
        answer, _, x = make_timm("siglip-timm", image, "vit_so400m_patch16_siglip_256", 37, half, 40, 8, num_classes=0,
                                 fill=hf_into_timm(hf), drop=("act_layer",))
        same(answer, hf(pixel_values=x.double()).pooler_output)
    if wanted("siglip-hf-full"):
        make_hf("siglip-hf-full", image, "siglip-full", 38, half, processor=square, n=2)
    if wanted("siglip-open-clip"):
        make_open_clip("siglip-open-clip", image, 39, dict(image_size=20, timm_model_name="vit_base_patch16_siglip_224",
                       timm_model_pretrained=False, timm_pool="map", timm_proj="linear"), dtype=half, preprocess=squash,
                       trunk=dict(name="vit_base_patch16_siglip_224", embed_dim=OUTPUTS, size=20, patch=4, proj="linear"))
    if wanted("clip-open-clip-trunk"):
        name = "vit_base_patch16_clip_quickgelu_224"
        make_open_clip("clip-open-clip-trunk", image, 41, dict(image_size=20, timm_model_name=name, timm_model_pretrained=False,
                       timm_pool="token", timm_proj="linear"), dtype=half, preprocess=dict(resize_mode="longest", fill_color=90),
                       trunk=dict(name=name, embed_dim=OUTPUTS, size=20, patch=4, pool="token", proj="linear"))
    if wanted("clip-open-clip-eva02"):
        name = "eva02_base_patch16_clip_224"
        make_open_clip("clip-open-clip-eva02", image, 47, dict(image_size=20, timm_model_name=name, timm_model_pretrained=False,
                       timm_pool="token", timm_proj=None), dtype=half,
                       trunk=dict(name=name, embed_dim=OUTPUTS, size=20, patch=4, pool="token", proj=None, width=48))
    if wanted("clip-open-clip-pe"):  # as PE-Core-L-14-336; the tower's own head is its projection
        name = "vit_pe_core_large_patch14_336"
        make_open_clip("clip-open-clip-pe", image, 48, dict(image_size=20, timm_model_name=name, timm_model_pretrained=False,
                       timm_pool="map", timm_proj=None), dtype=half, preprocess=squash,
                       trunk=dict(name=name, embed_dim=OUTPUTS, size=20, patch=4, proj=None, width=64))
    if wanted("clip-cn-clip"):
        make_cn_clip("clip-cn-clip", image, 49)
    if wanted("clip-openai"):
        make_openai("clip-openai", image, 52)
    if wanted("vit-timm-map"):
        make_timm("vit-timm-map", image, "vit_tiny_patch16_224", 40, half, global_pool="map", class_token=False, num_classes=OUTPUTS, n=2)
    if wanted("vit-timm-map-class"):
        make_timm("vit-timm-map-class", image, "vit_tiny_patch16_224", 45, half, global_pool="map", reg_tokens=2, num_classes=OUTPUTS, n=2)
    if wanted("vit-timm-map-registers"):
        make_timm("vit-timm-map-registers", image, "vit_tiny_patch16_224", 46, half, global_pool="map", class_token=False, reg_tokens=4,
                  no_embed_class=True, pool_include_prefix=True, num_classes=OUTPUTS)
    if wanted("pe-timm-core"):  # 3 heads in the blocks, 8 in the pooling head, whose perceptron is wider
        make_timm("pe-timm-core", image, "vit_pe_core_base_patch16_224", 47, half, (16, 24), num_classes=OUTPUTS, n=2,
                  data=dict(input_size=(3, 16, 24)), drop=("global_pool",))
    text = {"params/t": np.ones(1, np.float32), "params/b": np.ones(1, np.float32), "params/txt/head/bias": np.zeros(8, np.float32)}
    make_big_vision("siglip-big-vision", image, 42, "params/img/", torch.bfloat16, stacked=True, num_classes=0, extra=text)
    make_big_vision("siglip-big-vision-tower", image, 43, "params/", half, num_classes=0, img_size=40, patch_size=8,
                    weights_of="siglip-timm", act_layer="gelu_tanh", config=dict(crop_pct=0.9),
                    architecture="vit_so400m_patch16_siglip_256")
    squashed = dict(crop_pct=1.0, crop_mode="squash")  # a table of tokens says that there is another tower
    for name, root, seed in (("siglip-big-vision-texts", "params/", 50), ("siglip-big-vision-texts-bare", "", 51)):
        make_big_vision(name, image, seed, root + "img/", half, num_classes=0, act_layer="gelu_tanh", pictures=squashed,
                        extra={root + "txt/Embed_0/embedding": np.ones((9, 8), np.float32)})
    make_big_vision("vit-big-vision-map", image, 44, "params/", half)
    for folder, _, files in os.walk(OUT):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)


if __name__ == "__main__":
    main()
