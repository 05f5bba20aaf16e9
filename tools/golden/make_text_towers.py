#!/usr/bin/env python3
"""Writes test/golden/texts: tiny random models with a text tower, and what their own library answers
in float64.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers open_clip_torch cn_clip \\
        peft ml_dtypes pillow numpy
    venv/bin/python tools/golden/make_text_towers.py [MODEL...]

Every model is made and saved by its library (transformers' save_pretrained, open_clip's state dict and
configuration, torch.save of cn_clip's state dict as its training writes it, torch.jit.save of a traced CLIP as OpenAI's archives are); big_vision's files are made of a
model of transformers, and open_clip's loader of them reads the same. The expected values come
from the library's own code run in double on the weights as they stand in the file. README.md there
says what each file holds.
"""
import json
import math
import os
import shutil
import sys

import numpy as np
import open_clip
import safetensors.torch
import torch
import transformers
from open_clip.timm_model import TimmModel
from PIL import Image
from reference import register_softmax64
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "texts")
SIDE, WORDS, CONTEXT = 32, 100, 12
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
VISION = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=1, num_attention_heads=3, image_size=SIDE, patch_size=8)
TEXT = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, vocab_size=WORDS,
            max_position_embeddings=CONTEXT)
half, bf16 = torch.float16, torch.bfloat16


def picture():
    rng = np.random.default_rng(18)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    rgb = np.stack([127 + 120 * np.sin(x / 5 + y / 9), 7 * x + y * 0.2, 7.5 * y], -1)
    rgb[9:22, 12:27] = 255 - rgb[9:22, 12:27]
    return np.clip(np.rint(rgb + rng.normal(0, 12, rgb.shape)), 0, 255).astype(np.uint8)


def pixels(mean=CLIP_MEAN, std=CLIP_STD):
    """The picture has the input's size, so that nothing is resampled."""
    x = torch.from_numpy(picture().astype(np.float64) / 255)
    return ((x - torch.tensor(mean, dtype=torch.float64)) / torch.tensor(std, dtype=torch.float64)).permute(2, 0, 1)[None]


def randomise(model, seed, dtype):
    """Every tensor matters; then everything is rounded to what the file will hold."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            r = torch.randn(p.shape, generator=g)
            low = name.lower()
            if low.endswith("logit_scale"):
                r = torch.full_like(p, 2.0) + 0.1 * r
            elif low.endswith("logit_bias"):
                r = torch.full_like(p, -1.5) + 0.1 * r
            elif p.dim() >= 2 and "embedding" in low and "patch" not in low:
                r = 0.7 * r
            elif p.dim() >= 2:
                sharp = 1.7 if any(s in low for s in ("q_proj", "k_proj", "query", "key", "in_proj")) else 1.0
                r = r * sharp / math.sqrt(p[0].numel())
            elif ("norm" in low or "ln_" in low) and low.endswith("weight"):
                r = 1 + 0.3 * r
            else:
                r = 0.2 * r
            p.copy_(r.to(dtype).float())


def ids_of(seed, begin, end, lengths):
    """Texts of so many ids, what begins and ends them among these; ids 0 to 4 are special."""
    rng = np.random.default_rng(seed)
    middle = lambda n: [int(i) for i in rng.integers(5, WORDS - 2, n)]
    return [[begin] + middle(n - 2) + [end] for n in lengths]


LENGTHS = (5, 9, 3, CONTEXT, 2)


def save(folder, name, array, dtype=np.float32):
    array = array.detach().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    np.save(os.path.join(folder, name + ".npy"), np.ascontiguousarray(array.astype(dtype)))


def fresh(name):
    folder = os.path.join(OUT, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def finish(folder, texts, embed_text, embed_image, rows, scale, bias, sigmoid, x):
    """rows: the module whose output is what goes into the blocks (or, of BERT, into the embeddings'
    norm), for the gradient by a text's token rows."""
    width = max(len(t) for t in texts)
    save(folder, "ids", [t + [-1] * (width - len(t)) for t in texts], np.int32)
    kept = []

    def keep(module, args, out):
        out = out.detach().requires_grad_()
        kept.append(out)
        return out

    def keep_in(module, args):
        out = args[0].detach().requires_grad_()
        kept.append(out)
        return (out,) + tuple(args[1:])

    module, before = rows
    (module.register_forward_pre_hook(keep_in) if before else module.register_forward_hook(keep))
    embeds, cosines, inputs, gradients = [], [], [], []
    image = None
    if embed_image:
        with torch.no_grad():
            image = embed_image(x)
        save(folder, "image_embeds", image)
        direction = image[0] / image[0].norm()
    for text in texts:
        kept.clear()
        out = embed_text(torch.tensor([text]))[0]
        if image is None:
            direction = torch.cos(torch.arange(out.shape[0], dtype=torch.float64))
            direction = direction / direction.norm()
        cosine = (out / out.norm()) @ direction
        cosine.backward()
        # what a library fills texts up with behind their end is not run
        to = lambda a: torch.nn.functional.pad(a[0, : len(text)], (0, 0, 0, width - len(text)))
        inputs.append(to(kept[0].detach()))
        gradients.append(to(kept[0].grad))
        embeds.append(out.detach())
        cosines.append(cosine.detach())
    embeds, cosines = torch.stack(embeds), torch.stack(cosines)
    assert torch.isfinite(embeds).all() and (embeds.max(0).values - embeds.min(0).values).min() > 0.01, folder
    save(folder, "rows", torch.stack(inputs))
    save(folder, "gradient", torch.stack(gradients))
    save(folder, "text_embeds", embeds)
    save(folder, "cosines", cosines)
    if image is not None:
        logits = math.exp(scale) * cosines + bias
        save(folder, "logits", logits)
        save(folder, "probabilities", torch.sigmoid(logits) if sigmoid else torch.softmax(logits, 0))


# ---------------------------------------------------------------------------- transformers

def hf(name, make, seed, dtype, texts, rows, sigmoid=False, mean=CLIP_MEAN, std=CLIP_STD, pictures=True, processor=None):
    folder = fresh(name)
    model = make().eval()
    randomise(model, seed, dtype)
    model.to(dtype).save_pretrained(folder)
    if processor:
        processor.save_pretrained(folder)
    model = model.double()
    model.set_attn_implementation("softmax64")
    whole = hasattr(model, "get_text_features") and hasattr(model, "text_model")

    def embed_text(ids):
        if not whole:
            out = model(input_ids=ids)
            return out.text_embeds if hasattr(out, "text_embeds") else out.pooler_output
        out = model.get_text_features(input_ids=ids)
        return out if isinstance(out, torch.Tensor) else out.pooler_output

    def embed_image(x):
        out = model.get_image_features(pixel_values=x)
        return out if isinstance(out, torch.Tensor) else out.pooler_output

    finish(folder, texts, embed_text, embed_image if pictures else None, rows(model),
           model.logit_scale.item() if pictures else 0, model.logit_bias.item() if sigmoid else 0, sigmoid,
           pixels(mean, std))
    if pictures and not sigmoid and len({len(t) for t in texts}) == 1:
        check_whole(folder, model, texts, mean, std)


def check_whole(folder, model, texts, mean, std):
    out = model(input_ids=torch.tensor(texts), pixel_values=pixels(mean, std))
    error = np.abs(np.load(os.path.join(folder, "logits.npy")) - out.logits_per_image[0].detach().numpy()).max()
    assert error < 1e-5, (folder, error)


def processors():
    from transformers import CLIPImageProcessor, SiglipImageProcessor
    return (CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE),
            SiglipImageProcessor(size={"height": SIDE, "width": SIDE}))


def padded(texts, pad):
    return [t + [pad] * (CONTEXT - len(t)) for t in texts]


def make_hf(wanted):
    T = transformers
    of_clip, of_siglip = processors()
    embeddings = lambda m: ((m.text_model if hasattr(m, "text_model") else m).embeddings, False)
    norm = lambda m: (m.text_model.embeddings.LayerNorm, True)
    clip = lambda **k: T.CLIPConfig(text_config=dict(TEXT, bos_token_id=WORDS - 2, **k.pop("text", {})),
                                    vision_config=dict(VISION, **k.pop("vision", {})), projection_dim=20, **k)
    ends = ids_of(1, WORDS - 2, WORDS - 1, LENGTHS)
    if wanted("clip-hf"):
        hf("clip-hf", lambda: T.CLIPModel(clip(text=dict(eos_token_id=WORDS - 1), vision=dict(hidden_act="gelu"))), 1, half,
           ends, embeddings, processor=of_clip)
    if wanted("clip-hf-argmax"):  # eos_token_id 2, as old files say it: the token of the largest id
        hf("clip-hf-argmax", lambda: T.CLIPModel(clip(text=dict(eos_token_id=2, hidden_act="gelu"))), 2, bf16, ends,
           embeddings, processor=of_clip)
    if wanted("clip-hf-text"):
        hf("clip-hf-text", lambda: T.CLIPTextModelWithProjection(T.CLIPTextConfig(
            **TEXT, bos_token_id=WORDS - 2, eos_token_id=WORDS - 1, projection_dim=20)), 3, torch.float32, ends,
           lambda m: (m.text_model.embeddings, False), pictures=False)
    if wanted("clip-hf-text-bare"):
        hf("clip-hf-text-bare", lambda: T.CLIPTextModel(T.CLIPTextConfig(
            **TEXT, bos_token_id=WORDS - 2, eos_token_id=WORDS - 1)), 4, half, ends, embeddings, pictures=False)
    if wanted("siglip-hf"):
        text = dict(TEXT, hidden_size=36, num_attention_heads=3, projection_size=24)
        hf("siglip-hf", lambda: T.SiglipModel(T.SiglipConfig(text_config=text, vision_config=VISION)), 5, half,
           padded([t[1:] for t in ids_of(5, 3, 1, LENGTHS)], 1), embeddings, sigmoid=True, mean=(0.5,) * 3, std=(0.5,) * 3,
           processor=of_siglip)
    if wanted("siglip2-hf"):  # pictures of NaFlex: see test/golden/naflex
        text = dict(TEXT, projection_size=24)
        hf("siglip2-hf", lambda: T.Siglip2Model(T.Siglip2Config(text_config=text, vision_config=dict(
            hidden_size=24, intermediate_size=40, num_hidden_layers=1, num_attention_heads=3, num_patches=16, patch_size=8))), 6,
           half, padded([t[1:] for t in ids_of(6, 3, 1, LENGTHS)], 0), embeddings, pictures=False)
    if wanted("metaclip2-hf"):
        config = T.MetaClip2Config(text_config=dict(TEXT, bos_token_id=0, eos_token_id=2, hidden_act="gelu"),
                                   vision_config=dict(VISION, hidden_act="gelu"), projection_dim=20)
        hf("metaclip2-hf", lambda: T.MetaClip2Model(config), 7, half, ids_of(7, 0, 2, LENGTHS), embeddings, processor=of_clip)
    if wanted("chinese-clip-hf"):
        config = T.ChineseCLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=20)
        hf("chinese-clip-hf", lambda: T.ChineseCLIPModel(config), 8, half, ids_of(8, 3, 4, LENGTHS), norm, processor=of_clip)
    if wanted("altclip-hf"):
        config = T.AltCLIPConfig(text_config=dict(TEXT, max_position_embeddings=CONTEXT + 2, project_dim=28),
                                 vision_config=VISION, projection_dim=20)
        hf("altclip-hf", lambda: T.AltCLIPModel(config), 9, half, ids_of(9, 0, 2, LENGTHS),
           lambda m: (m.text_model.roberta.embeddings.LayerNorm, True), processor=of_clip)


# ---------------------------------------------------------------------------- open_clip

def make_open_clip(name, seed, dtype, texts, model_cfg, preprocess={}, trunk=None, sigmoid=False):
    folder = fresh(name)
    cfg = {k: v for k, v in model_cfg.items() if k != "custom_text"}
    kind = open_clip.CustomTextCLIP if model_cfg.get("custom_text") else open_clip.CLIP
    if trunk:  # of a size that no name has: built as open_clip builds it, around it
        cfg["vision_cfg"] = dict(layers=1, width=16, head_width=8, patch_size=4, image_size=8)
    model = kind(**cfg)
    if trunk:
        model.visual = trunk()
    randomise(model, seed, dtype)
    tensors = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    safetensors.torch.save_file(tensors, os.path.join(folder, "open_clip_model.safetensors"))
    json.dump(dict(model_cfg=model_cfg, preprocess_cfg=preprocess), open(os.path.join(folder, "open_clip_config.json"), "w"), indent=2)
    model = model.double().eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    transformer = model.text.transformer if model_cfg.get("custom_text") else model.transformer
    mean, std = preprocess.get("mean", CLIP_MEAN), preprocess.get("std", CLIP_STD)
    finish(folder, texts, lambda ids: model.encode_text(pad_to(ids, CONTEXT, 0)), model.encode_image, (transformer, True),
           model.logit_scale.item(), model.logit_bias.item() if sigmoid else 0, sigmoid, pixels(mean, std))


def pad_to(ids, n, pad):
    return torch.nn.functional.pad(ids, (0, n - ids.shape[1]), value=pad)


def siglip_trunk(proj=None, **args):
    import timm

    make = timm.create_model
    timm.create_model = lambda name, **kw: make(name, embed_dim=24, depth=1, mlp_ratio=40 / 24, img_size=SIDE,
                                                patch_size=8, **args, **kw)
    try:
        return TimmModel("vit_base_patch16_siglip_224", 24, image_size=SIDE, pool="map", proj=proj)
    finally:
        timm.create_model = make


def make_all_open_clip(wanted):
    text = dict(context_length=CONTEXT, vocab_size=WORDS, width=24, heads=2, layers=2, mlp_ratio=40 / 24)
    vision = dict(image_size=SIDE, layers=1, width=24, head_width=8, patch_size=8, mlp_ratio=40 / 24)
    ends = ids_of(20, WORDS - 2, WORDS - 1, LENGTHS)
    squash = dict(mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize_mode="squash")
    if wanted("clip-open-clip"):
        make_open_clip("clip-open-clip", 20, half, ends, dict(embed_dim=20, quick_gelu=True, vision_cfg=vision, text_cfg=text))
    if wanted("clip-open-clip-custom"):  # as MetaCLIP 2 and PE: another tokenizer, the row of an id
        make_open_clip("clip-open-clip-custom", 21, half, ids_of(21, 0, 2, LENGTHS), dict(
            embed_dim=20, custom_text=True, vision_cfg=vision,
            text_cfg=dict(text, pool_type="eos", eos_id=2, hf_tokenizer_name="none", norm_kwargs={"eps": 1e-6})))
    if wanted("siglip-open-clip"):
        cfg = dict(embed_dim=24, custom_text=True, init_logit_bias=-10,
                   vision_cfg=dict(image_size=SIDE, timm_model_name="vit_base_patch16_siglip_224", timm_model_pretrained=False,
                                   timm_pool="map", timm_proj="none"),
                   text_cfg=dict(text, hf_tokenizer_name="none", tokenizer_kwargs={"clean": "canonicalize"},
                                 no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs={"eps": 1e-6},
                                 act_kwargs={"approximate": "tanh"}))
        make_open_clip("siglip-open-clip", 22, half, padded([t[1:] for t in ids_of(22, 3, 1, LENGTHS)], 1), cfg, squash,
                       siglip_trunk, sigmoid=True)


# ---------------------------------------------------------------------------- big_vision

def big_vision_block(s, heads):
    """A block of transformers' as Flax's arrays: [in, out], heads apart."""
    w = lambda name: s[name + ".weight"].T
    d = w("self_attn.q_proj").shape[0]
    a = "MultiHeadDotProductAttention_0/"
    out = {"LayerNorm_0/scale": s["layer_norm1.weight"], "LayerNorm_0/bias": s["layer_norm1.bias"],
           "LayerNorm_1/scale": s["layer_norm2.weight"], "LayerNorm_1/bias": s["layer_norm2.bias"],
           a + "out/kernel": w("self_attn.out_proj").reshape(heads, d // heads, d), a + "out/bias": s["self_attn.out_proj.bias"]}
    for name in ("query", "key", "value"):
        out[a + name + "/kernel"] = w(f"self_attn.{name[0]}_proj").reshape(d, heads, d // heads)
        out[a + name + "/bias"] = s[f"self_attn.{name[0]}_proj.bias"].reshape(heads, d // heads)
    for i in range(2):
        out[f"MlpBlock_0/Dense_{i}/kernel"], out[f"MlpBlock_0/Dense_{i}/bias"] = w(f"mlp.fc{i + 1}"), s[f"mlp.fc{i + 1}.bias"]
    return out


def big_vision_tower(s, prefix, blocks, norm, heads, stacked):
    inner = lambda before: {k.removeprefix(before): v for k, v in s.items() if k.startswith(before)}
    layers = sum(k.startswith(prefix + "encoder.layers.") and k.endswith("layer_norm1.bias") for k in s)
    all_blocks = [big_vision_block(inner(f"{prefix}encoder.layers.{i}."), heads) for i in range(layers)]
    out = {"encoder_norm/scale": s[prefix + norm + ".weight"], "encoder_norm/bias": s[prefix + norm + ".bias"]}
    if stacked:
        out.update({"encoderblock/" + k: np.stack([b[k] for b in all_blocks]) for k in all_blocks[0]})
    else:
        out.update({f"encoderblock_{i}/{k}": v for i, b in enumerate(all_blocks) for k, v in b.items()})
    return {blocks + k: v for k, v in out.items()}


def big_vision_pool(s, heads):
    """transformers' SiglipMultiheadAttentionPoolingHead as MAPHead_0."""
    d = s["probe"].shape[-1]
    weights, biases = np.split(s["attention.in_proj_weight"], 3), np.split(s["attention.in_proj_bias"], 3)
    block = {"layer_norm1.weight": s["layernorm.weight"], "layer_norm1.bias": s["layernorm.bias"],
             "layer_norm2.weight": s["layernorm.weight"], "layer_norm2.bias": s["layernorm.bias"],
             **{k: v for k, v in s.items() if k.startswith("mlp.")}}
    for name, weight, bias in zip(("q_proj", "k_proj", "v_proj"), weights, biases):
        block[f"self_attn.{name}.weight"], block[f"self_attn.{name}.bias"] = weight, bias
    for end in ("weight", "bias"):
        block["self_attn.out_proj." + end] = s["attention.out_proj." + end]
    out = big_vision_block(block, heads)
    return dict({k: v for k, v in out.items() if not k.startswith("LayerNorm_1")}, probe=s["probe"])


def big_vision_arrays(model, root, stacked):
    s = {k: v.numpy() for k, v in model.state_dict().items()}
    c, picture = model.config, "vision_model."
    inner = lambda before: {k.removeprefix(before): v for k, v in s.items() if k.startswith(before)}
    img = big_vision_tower(s, picture, "Transformer/", "post_layernorm", c.vision_config.num_attention_heads, stacked)
    img.update({"embedding/kernel": s[picture + "embeddings.patch_embedding.weight"].transpose(2, 3, 1, 0),
                "embedding/bias": s[picture + "embeddings.patch_embedding.bias"],
                "pos_embedding": s[picture + "embeddings.position_embedding.weight"][None]})
    img.update({"MAPHead_0/" + k: v for k, v in big_vision_pool(inner(picture + "head."), c.vision_config.num_attention_heads).items()})
    txt = big_vision_tower(s, "text_model.", "Encoder_0/", "final_layer_norm", c.text_config.num_attention_heads, stacked)
    txt.update({"Embed_0/embedding": s["text_model.embeddings.token_embedding.weight"],
                "pos_embedding": s["text_model.embeddings.position_embedding.weight"][None],
                "head/kernel": s["text_model.head.weight"].T, "head/bias": s["text_model.head.bias"]})
    out = {"t": s["logit_scale"], "b": s["logit_bias"], **{"img/" + k: v for k, v in img.items()},
           **{"txt/" + k: v for k, v in txt.items()}}
    return {root + k: v for k, v in out.items()}


def check_big_vision(path, model, texts, x):
    """open_clip's loader makes of the file what transformers' model is."""
    from open_clip.convert import load_big_vision_weights

    t = model.config.text_config
    text = dict(context_length=CONTEXT, vocab_size=WORDS, width=t.hidden_size, heads=t.num_attention_heads, layers=t.num_hidden_layers,
                mlp_ratio=t.intermediate_size / t.hidden_size, no_causal_mask=True, proj_bias=True, pool_type="last",
                norm_kwargs={"eps": 1e-6}, act_kwargs={"approximate": "tanh"})
    other = open_clip.CustomTextCLIP(embed_dim=24, init_logit_bias=-10, text_cfg=text, vision_cfg=dict(
        layers=1, width=16, head_width=8, patch_size=4, image_size=8)).float()
    other.visual = siglip_trunk("none", act_layer="gelu_tanh", num_heads=VISION["num_attention_heads"])
    load_big_vision_weights(other, path)
    other = other.double().eval()
    with torch.no_grad():
        ids = torch.tensor(texts)
        for a, b in ((other.encode_text(ids), model.get_text_features(input_ids=ids).pooler_output),
                     (other.encode_image(x), model.get_image_features(pixel_values=x).pooler_output)):
            assert (a - b).abs().max() < 1e-6, (path, (a - b).abs().max())
        assert other.logit_scale.item() == model.logit_scale.item() and other.logit_bias.item() == model.logit_bias.item()


def make_big_vision(name, seed, root, stacked, write):
    folder = fresh(name)
    T = transformers
    text = dict(TEXT, hidden_size=36, num_attention_heads=3, projection_size=24)
    model = T.SiglipModel(T.SiglipConfig(text_config=text, vision_config=VISION)).eval()
    randomise(model, seed, half)
    path = os.path.join(folder, "weights.npz")
    arrays = {k: np.ascontiguousarray(v.astype(np.float16)) for k, v in big_vision_arrays(model, root, stacked).items()}
    write(path, **arrays)
    model = model.double()
    model.set_attn_implementation("softmax64")
    texts = padded([t[1:] for t in ids_of(seed, 3, 1, LENGTHS)], 1)
    x = pixels((0.5,) * 3, (0.5,) * 3)
    check_big_vision(path, model, texts, x)
    finish(folder, texts, lambda ids: model.get_text_features(input_ids=ids).pooler_output,
           lambda x: model.get_image_features(pixel_values=x).pooler_output, (model.text_model.embeddings, False),
           model.logit_scale.item(), model.logit_bias.item(), True, x)


def make_all_big_vision(wanted):
    if wanted("siglip-big-vision"):
        make_big_vision("siglip-big-vision", 40, "params/", False, np.savez)
    if wanted("siglip-big-vision-scan"):
        make_big_vision("siglip-big-vision-scan", 41, "", True, np.savez_compressed)


# ---------------------------------------------------------------------------- cn_clip

def make_cn_clip(wanted):
    if not wanted("cn-clip"):
        return
    from cn_clip.clip import model as cn
    from cn_clip.clip.model import CLIP

    cn.LayerNorm.forward = torch.nn.LayerNorm.forward  # which computes in float32
    class Vocabulary:
        vocab = {"[PAD]": 0}

    folder = fresh("cn-clip")
    model = CLIP(embed_dim=20, image_resolution=SIDE, vision_layers=1, vision_width=64, vision_patch_size=8, vocab_size=WORDS,
                 text_attention_probs_dropout_prob=0.1, text_hidden_act="gelu", text_hidden_dropout_prob=0.1,
                 text_hidden_size=64, text_initializer_range=0.02, text_intermediate_size=40, text_max_position_embeddings=60,
                 text_num_attention_heads=1, text_num_hidden_layers=2, text_type_vocab_size=2, tokenizer=Vocabulary())
    randomise(model, 30, half)
    state = {"module." + k: v.half() for k, v in model.state_dict().items()}
    torch.save({"epoch": 1, "step": 1, "name": "tiny", "state_dict": state}, os.path.join(folder, "clip_cn_tiny.pt"))
    model = model.double().eval()
    finish(folder, ids_of(30, 3, 4, LENGTHS), lambda ids: model.encode_text(pad_to(ids, 52, 0)), model.encode_image,
           (model.bert.embeddings.LayerNorm, True), model.logit_scale.item(), 0, False, pixels())


# ---------------------------------------------------------------------------- OpenAI

def traced(model, texts):
    """As OpenAI made its archives: both ways traced, and three numbers kept as tensors."""
    for name, value in (("input_resolution", SIDE), ("context_length", CONTEXT), ("vocab_size", WORDS)):
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(value))
    return torch.jit.trace_module(model, {"encode_image": pixels().float(), "encode_text": pad_to(torch.tensor(texts[:1]), CONTEXT, 0)},
                                  check_trace=False)


def make_openai(wanted):
    if not wanted("clip-openai"):
        return
    folder = fresh("clip-openai")
    model = open_clip.CLIP(embed_dim=20, quick_gelu=True,
                           vision_cfg=dict(image_size=SIDE, layers=1, width=128, head_width=64, patch_size=8, mlp_ratio=0.25),
                           text_cfg=dict(context_length=CONTEXT, vocab_size=WORDS, width=64, heads=1, layers=1, mlp_ratio=0.5)).eval()
    randomise(model, 50, half)
    texts = ids_of(50, WORDS - 2, WORDS - 1, LENGTHS)
    program = traced(model, texts).half()
    for name, p in program.named_parameters():  # as OpenAI's convert_weights leaves them
        if "ln_" in name:
            p.data = p.data.float()
    path = os.path.join(folder, "ViT-B-32.pt")
    torch.jit.save(program, path)
    loaded = torch.jit.load(path).float()
    model = model.double()
    encode = lambda ids: model.encode_text(pad_to(ids, CONTEXT, 0))
    for text in texts:
        error = (loaded.encode_text(pad_to(torch.tensor([text]), CONTEXT, 0)) - encode(torch.tensor([text]))).abs().max()
        assert error < 1e-4, error
    assert (loaded.encode_image(pixels().float()) - model.encode_image(pixels())).abs().max() < 1e-4
    finish(folder, texts, encode, model.encode_image, (model.transformer, True), model.logit_scale.item(), 0, False, pixels())


def main():
    register_softmax64()
    transformers.AttentionMaskInterface.register("softmax64", ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    os.makedirs(OUT, exist_ok=True)
    wanted = lambda name: len(sys.argv) == 1 or name in sys.argv[1:]
    Image.fromarray(picture()).save(os.path.join(OUT, "picture.png"), optimize=True)
    save(OUT, "input", pixels())
    save(OUT, "input-siglip", pixels((0.5,) * 3, (0.5,) * 3))
    make_hf(wanted)
    make_all_open_clip(wanted)
    make_all_big_vision(wanted)
    make_cn_clip(wanted)
    make_openai(wanted)
    for folder, _, files in os.walk(OUT):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)


if __name__ == "__main__":
    main()
