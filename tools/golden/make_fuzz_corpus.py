#!/usr/bin/env python3
"""Writes the seeds of test/fuzz/corpus and the word lists beside it: the smallest models that have all
parts, and the files that lie beside models.

    python3 tools/golden/make_fuzz_corpus.py        (needs NumPy)

Inputs that a fuzzer has found are kept under names that begin with "found-"; they stay. Seeds for
pictures are those of test/golden/image.
"""
import gzip
import io
import json
import os
import struct

import numpy as np

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "test", "fuzz")
D, P, F, K, GRID = 4, 2, 3, 2, 2
RNG = np.random.default_rng(5)


def put(kind, name, data):
    folder = os.path.join(OUT, "corpus", kind)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def draw(*shape):
    return (RNG.normal(size=shape) * 0.5).astype(np.float32)


# ------------------------------------------------------------------------ safetensors ------

def timm(depth=1, prefix=1, extra=()):
    t = {"patch_embed.proj.weight": draw(D, 3, P, P), "patch_embed.proj.bias": draw(D), "pos_embed": draw(1, prefix + GRID * GRID, D),
         "norm.weight": draw(D), "norm.bias": draw(D), "head.weight": draw(K, D), "head.bias": draw(K)}
    if prefix:
        t["cls_token"] = draw(1, 1, D)
    if "norm_pre" in extra:
        t.update({"norm_pre.weight": draw(D), "norm_pre.bias": draw(D)})
    for i in range(depth):
        b = f"blocks.{i}."
        t.update({b + "norm1.weight": draw(D), b + "norm1.bias": draw(D), b + "attn.qkv.weight": draw(3 * D, D),
                  b + "attn.qkv.bias": draw(3 * D), b + "attn.proj.weight": draw(D, D), b + "attn.proj.bias": draw(D),
                  b + "norm2.weight": draw(D), b + "norm2.bias": draw(D), b + "mlp.fc1.weight": draw(F, D), b + "mlp.fc1.bias": draw(F),
                  b + "mlp.fc2.weight": draw(D, F), b + "mlp.fc2.bias": draw(D)})
        if "scale" in extra:
            t.update({b + "ls1.gamma": draw(D), b + "ls2.gamma": draw(D)})
    return t


def hugging_face(kind, prefix):
    e, b = f"{kind}.embeddings.", f"{kind}.encoder.layer.0."
    t = {e + "patch_embeddings.projection.weight": draw(D, 3, P, P), e + "patch_embeddings.projection.bias": draw(D),
         e + "cls_token": draw(1, 1, D), e + "position_embeddings": draw(1, prefix + GRID * GRID, D),
         f"{kind}.layernorm.weight": draw(D), f"{kind}.layernorm.bias": draw(D), "classifier.weight": draw(K, D), "classifier.bias": draw(K)}
    if prefix == 2:
        t[e + "distillation_token"] = draw(1, 1, D)
    for name, rows, columns in (("attention.attention.query", D, D), ("attention.attention.key", D, D), ("attention.attention.value", D, D),
                                ("attention.output.dense", D, D), ("intermediate.dense", F, D), ("output.dense", D, F)):
        t.update({b + name + ".weight": draw(rows, columns), b + name + ".bias": draw(rows)})
    for name in ("layernorm_before", "layernorm_after"):
        t.update({b + name + ".weight": draw(D), b + name + ".bias": draw(D)})
    return t


def linear(names, shapes):
    return {f"{n}.{leaf}": draw(*(s if leaf == "weight" else s[:1])) for n, s in zip(names, shapes) for leaf in ("weight", "bias")}


def norms(*names):
    return linear(names, [(D,)] * len(names))


def tower(siglip):
    """CLIP's of Hugging Face with a projection, or SigLIP's with its pooling head."""
    v, b = "vision_model.", "vision_model.encoder.layers.0."
    t = {v + "embeddings.patch_embedding.weight": draw(D, 3, P, P), v + "embeddings.position_embedding.weight": draw(GRID * GRID + (not siglip), D)}
    t.update(norms(b + "layer_norm1", b + "layer_norm2", v + "post_layernorm"))
    t.update(linear([f"{b}self_attn.{p}_proj" for p in ("q", "k", "v", "out")], [(D, D)] * 4))
    t.update(linear([b + "mlp.fc1", b + "mlp.fc2"], [(F, D), (D, F)]))
    if siglip:
        h = v + "head."
        t.update({v + "embeddings.patch_embedding.bias": draw(D), h + "probe": draw(1, 1, D), h + "attention.in_proj_weight": draw(3 * D, D),
                  h + "attention.in_proj_bias": draw(3 * D)})
        t.update(norms(h + "layernorm"))
        t.update(linear([h + "attention.out_proj", h + "mlp.fc1", h + "mlp.fc2"], [(D, D), (F, D), (D, F)]))
    else:
        t.update({v + "embeddings.class_embedding": draw(D), "visual_projection.weight": draw(K, D)})
        t.update(norms(v + "pre_layrnorm"))
    return t


def open_clip():
    v, b = "visual.", "visual.transformer.resblocks.0."
    t = {v + "class_embedding": draw(D), v + "conv1.weight": draw(D, 3, P, P), v + "positional_embedding": draw(1 + GRID * GRID, D),
         v + "proj": draw(D, K), b + "attn.in_proj_weight": draw(3 * D, D), b + "attn.in_proj_bias": draw(3 * D), "logit_scale": draw(1)}
    t.update(norms(v + "ln_pre", v + "ln_post", b + "ln_1", b + "ln_2"))
    t.update(linear([b + "attn.out_proj", b + "mlp.c_fc", b + "mlp.c_proj"], [(D, D), (F, D), (D, F)]))
    return t


WORDS, CONTEXT = 6, 5


def text_hf(siglip):
    v, b = "text_model.", "text_model.encoder.layers.0."
    t = {v + "embeddings.token_embedding.weight": draw(WORDS, D), v + "embeddings.position_embedding.weight": draw(CONTEXT, D)}
    t.update(norms(b + "layer_norm1", b + "layer_norm2", v + "final_layer_norm"))
    t.update(linear([f"{b}self_attn.{p}_proj" for p in ("q", "k", "v", "out")], [(D, D)] * 4))
    t.update(linear([b + "mlp.fc1", b + "mlp.fc2"], [(F, D), (D, F)]))
    if siglip:
        t.update({v + "head.weight": draw(K, D), v + "head.bias": draw(K), "logit_bias": draw(1)})
    else:
        t["text_projection.weight"] = draw(K, D)
    t["logit_scale"] = draw(1)
    return t


def text_bert(v, twice):
    e, b = v + "embeddings.", v + "encoder.layer."
    t = {e + "word_embeddings.weight": draw(WORDS, D), e + "position_embeddings.weight": draw(CONTEXT, D),
         e + "token_type_embeddings.weight": draw(2, D), "logit_scale": draw(1)}
    t.update(norms(e + "LayerNorm"))
    for i in range(2):
        at = f"{b}{i}."
        t.update(norms(at + "attention.output.LayerNorm", at + "output.LayerNorm"))
        t.update(linear([at + "attention.self." + p for p in ("query", "key", "value")] + [at + "attention.output.dense"], [(D, D)] * 4))
        t.update(linear([at + "intermediate.dense", at + "output.dense"], [(F, D), (D, F)]))
    if twice:
        t.update(norms("text_model.pre_LN"))
        t.update(linear(["text_model.transformation"], [(3, D)]))
    t["text_projection.weight"] = draw(K, 3 if twice else D)
    return t


def text_open_clip():
    b = "transformer.resblocks.0."
    t = {"token_embedding.weight": draw(WORDS, D), "positional_embedding": draw(CONTEXT, D), "text_projection": draw(D, K),
         b + "attn.in_proj_weight": draw(3 * D, D), b + "attn.in_proj_bias": draw(3 * D), "logit_scale": draw(1)}
    t.update(norms("ln_final", b + "ln_1", b + "ln_2"))
    t.update(linear([b + "attn.out_proj", b + "mlp.c_fc", b + "mlp.c_proj"], [(D, D), (F, D), (D, F)]))
    return t


def dinov2():
    """Two registers, SwiGLU, a head on the class token and the mean."""
    v, b = "dinov2_with_registers.", "dinov2_with_registers.encoder.layer.0."
    t = {v + "embeddings.cls_token": draw(1, 1, D), v + "embeddings.mask_token": draw(1, D), v + "embeddings.register_tokens": draw(1, 2, D),
         v + "embeddings.position_embeddings": draw(1, 1 + GRID * GRID, D), b + "layer_scale1.lambda1": draw(D),
         b + "layer_scale2.lambda1": draw(D), "classifier.weight": draw(K, 2 * D), "classifier.bias": draw(K)}
    t.update(linear([v + "embeddings.patch_embeddings.projection"], [(D, 3, P, P)]))
    t.update(norms(v + "layernorm", b + "norm1", b + "norm2"))
    t.update(linear([f"{b}attention.{p}" for p in ("attention.query", "attention.key", "attention.value", "output.dense")], [(D, D)] * 4))
    t.update(linear([b + "mlp.weights_in", b + "mlp.weights_out"], [(2 * F, D), (D, F)]))
    return t


def trained(tensors):
    """Names that training leaves behind: a prefix, wrappers, chunks, a head of its own, leftovers."""
    out = {"model.step": draw(1), "model.criterion.weight": draw(K), "model.head.mlp.0.weight": draw(D, D), "model.head.last_layer.weight_g": draw(1)}
    for name, value in tensors.items():
        if name.startswith("head."):
            out["model.fc." + name[5:]] = value
        else:
            out["model.net." + name.replace("blocks.0.", "blocks.0.0._orig_mod.").replace("blocks.1.", "blocks.1.1.")] = value
    return out


def adapted(tensors):
    """What peft has in memory."""
    out, prefix = {}, "base_model.model."
    for name, value in tensors.items():
        name = name.replace("encoder.layer.", "layers.").replace("attention.attention.query", "attention.q_proj.base_layer")
        name = name.replace("attention.attention.key", "attention.k_proj").replace("attention.attention.value", "attention.v_proj")
        name = name.replace("attention.output.dense", "attention.o_proj").replace("intermediate.dense", "mlp.fc1").replace("output.dense", "mlp.fc2")
        out[prefix + name.replace("classifier.", "classifier.modules_to_save.default.")] = value
    query = prefix + "vit.layers.0.attention.q_proj."
    out.update({query + "lora_A.default.weight": draw(1, D), query + "lora_B.default.weight": draw(D, 1),
                prefix + "classifier.original_module.weight": draw(K, D)})
    return out


def safetensors(tensors, dtype, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, value in tensors.items():
        raw = {"F32": value, "F16": value.astype(np.float16), "BF16": (value.view(np.uint32) >> 16).astype(np.uint16)}[dtype].tobytes()
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# ------------------------------------------------------------------------ npz --------------

def google(big_vision=False, stacked=False, prefix=""):
    attention, norm2, mlp = ("0", "1", "0") if big_vision else ("1", "2", "3")
    t = {"embedding/kernel": draw(P, P, 3, D), "embedding/bias": draw(D), "Transformer/encoder_norm/scale": draw(D),
         "Transformer/encoder_norm/bias": draw(D), "head/kernel": draw(D, K), "head/bias": draw(K)}
    if big_vision:
        t["pos_embedding"] = draw(1, GRID * GRID, D)
    else:
        t.update({"cls": draw(1, 1, D), "Transformer/posembed_input/pos_embedding": draw(1, 1 + GRID * GRID, D)})
    a = f"MultiHeadDotProductAttention_{attention}/"
    block = {"LayerNorm_0/scale": (D,), "LayerNorm_0/bias": (D,), f"LayerNorm_{norm2}/scale": (D,), f"LayerNorm_{norm2}/bias": (D,),
             a + "out/kernel": (2, D // 2, D), a + "out/bias": (D,), f"MlpBlock_{mlp}/Dense_0/kernel": (D, F),
             f"MlpBlock_{mlp}/Dense_0/bias": (F,), f"MlpBlock_{mlp}/Dense_1/kernel": (F, D), f"MlpBlock_{mlp}/Dense_1/bias": (D,)}
    for name in ("query", "key", "value"):
        block.update({a + name + "/kernel": (D, 2, D // 2), a + name + "/bias": (2, D // 2)})
    where = "Transformer/encoderblock/" if stacked else "Transformer/encoderblock_0/"
    t.update({where + k: draw(*((2,) + s if stacked else s)) for k, s in block.items()})
    return {prefix + k: v for k, v in t.items()}


def google_map(prefix, **args):
    """big_vision's with a head that pools by attention, in place of the classifier."""
    t = {k: v for k, v in google(True, **args).items() if not k.startswith("head/")}
    a = "MAPHead_0/MultiHeadDotProductAttention_0/"
    shapes = {"probe": (1, 1, D), "LayerNorm_0/scale": (D,), "LayerNorm_0/bias": (D,), "MlpBlock_0/Dense_0/kernel": (D, F),
              "MlpBlock_0/Dense_0/bias": (F,), "MlpBlock_0/Dense_1/kernel": (F, D), "MlpBlock_0/Dense_1/bias": (D,)}
    t.update({"MAPHead_0/" + k: draw(*s) for k, s in shapes.items()})
    for name in ("query", "key", "value"):
        t.update({a + name + "/kernel": draw(D, 2, D // 2), a + name + "/bias": draw(2, D // 2)})
    t.update({a + "out/kernel": draw(2, D // 2, D), a + "out/bias": draw(D)})
    return {prefix + k: v for k, v in t.items()}


def google_text(prefix):
    """The text tower of SigLIP in big_vision's archives, blocks below each other."""
    t = {k.replace("Transformer/", "Encoder_0/"): v for k, v in google(True, stacked=True).items() if not k.startswith("embedding/")}
    t.update({"Embed_0/embedding": draw(WORDS, D), "pos_embedding": draw(1, CONTEXT, D)})
    return {prefix + k: v for k, v in t.items()}


def archive(tensors, save):
    out = io.BytesIO()
    save(out, **tensors)
    return b"\0" + out.getvalue()


def members(tensors, flags, descr, fortran=()):
    """The list that fuzz_npz.c puts together."""
    out = bytes([flags | 1])
    for name, value in tensors.items():
        order = name.rsplit("/", 1)[-1] in fortran
        raw = value.astype(np.float16) if descr == "<f2" else value
        raw = raw.tobytes("F" if order else "C") if descr != "|V2" else (value.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {value.shape}, }}"
        out += f"{name}.npy\n{text}\n".encode() + struct.pack("<H", len(raw)) + raw
    return out


# ------------------------------------------------------------------------ config -----------

TIMM = {"architecture": "vit_tiny_patch16_224", "num_classes": K, "num_features": D, "global_pool": "token",
        "label_names": ["n00000000", "n00000001"], "label_descriptions": {"n00000000": "tench, Tinca tinca", "n00000001": "hen"},
        "model_args": {"num_heads": 2, "embed_dim": D, "depth": 1, "img_size": [4, 4], "patch_size": P, "act_layer": "gelu_tanh",
                       "qk_norm": False, "norm_layer": None},
        "pretrained_cfg": {"input_size": [3, 4, 4], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center",
                           "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}
HF = {"architectures": ["ViTForImageClassification"], "model_type": "vit", "hidden_size": D, "num_hidden_layers": 1,
      "num_attention_heads": 2, "intermediate_size": F, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": 4, "patch_size": P,
      "id2label": {"0": "tench", "1": "h\u00e9n"}, "label2id": {"tench": 0}}
PROCESSOR = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 4, "width": 4}, "resample": 2,
             "do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5],
             "image_std": 0.5}
DEIT = {"image_processor_type": "DeiTImageProcessor", "size": 5, "do_center_crop": True, "crop_size": {"height": 4, "width": 4}, "resample": 3}


CLIP = {"architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model", "hidden_size": D, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": F, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "image_size": 4, "patch_size": P,
        "projection_dim": K}
SIGLIP = {"model_type": "siglip", "vision_config": {"hidden_size": D, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": F,
                                                    "hidden_act": "gelu_pytorch_tanh", "image_size": 4, "patch_size": P, "vision_use_head": True}}
OPEN_CLIP = {"model_cfg": {"embed_dim": K, "quick_gelu": True, "vision_cfg": {"image_size": 4, "layers": 1, "width": D, "head_width": 2, "patch_size": P,
                                                                            "mlp_ratio": F / D, "pool_type": "tok", "no_ln_pre": False}, "text_cfg": {}},
             "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash", "fill_color": 0}}
DINOV2 = {"model_type": "dinov2_with_registers", "architectures": ["Dinov2WithRegistersForImageClassification"], "hidden_size": D,
          "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 4, "patch_size": P, "use_swiglu_ffn": True, "num_register_tokens": 2,
          "mlp_ratio": 1, "layer_norm_eps": 1e-6, "id2label": {"0": "a", "1": "b"}}


def index(tensors):
    """model.safetensors.index.json of one shard."""
    return {"metadata": {"total_size": 4 * sum(v.size for v in tensors.values())}, "weight_map": {k: "shard.safetensors" for k in tensors}}


def beside(weights, config=None, processor=None, labels="", nested=None):
    whole = {"image_processor": nested, "processor_class": "CLIPProcessor"} if nested else None
    parts = [json.dumps(p) if p is not None else "" for p in (config, processor, whole)] + [labels]
    return bytes([weights]) + "\0".join(parts).encode()


def words(name, items):
    with open(os.path.join(OUT, name + ".dict"), "w") as f:
        for item in items:
            f.write('"' + "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else "\\x%02x" % ord(c) for c in item) + '"\n')


def keys(value):
    if isinstance(value, dict):
        for k, v in value.items():
            yield '"%s"' % k
            yield from keys(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from keys(v)
    elif isinstance(value, str):
        yield '"%s"' % value


# ------------------------------------------------------------------------ tokenizers -------

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "text")
SAMPLE = "A Photo caf\u00e9 e\u0301 \u732b \u2581 <s>x  12! it's \u0130\u03a3 ab"


def tokenizer(file, clean, content, text=SAMPLE):
    """As fuzz_tokenizer.c takes it apart."""
    data = text.encode() if isinstance(text, str) else text
    content = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else json.dumps(content, ensure_ascii=False).encode()
    return bytes([clean * 8 + file]) + struct.pack("<H", len(data)) + data + content


def varint(n):
    return bytes([n]) if n < 128 else bytes([n % 128 + 128]) + varint(n // 128)


def bytes_field(number, data):
    return varint(number * 8 + 2) + varint(len(data)) + data


def spiece(kind, pieces, charsmap=b"", **flags):
    out = b"".join(bytes_field(1, bytes_field(1, p.encode()) + b"\x15" + struct.pack("<f", s) + b"\x18" + varint(t)) for p, s, t in pieces)
    trainer = b"\x18" + varint(kind) + b"".join(varint(n * 8) + varint(v) for n, v in flags.get("trainer", {}).items())
    rules = (bytes_field(2, charsmap) if charsmap else b"") + b"".join(varint(n * 8) + varint(v) for n, v in flags.get("rules", {}).items())
    return out + bytes_field(2, trainer) + bytes_field(3, rules)


def tokenizers():
    bpe = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u2581": 3, "<0xC3>": 4, "<0xA9>": 5, "u": 6, "ab\u2581": 7}, "merges": [["a", "b"], ["ab", "\u2581"]],
           "unk_token": "u", "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "dropout": None}
    suffix = {"type": "BPE", "vocab": {"a</w>": 0, "b": 1, "ba</w>": 2, "u": 3}, "merges": ["b a</w>"], "unk_token": "u", "end_of_word_suffix": "</w>"}
    pieces = {"type": "WordPiece", "vocab": {"a": 0, "##b": 1, "[UNK]": 2, "photo": 3, "cafe": 4}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20}
    unigram = {"type": "Unigram", "vocab": [["<s>", 0], ["u", 0.0], ["\u2581", -2.5], ["\u2581a", -1], ["b", -3e0], ["ab", -4]], "unk_id": 1, "byte_fallback": False}
    added = [{"id": 8, "content": "<s>", "single_word": False, "lstrip": True, "rstrip": True, "normalized": False, "special": True},
             {"id": 9, "content": "PHOTO", "single_word": True, "lstrip": False, "rstrip": False, "normalized": True, "special": False}]
    clip = {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}, "behavior": "Removed", "invert": True},
                                                  {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}]}
    steps = [{"type": "NFC"}, {"type": "NFD"}, {"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
             {"type": "Replace", "pattern": {"String": "o"}, "content": "ab"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "Strip"},
             {"type": "StripAccents"}, {"type": "Prepend", "prepend": "\u2581"}, {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}]
    roberta = {"type": "RobertaProcessing", "sep": ["u", 1], "cls": ["a", 0], "trim_offsets": True, "add_prefix_space": False}
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 0}}],
                "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]}}}
    cuts = [{"type": t} for t in ("BertPreTokenizer", "WhitespaceSplit", "Whitespace")] + [
        {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}, {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}]
    put("tokenizer", "json-bpe", tokenizer(0, 0, {"version": "1.0", "added_tokens": added, "normalizer": {"type": "Sequence", "normalizers": steps[3:6]}, "pre_tokenizer": cuts[4],
                                                  "post_processor": template, "decoder": None, "model": bpe}))
    put("tokenizer", "json-clip", tokenizer(0, 1, {"added_tokens": added[:1], "normalizer": {"type": "Sequence", "normalizers": steps[:3]}, "pre_tokenizer": clip, "post_processor": roberta, "model": suffix}))
    put("tokenizer", "json-bert", tokenizer(0, 2, {"normalizer": steps[9], "pre_tokenizer": cuts[0], "post_processor": {"type": "BertProcessing", "sep": ["u", 2], "cls": ["a", 0]}, "model": pieces}))
    put("tokenizer", "json-unigram", tokenizer(0, 3, {"added_tokens": added, "normalizer": {"type": "Sequence", "normalizers": steps[6:9]}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": cuts[1:4]},
                                                      "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]}, "padding": {"pad_id": 1}, "model": unigram}))
    with open(os.path.join(GOLDEN, "xlmr", "tokenizer.json"), encoding="utf-8") as f:
        charsmap = [n for n in json.load(f)["normalizer"]["normalizers"] if n["type"] == "Precompiled"][0]
    put("tokenizer", "json-charsmap", tokenizer(0, 4, {"normalizer": charsmap, "model": unigram}, SAMPLE + "\uff21\uff11 \ufb01 \u334d"))
    put("tokenizer", "json-config", tokenizer(0, 5, json.dumps({"model": bpe}) + "\0" + json.dumps({"pad_token": {"content": "a"}})))
    vocab = {c: i for i, c in enumerate(["a", "b", "a</w>", "b</w>", "ba</w>", "<|startoftext|>", "<|endoftext|>"])}
    put("tokenizer", "files", tokenizer(1, 0, json.dumps(vocab) + "\0#version: 0.2\nb a</w>\n"))
    put("tokenizer", "vocab-txt", tokenizer(2, 0, "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\nphoto\n\u732b\n\u2028\n"))
    import base64
    normal = [("\u2581", -2.5, 1), ("a", -1, 1), ("b", -3, 1), ("ab", -4, 1), ("\u2581ab", -5, 1)]
    head = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)]
    table = base64.b64decode(charsmap["precompiled_charsmap"])
    put("tokenizer", "spiece-unigram", tokenizer(3, 4, spiece(1, head + normal + [("x", 0, 4)], table), SAMPLE + "\uff21\uff11 \ufb01 \u334d"))
    put("tokenizer", "spiece-bpe", tokenizer(4, 5, spiece(2, head + normal + [("<0xC3>", 0, 6), ("<0xA9>", 0, 6), ("\u2581\u2581", 0, 4)], trainer={35: 1, 40: 0, 42: 2, 43: 1}, rules={3: 0, 4: 0})))
    put("tokenizer", "spiece-fairseq", tokenizer(5, 0, spiece(1, head + normal)))
    lines = "#version\n" + "a b\nab c</w>\n"
    put("tokenizer", "simple", tokenizer(6, 1, lines))
    put("tokenizer", "simple-gz", tokenizer(7, 1, gzip.compress(lines.encode(), mtime=0), b"a\xff\xc3 \xed\xa0\x80<|endoftext|>"))
    everything = [bpe, suffix, pieces, unigram, added, clip, steps, roberta, template, cuts, {"normalizers": 0, "version": 0, "padding": 0, "truncation": 0, "model": 0, "precompiled_charsmap": 0,
                  "add_prefix_space": 0, "processors": 0, "Precompiled": 0}]
    names = {json.dumps(v["type"]) for v in everything + steps + cuts if isinstance(v, dict) and "type" in v}
    words("tokenizer", sorted({k for k in keys(everything) if k.isascii()} | names | {"true", "false", "null", "[]", "{}", "\\u0000", "\\ud83d\\ude00", "1e9", '"Removed"', '"MergedWithPrevious"', '"always"', '"never"',
                              "<|startoftext|>", "<|endoftext|>", "[CLS]", "</w>", "##", "\xe2\x96\x81", "\xcc\x81", "\xef\xbf\xbd", "\x1f\x8b\x08", "\x0a\x0c\x0a", "\x15\x00\x00\x80\xbf\x18"}))


def main():
    put("safetensors", "timm", safetensors(timm(), "F32"))
    put("safetensors", "timm-half", safetensors(timm(2, 0, ("norm_pre", "scale")), "BF16", {"format": "pt"}))
    put("safetensors", "hf", safetensors(hugging_face("vit", 1), "F16"))
    put("safetensors", "deit", safetensors(hugging_face("deit", 2), "BF16"))
    put("npz", "original", archive(google(), np.savez))
    put("npz", "deflated", archive(google(prefix="opt/target/"), np.savez_compressed))
    put("npz", "members", members(google(), 0, "<f4", ("kernel",)))
    put("npz", "members-deflated", members(google(True, False, "params/"), 2, "<f2"))
    put("npz", "members-stacked", members(google(True, True, "params/img/"), 4, "|V2"))
    put("npz", "members-stacked-fortran", members(google(True, True, "params/"), 6, "<f4", ("kernel", "bias")))
    put("config", "timm", beside(0, TIMM))
    put("config", "timm-labels", beside(0, {"model_args": {"num_heads": 1}}, None, "n01440764 tench\nhen\n"))
    put("config", "timm-old", beside(0, dict(TIMM["pretrained_cfg"], crop_mode="squash", architecture="test_vit"), None,
                                     json.dumps(["tench", "hen"])))
    put("config", "hf", beside(1, HF, PROCESSOR))
    put("config", "hf-class", beside(1, dict(HF, hidden_act="quick_gelu"), dict(PROCESSOR, size={"shortest_edge": 5}, do_center_crop=True,
                                                                          crop_size=4), json.dumps({"0": "tench", "1": ["n1", "hen"]})))
    put("config", "hf-processor", beside(1, HF, None, "", dict(PROCESSOR, image_processor_type="CLIPImageProcessor", size=4, crop_size=4,
                                                             default_to_square=False, do_center_crop=True)))
    put("config", "hf-processors", beside(1, dict(HF, model_type="vit_msn"), dict(PROCESSOR, size=[4, 4]), "", DEIT))
    put("config", "deit", beside(2, dict(HF, model_type="deit", architectures=["DeiTForImageClassification"]), DEIT,
                                 json.dumps({"a": ["x", "y"], "b": ["x"]})))
    put("config", "google", beside(3, {"pretrained_cfg": {"crop_pct": 1.0, "interpolation": "nearest", "std": [1, 1, 1]}}))
    words("config", sorted(set(keys([TIMM, HF, PROCESSOR, DEIT, CLIP, SIGLIP, OPEN_CLIP, DINOV2])) |
                           {"null", "true", "false", "1e-6", "[]", "{}", '"shortest_edge"', '"longest_edge"', '"do_pad"', '"squash"', '"avg"',
                            '"nearest"', '"box"', '"image_processor"', '"default_to_square"', '"ijepa"', '"vit_msn"', '"lanczos"', '"weight_map"', '"shard.safetensors"', '"../"', '"timm_model_name"', '"timm_pool"', '"shortest"', '"longest"',
                            '"relu"', '"quick_gelu"', '"feature_extractor_type"', "\\u0000"}))
    words("safetensors", ['"dtype":"F32"', '"dtype":"F16"', '"dtype":"BF16"', '"dtype":"F4"', '"shape":[', '"data_offsets":[',
                          '"__metadata__":{', "9007199254740992", "[0,0]", "[]"])
    words("npz", ["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07", "\x93NUMPY\x01\x00", "'descr': '<f4'", "'<f2'", "'|V2'",
                  "'<i8'", "'fortran_order': True", "'shape': (", "()", "9007199254740992", ".npy\n", "params/", "opt/target/",
                  "Transformer/encoderblock/", "Transformer/encoderblock_1/", "pre_logits/kernel", "MAPHead_0/", "probe.npy\n",
                  "params/txt/Encoder_0/encoderblock/", "Encoder_0/encoderblock_1/", "Embed_0/embedding.npy\n", "params/b.npy\n"])
    words("image", ["\xff\xd8\xff", "\xff\xc0", "\xff\xc2", "\xff\xc4", "\xff\xda", "\xff\xdb", "\xff\xdd", "\xff\xe1", "\xff\xee", "Exif\x00\x00", "II*\x00",
                    "MM\x00*", "\x89PNG\r\n\x1a\n", "IHDR", "PLTE", "tRNS", "IDAT", "IEND", "eXIf", "BM", "\x28\x00\x00\x00", "\x6c\x00\x00\x00"])
    # behind the others, whose numbers stay the same
    put("npz", "members-map", members(google_map("params/img/"), 0, "<f2"))
    put("npz", "members-map-stacked", members(google_map("params/", stacked=True), 2, "|V2"))
    # weights of more families, for what lies beside them.
    put("safetensors", "clip", safetensors(tower(False), "F16"))
    put("safetensors", "siglip", safetensors(tower(True), "F16"))
    put("safetensors", "open-clip", safetensors(open_clip(), "F16"))
    put("safetensors", "dinov2", safetensors(dinov2(), "F16"))
    put("safetensors", "names", safetensors(trained(timm(2)), "F16"))
    put("safetensors", "lora", safetensors(adapted(hugging_face("vit", 1)), "F32"))
    put("config", "clip", beside(4, CLIP, dict(PROCESSOR, image_processor_type="CLIPImageProcessor", crop_size=4)))
    put("config", "siglip", beside(5, SIGLIP))
    put("config", "open-clip", beside(6, OPEN_CLIP))
    put("config", "dinov2", beside(7, DINOV2))
    put("config", "index", beside(8, index(timm())))
    # towers of texts, alone
    put("safetensors", "text-clip", safetensors(text_hf(False), "F16"))
    put("safetensors", "text-siglip", safetensors(text_hf(True), "F16"))
    put("safetensors", "text-bert", safetensors(text_bert("text_model.", False), "F16"))
    put("safetensors", "text-altclip", safetensors(text_bert("text_model.roberta.", True), "F16"))
    put("safetensors", "text-open-clip", safetensors(text_open_clip(), "F16"))
    put("safetensors", "text-cn-clip", safetensors({("" if "text_projection" in k or "logit" in k else "bert.") + k.removesuffix(".weight" if
        "text_projection" in k else "").removeprefix("text_model."): v.T if "text_projection" in k else v for k, v in
        text_bert("text_model.", False).items()}, "F16"))
    text = {"hidden_size": D, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": F, "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5, "vocab_size": WORDS, "max_position_embeddings": CONTEXT, "eos_token_id": 2}
    bert = dict(text, num_hidden_layers=2, hidden_act="gelu", pad_token_id=1, position_embedding_type="absolute", is_decoder=False)
    put("config", "text-clip", beside(9, {"model_type": "clip", "architectures": ["CLIPModel"], "text_config": text}))
    put("config", "text-clip-old", beside(9, {"model_type": "clip", "text_config_dict": dict(text, eos_token_id=5)}))
    put("config", "text-metaclip2", beside(9, {"model_type": "metaclip_2", "text_config": text}))
    put("config", "text-siglip", beside(10, {"model_type": "siglip", "text_config": dict(text, hidden_act="gelu_pytorch_tanh")}))
    put("config", "text-chinese-clip", beside(11, {"model_type": "chinese_clip", "text_config": bert}))
    put("config", "text-altclip", beside(12, {"model_type": "altclip", "text_config": bert}))
    cfg = {"context_length": CONTEXT, "vocab_size": WORDS, "width": D, "heads": 2, "layers": 1, "pool_type": "eos", "eos_id": 3,
           "no_causal_mask": False, "hf_tokenizer_name": "x", "tokenizer_kwargs": {"clean": "canonicalize", "strip_sep_token": False},
           "proj_type": "linear", "act_kwargs": {"approximate": "tanh"}, "norm_kwargs": {"eps": 1e-6}}
    put("config", "text-open-clip", beside(13, {"model_cfg": {"embed_dim": K, "quick_gelu": True, "text_cfg": cfg}}))
    both = dict(google_map("params/img/", stacked=True), **google_text("params/txt/"), **{"params/t": draw(1), "params/b": draw(1)})
    put("npz", "members-texts", members(both, 0, "<f2"))
    tokenizers()


if __name__ == "__main__":
    main()
