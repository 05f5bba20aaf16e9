#!/usr/bin/env python3
"""vitx against timm on every architecture and pretrained tag that timm knows, without their weights.

    venv/bin/python tools/golden/sweep_timm.py build PICTURE... [--part config answers pixels others] [--only TEXT] [--verbose]

`build` is the folder of vitx-cli and libvitx.so. Nothing is downloaded. Four parts; without --part all of them:

  config   Of each tag of timm's plain Vision Transformers (modules vision_transformer, deit, eva, beit, vision_transformer_relpos) the config.json that
           timm's saver for the hub writes, and a safetensors file with the names and shapes of all tensors (the model
           is built on the "meta" device; the file is a hole behind its header). What `vitx-cli info --json` reads is
           compared with the modules of the timm model and with timm.data.resolve_model_data_config. So is the form
           of config.json that timm wrote before there was "pretrained_cfg", and the weights without config.json,
           whose differences are counted, not failures: the name of the architecture says what shapes do not.
  answers  Of each architecture the answer on the first picture, with random weights that make every tensor matter
           and two blocks (the others are alike): the model's input to the last bits, its logits or embedding to 1e-4 of
           the largest. timm runs in float64 up to 60 million weights, else in float32.
  pixels   The inputs of each distinct recipe among the tags, and of some that no tag has, for all pictures.
  others   Names and shapes of all other models of timm: each has to be refused, and in one line.

A tag is refused, agrees or differs; refusals are listed by their sentence. Exits 1 where anything differs.
"""
import argparse
import collections
import ctypes
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import timm
import timm.data
import torch
from PIL import Image
from timm.models import _registry
from timm.models._hub import save_config_for_hf, save_for_hf

PLAIN = ("vision_transformer", "deit", "eva", "beit", "vision_transformer_relpos")
DOUBLE = 60_000_000


# ---------------------------------------------------------------------------- vitx

class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int),
                ("shape", ctypes.c_int64 * 4), ("stride", ctypes.c_int64 * 4)]

    def array(self):
        shape = [self.shape[i] for i in range(self.rank)]
        flat = (ctypes.c_float * math.prod(shape)).from_address(self.data)
        return np.frombuffer(flat, np.float32).reshape(shape).copy()


class Vitx:
    def __init__(self, build):
        self.cli = str(build / "vitx-cli")
        self.lib = ctypes.CDLL(str(build / "libvitx.so"))
        self.lib.vitx_last_error.restype = ctypes.c_char_p

    def info(self, folder):
        """(what info says, "") or (None, why it refuses)."""
        done = subprocess.run([self.cli, "info", "--json", "-m", str(folder)], capture_output=True, text=True)
        if done.returncode == 0:
            return json.loads(done.stdout), ""
        lines = done.stderr.strip().split("\n")
        return None, lines[0] if len(lines) == 1 else "MORE THAN ONE LINE: " + done.stderr

    def _try(self, status):
        if status:
            raise RuntimeError(self.lib.vitx_last_error().decode())

    def run(self, folder, pictures):
        """Input and answer of each picture."""
        lib, out = self.lib, []
        model, context, image = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        try:
            self._try(lib.vitx_model_open(ctypes.byref(model), str(folder).encode(), None))
            self._try(lib.vitx_context_create(ctypes.byref(context), model, None))
            for picture in pictures:
                self._try(lib.vitx_image_open(ctypes.byref(image), str(picture).encode()))
                self._try(lib.vitx_forward(context, ctypes.byref(image), 1))
                views = View(), View()
                self._try(lib.vitx_input(ctypes.byref(views[0]), context))
                self._try(lib.vitx_logits(ctypes.byref(views[1]), context))
                out.append(tuple(v.array()[0] for v in views))
                lib.vitx_image_free(image)
                image = ctypes.c_void_p()
        finally:
            lib.vitx_image_free(image)
            lib.vitx_context_free(context)
            lib.vitx_model_free(model)
        return out


# ---------------------------------------------------------------------------- timm

def tags_of(architecture):
    return [n for n in _registry._model_pretrained_cfgs if n.split(".")[0] == architecture and "." in n] or [architecture]


def hollow(path, state):
    """A safetensors file with these names and shapes whose contents are a hole."""
    header, at = {}, 0
    for name, tensor in state.items():
        size = 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def build_meta(name):
    with torch.device("meta"):
        return timm.create_model(name, pretrained=False).eval()


def write_hollow(folder, name, model=None):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = model or build_meta(name)
    save_config_for_hf(model, os.path.join(folder, "config.json"))
    hollow(os.path.join(folder, "model.safetensors"), model.state_dict())
    return model


ACTS = {("GELU", "none"): "gelu", ("GELU", "tanh"): "gelu_tanh", ("GELUTanh", None): "gelu_tanh",
        ("QuickGELU", None): "quick_gelu", ("ReLU", None): "relu"}


def attention_of(block):
    return block.attns[0].attn if hasattr(block, "attns") else getattr(block, "attn", block)


def what_is(model):
    """The model as `info --json` would tell it."""
    block = model.blocks[0]
    twins = hasattr(block, "attns")  # two attentions and two perceptrons, which vitx counts as heads and width of one
    parallel = not twins and not hasattr(block, "mlp")  # attention and perceptron in one
    mlp = block if parallel else block.ffns[0].mlp if twins else block.mlp
    act = block.mlp_act if parallel else mlp.act
    attention = attention_of(block)
    times = 2 if twins or hasattr(attention, "sub_norm") else 1  # differential attention has two softmaxes a head
    norms = {m.eps for m in model.modules() if "Norm" in type(m).__name__ and getattr(m, "eps", None) is not None}
    norms = norms or {m.eps for m in model.modules() if "Norm" in type(m).__name__ and hasattr(m, "eps")} or {1e-6}
    norms -= {None}
    if hasattr(attention, "sub_norm"):  # which has an eps of its own
        norms -= {attention.sub_norm.eps}
    assert len(norms) == 1, norms
    packed = type(mlp).__name__ in ("GluMlp", "SwiGLU", "SwiGLUPacked")
    data = timm.data.resolve_model_data_config(model)
    size, pct = data["input_size"][1:], data["crop_pct"]
    resized = [math.floor(s / pct) for s in size]
    distilled = hasattr(model, "head_dist")
    head = model.head if isinstance(model.head, torch.nn.Linear) else None
    return {
        "architecture": model.pretrained_cfg["architecture"],
        "activation": "swiglu" if packed else ACTS.get((type(act).__name__, getattr(act, "approximate", None)), repr(act)),
        "pooling": "token+dist" if distilled else model.global_pool,
        "depth": len(model.blocks), "width": model.embed_dim, "heads": attention.num_heads * times,
        "mlp_hidden": block.in_split[0] if parallel else mlp.fc2.in_features * (2 if twins else 1), "patch": list(model.patch_embed.patch_size),
        "grid": list(model.patch_embed.grid_size), "prefix_tokens": model.num_prefix_tokens,
        "registers": model.reg_token.shape[1] if getattr(model, "reg_token", None) is not None else 0, "classes": head.out_features if head else 0,
        "tokens": model.num_prefix_tokens + model.patch_embed.num_patches,
        "embedding": 0 if head else model.embed_dim,
        "norm_eps": np.float32(norms.pop()),
        "input": list(size),
        "resize": "exact" if data["crop_mode"] == "squash" else "shortest" if resized[0] == resized[1] else "cover",
        "resize_to": resized, "filter": data["interpolation"],
        "mean": list(np.float32(data["mean"])), "std": list(np.float32(data["std"])),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def is_projection(model):
    """timm has CLIP's projection as a classifier; vitx calls its outputs an embedding."""
    name = model.pretrained_cfg["architecture"]
    return "_clip_" in name and "ft_" not in (model.pretrained_cfg.get("tag") or "")


def differences(info, model, without=()):
    expected = what_is(model)
    if is_projection(model):
        expected.update(embedding=expected["classes"] or expected["embedding"], classes=0)
    told = dict(info, **info["recipe"])
    for key in ("norm_eps",):
        told[key] = np.float32(told[key])
    for key in ("mean", "std"):
        told[key] = list(np.float32(told[key]))
    return [f"{k} {told.get(k)!r}, timm {v!r}" for k, v in expected.items() if k not in without and told.get(k) != v]


# ---------------------------------------------------------------------------- the parts

class Report:
    def __init__(self, verbose):
        self.counts, self.refused, self.verbose = collections.Counter(), collections.defaultdict(list), verbose

    def agrees(self, name, text=""):
        self.counts["agree"] += 1
        if self.verbose:
            print("ok ", name, text, flush=True)

    def differs(self, name, text):
        self.counts["differ"] += 1
        print("BAD", name, text, flush=True)

    def refuses(self, name, text, folder):
        self.counts["refused"] += 1
        text = re.sub(re.escape(str(folder)) + r"\S*?(?=[: ])", "FILE", text).removeprefix("vitx-cli: ")
        self.refused[text.replace(name, "NAME").replace(name.split(".")[0], "NAME")].append(name)
        if self.verbose:
            print("no ", name, text, flush=True)

    def close(self, part):
        for text, names in sorted(self.refused.items(), key=lambda item: -len(item[1])):
            print(f"  {len(names):4} {text}   e.g. {', '.join(names[:3])}")
        print(f"{part}: " + ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items())), flush=True)
        return self.counts["differ"]


def sweep_config(vitx, names, folder, verbose):
    report, flat, bare = Report(verbose), Report(False), collections.Counter()
    for architecture in names:
        for tag in tags_of(architecture):
            model = write_hollow(folder, tag)
            info, why = vitx.info(folder)
            if not info:
                report.refuses(tag, why, folder)
                continue
            found = differences(info, model)
            report.differs(tag, "; ".join(found)) if found else report.agrees(tag)
            config = json.load(open(folder / "config.json"))
            old = dict(config["pretrained_cfg"], architecture=config["architecture"], num_features=config["num_features"])
            (folder / "config.json").write_text(json.dumps(old))
            info, why = vitx.info(folder)
            found = differences(info, model) if info else [why]
            flat.differs(tag, "flat config.json: " + "; ".join(found)) if found else flat.agrees(tag)
            (folder / "config.json").unlink()
            info, why = vitx.info(folder)
            found = differences(info, model, ("architecture",)) if info else ["refused " + why]
            bare.update([f.split(" ")[0] for f in found] or ["agree"])
    bad = report.close("config") + flat.close("config, flat")
    print("config.json absent:", ", ".join(f"{n} {k}" for k, n in bare.most_common()))
    return bad


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            r = torch.randn(p.shape, generator=g)
            leaf = name.rsplit(".", 2)[-2] if "." in name else name
            if "freqs" in name:  # learnt rotations stay as timm makes them
                continue
            if p.dim() in (2, 4):
                p.copy_(r * (1.5 if "qkv" in name or ".q." in name or ".kv." in name else 1.0) / math.sqrt(p[0].numel()))
            elif "norm" in leaf and name.endswith("weight"):
                p.copy_(1 + 0.3 * r)
            elif "gamma" in name:
                p.copy_(0.5 + 0.2 * r)
            elif any(part in name for part in ("token", "pos", "latent")):
                p.copy_(0.6 * r)
            else:
                p.copy_(0.2 * r)


def compare(vitx, model, folder, pictures):
    """(largest difference of the inputs, of the answers over the largest number)"""
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    inputs, answers = [], []
    double = sum(p.numel() for p in model.parameters()) <= DOUBLE
    model = model.double() if double else model
    for picture, (x, z) in zip(pictures, vitx.run(folder, pictures)):
        pixels = transform(Image.open(picture).convert("RGB"))[None]
        expected = model(pixels.double() if double else pixels)[0].numpy()
        inputs.append(np.abs(x - pixels[0].numpy()).max() if x.shape == pixels[0].shape else np.inf)
        answers.append(np.abs(z - expected).max() / np.abs(expected).max() if z.shape == expected.shape else np.inf)
    return max(inputs), max(answers)


def sweep_answers(vitx, names, folder, pictures, verbose):
    report = Report(verbose)
    worst = [0.0, 0.0]
    for architecture in names:
        meta = write_hollow(folder, architecture)
        info, why = vitx.info(folder)
        if not info:
            report.refuses(architecture, why, folder)
            continue
        shutil.rmtree(folder)
        heads = attention_of(meta.blocks[0]).num_heads
        fewer = dict(num_kv_heads=(heads, heads // 2)) if "sapiens2" in architecture else {}  # one entry a block
        model = timm.create_model(architecture, depth=2, **fewer).eval()
        assert len(model.blocks) == 2
        randomise(model, len(architecture))
        save_for_hf(model, str(folder), safe_serialization=True, model_args={"depth": 2})
        try:
            found = compare(vitx, model, folder, pictures[:1])
        except RuntimeError as error:
            report.differs(architecture, str(error))
            continue
        good = found[0] <= 1e-6 and found[1] <= 1e-4
        text = "input %.1e answer %.1e" % found
        report.agrees(architecture, text) if good else report.differs(architecture, text)
        worst = [max(pair) for pair in zip(worst, found)] if good else worst
    print("largest differences: input %.1e, answer %.1e" % tuple(worst))
    return report.close("answers")


def recipes(names):
    """Distinct ones of the tags, and what no tag has: borders, margins, sides that differ, filters."""
    found = {}
    for architecture in names:
        for tag in tags_of(architecture):
            cfg = timm.models.get_pretrained_cfg(tag)
            data = timm.data.resolve_data_config(pretrained_cfg=cfg.to_dict())
            found.setdefault(json.dumps(data), tag)
    own = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    for size in ((3, 224, 224), (3, 192, 320)):
        for mode in ("center", "squash", "border"):
            for pct in (0.875, 1.0, 1.14):
                for filter in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"):
                    if filter in ("bicubic", "bilinear") or pct == 0.875:
                        found.setdefault(json.dumps(dict(input_size=size, interpolation=filter, **own, crop_pct=pct, crop_mode=mode)),
                                         f"{size[1]}x{size[2]} {mode} {pct} {filter}")
    return {name: json.loads(text) for text, name in found.items()}


def sweep_pixels(vitx, names, folder, pictures, verbose):
    report, worst = Report(verbose), 0.0
    for name, data in recipes(names).items():
        shutil.rmtree(folder, ignore_errors=True)
        size = data["input_size"]
        model = timm.create_model("vit_tiny_patch16_224", img_size=size[1:], patch_size=size[1:], depth=1, num_classes=2,
                                  embed_dim=24, num_heads=3).eval()
        save_for_hf(model, str(folder), safe_serialization=True)
        config = json.load(open(folder / "config.json"))
        config["pretrained_cfg"].update(data)
        config["model_args"] = dict(img_size=size[1:], patch_size=size[1:], depth=1, embed_dim=24, num_heads=3)
        (folder / "config.json").write_text(json.dumps(config))
        transform = timm.data.create_transform(**dict(data, input_size=tuple(size)), is_training=False)
        try:
            found = max(np.abs(x - transform(Image.open(p).convert("RGB")).numpy()).max()
                        for p, (x, _) in zip(pictures, vitx.run(folder, pictures)))
        except RuntimeError as error:
            report.refuses(name, str(error), folder)
            continue
        text = f"{found:.1e} {data}"
        report.agrees(name, text) if found <= 1e-6 else report.differs(name, text)
        worst = max(worst, found)
    print("largest difference of an input: %.1e" % worst)
    return report.close("pixels")


def sweep_others(vitx, names, folder, verbose):
    report = Report(verbose)
    for architecture in names:
        write_hollow(folder, architecture)
        info, why = vitx.info(folder)
        report.differs(architecture, "is not refused") if info else report.refuses(architecture, why, folder)
    return report.close("others")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("pictures", nargs="+", type=Path)
    parts = ("config", "answers", "pixels", "others")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    parser.add_argument("--only", default="", help="architectures whose name holds this")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    vitx = Vitx(args.build.resolve())
    plain = [n for m in PLAIN for n in timm.list_models(module=m)]
    others = [n for n in timm.list_models() if n not in plain and args.only in n]
    plain = [n for n in plain if args.only in n]
    print(f"timm {timm.__version__}: {len(plain)} plain architectures, {sum(len(tags_of(n)) for n in plain)} tags, "
          f"{len(others)} others", flush=True)
    bad = 0
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        if "config" in args.part:
            bad += sweep_config(vitx, plain, folder, args.verbose)
        if "answers" in args.part:
            bad += sweep_answers(vitx, plain, folder, args.pictures, args.verbose)
        if "pixels" in args.part:
            bad += sweep_pixels(vitx, plain, folder, args.pictures, args.verbose)
        if "others" in args.part:
            bad += sweep_others(vitx, others, folder, args.verbose)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
