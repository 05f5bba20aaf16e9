#!/usr/bin/env python3
"""Writes test/golden/torch: one tiny model as torch.save leaves it, by several versions of PyTorch.

    venv/bin/pip install torch numpy safetensors       # in one environment for each version
    venv/bin/python tools/golden/make_torch.py [FIRST] [FORMS]

Every run adds the files of its version (plain, old, train); with the word FIRST it also writes those
that one version is enough for, and the seeds of fuzz_torch; with FORMS only the files of forms(). The weights are those of test/golden/models/vit-timm-2x2-avg, so that the
expected numbers are that model's, and test_torch.c compares every tensor with its model.safetensors.
README.md there names the files.
"""
import argparse
import collections
import io
import json
import os
import pickle
import sys
import zipfile

import numpy as np
import torch
from safetensors.torch import load_file

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "..", "..", "test", "golden", "models", "vit-timm-2x2-avg", "model.safetensors")
OUT = os.path.join(HERE, "..", "..", "test", "golden", "torch")
SEEDS = os.path.join(HERE, "..", "..", "test", "fuzz", "corpus", "torch")


class Part(torch.nn.Module):
    """A module that holds what its name in the state_dict says; a user's class."""

    def __init__(self, tensors):
        super().__init__()
        inner = collections.OrderedDict()
        for name, tensor in tensors.items():
            first, _, rest = name.partition(".")
            if rest:
                inner.setdefault(first, collections.OrderedDict())[rest] = tensor
            else:
                self.register_parameter(first, torch.nn.Parameter(tensor))
        for name, part in inner.items():
            self.add_module(name, Part(part))
        self.act = torch.nn.functional.gelu
        self.register_buffer("scratch", torch.zeros(2), persistent=False)


class Settings:
    """A foreign class, as OmegaConf's: it becomes an inert object."""

    def __init__(self):
        self.flags, self.rate = {"amp", "ema"}, 1e-3


class Harm:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def clone(sd):
    return collections.OrderedDict((k, v.clone()) for k, v in sd.items())


def save(value, name, **how):
    torch.save(value, os.path.join(OUT, name), **how)


def training(sd):
    """What a training script leaves: two networks, an optimizer, settings of foreign classes."""
    weight = torch.nn.Parameter(torch.ones(4, 4))
    optimizer = torch.optim.AdamW([weight], lr=1e-3)
    weight.sum().backward()
    optimizer.step()
    average = collections.OrderedDict((k, v * 0.5) for k, v in sd.items())
    return {"epoch": 7, "arch": "vit_test", "state_dict": clone(sd), "state_dict_ema": average,
            "optimizer": optimizer.state_dict(), "args": argparse.Namespace(lr=0.1, seed=2**40),
            "metric": np.float64(81.25), "settings": Settings(), "history": [0.5, None, True, -3]}


def views(sd):
    """All of one type in one storage; matrices stored the other way; a vector that is one number."""
    flat = torch.zeros(sum(v.numel() for v in sd.values()) + 5)
    out, at = collections.OrderedDict(), 5
    for name, v in sd.items():
        room = flat[at:at + v.numel()]
        at += v.numel()
        if v.dim() == 2 and "mlp" in name:
            room = room.view(v.shape[1], v.shape[0]).t()
        elif v.dim() == 4:
            room = room.view(v.shape[3], v.shape[1], v.shape[0], v.shape[2]).permute(2, 1, 3, 0)
        else:
            room = room.view(v.shape)
        room.copy_(v)
        out[name] = room
    out["expanded"] = torch.full((1,), 2.5).expand(6)
    out["every_other"] = torch.arange(10.0)[1::2]
    out["empty"] = torch.zeros(0, 4)
    out["scalar"] = torch.tensor(7)
    return out


def types(sd):
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.float32]
    out = collections.OrderedDict((k, v.to(kinds[i % 4])) for i, (k, v) in enumerate(sd.items()))
    out["f64_turned"] = torch.arange(6.0, dtype=torch.float64).view(2, 3).t()
    for kind in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        out[str(kind).split(".")[1]] = torch.ones(3, dtype=kind)
    out["uint16"] = torch.ones(3).to(torch.uint16)
    out["sparse"] = torch.eye(3).to_sparse()
    return out


def first(sd):
    save(clone(sd), "protocol4.pth", pickle_protocol=4)
    save(clone(sd), "protocol5-old.pth", pickle_protocol=5, _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    save(clone(sd), "no-checksums.pth")
    torch.serialization.set_crc32_options(True)
    save(views(sd), "views.pth")
    save(views(sd), "views-old.pth", _use_new_zipfile_serialization=False)
    save(types(sd), "types.pth")
    save(Part(sd), "module.pth")
    save({"model": Part(sd), "step": 3}, "module-old.pth", _use_new_zipfile_serialization=False)
    save({"student": {"backbone": clone(sd)}, "teacher": clone(sd), "loss": {"center": torch.zeros(1, 9)}},
         "nested.pth")
    save({"state_dict": {"a.b": torch.ones(2)}, "args": Harm()}, "harm.pth")
    save({"state_dict": {"a.b": torch.ones(2)}, "args": Harm()}, "harm-old.pth", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), os.path.join(OUT, "script.pth"))
    shards = os.path.join(OUT, "shards")
    os.makedirs(shards, exist_ok=True)
    names, where = list(sd), {}
    for i in range(2):
        file = f"pytorch_model-0000{i + 1}-of-00002.bin"
        part = {k: sd[k].clone() for k in names[i::2]}
        where.update(dict.fromkeys(part, file))
        torch.save(part, os.path.join(shards, file))
    with open(os.path.join(shards, "pytorch_model.bin.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": 0}, "weight_map": where}, f, indent=1)


class Bare(torch.nn.Module):
    """What torch.jit can compile: tensors and modules by their names."""

    def __init__(self, tensors):
        super().__init__()
        for name in dict.fromkeys(n.partition(".")[0] for n in tensors):
            inner = {n.partition(".")[2]: t for n, t in tensors.items() if n.partition(".")[0] == name}
            if "" in inner:
                self.register_parameter(name, torch.nn.Parameter(inner[""]))
            else:
                self.add_module(name, Bare(inner))

    def forward(self):
        return 0


class FromDevice:
    """A tensor of a TPU, as torch_xla leaves it."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce_ex__(self, protocol):
        return torch._utils._rebuild_device_tensor_from_cpu_tensor, (self.tensor, self.tensor.dtype, "xla:0", False)


def packed_again(value, name, big=False):
    """As other programs leave the archive: members deflated; as a big-endian machine does."""
    file = io.BytesIO()
    torch.save(value, file)
    with zipfile.ZipFile(file) as of, zipfile.ZipFile(os.path.join(OUT, name), "w", 0 if big else zipfile.ZIP_DEFLATED) as to:
        for member in of.infolist():
            data = of.read(member)
            if big and "/data/" in member.filename:
                data = np.frombuffer(data, "<f4").byteswap().tobytes()
            to.writestr(member.filename, b"big" if big and member.filename.endswith("byteorder") else data)


def forms(sd):
    """What other programs than torch.save(state_dict) leave."""
    no = {"sparse": torch.eye(4).to_sparse(), "meta": torch.ones(4, 4, device="meta"), "numpy": np.ones((4, 4)),
          "turned": torch._neg_view(torch.ones(4, 4))}
    layer = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(4, 4)), {torch.nn.Linear})
    turned = collections.OrderedDict((k, v.t().contiguous().t() if v.dim() == 2 else v.float()) for k, v in sd.items())
    packed_again({k: v.float() for k, v in turned.items()}, "big.pth", big=True)
    packed_again(turned, "packed.pth")
    save([clone(sd), {"lr": 0.1}], "list.pth")
    save({k: FromDevice(v) for k, v in sd.items()}, "device.pth")
    save({"state_dict": clone(sd), "hyper_parameters": {"net": Bare(sd)}, "pytorch-lightning_version": "2"}, "arguments.ckpt")
    holder = Settings()
    holder.net = clone(sd)
    save({"a": {"b": {"c": {"state": holder}}}}, "held.pth")
    torch.jit.save(torch.jit.script(Bare(sd)), os.path.join(OUT, "scripted.pth"))
    for name, value in no.items():
        save({f"layer.{i}.weight": value for i in range(5)}, f"no-{name}.pth")
    save(layer.state_dict(), "no-quantized.pth")
    save(layer, "no-quantized-module.pth")
    save({"_fsdp_wrapped_module._flat_param": torch.ones(9)}, "no-flat.pth")
    save({"module": {f"layer.{i}.weight": torch.empty(0) for i in range(5)}, "ds_version": "0.16"}, "no-parts.pth")
    with open(os.path.join(OUT, "no-torch.pkl"), "wb") as f:
        pickle.dump({"layer.weight": np.ones((4, 4))}, f)


def flat(tensors, kind):
    """Everything in storage 0, then in storage 1, as fuzz_torch.c makes them: 16 n bytes each."""
    sizes = [a.size for a in tensors.values()]
    room = max(sum(sizes[::2]), sum(sizes[1::2]))
    item = torch.zeros((), dtype=kind).element_size()
    room += -room % (16 // item)
    stores, at, out = [torch.zeros(room, dtype=kind) for _ in range(2)], [0, 0], collections.OrderedDict()
    for i, (name, a) in enumerate(tensors.items()):
        k = i % 2
        out[name] = stores[k][at[k]:at[k] + a.size].view(a.shape)
        at[k] += a.size
    return out, room * item // 16


def seed(name, flags, n, value, write=torch.save, **how):
    """Its pickle behind fuzz_torch.c's three bytes."""
    file = io.BytesIO()
    write(value, file, **how)
    archive = zipfile.ZipFile(file)
    text = archive.read(next(m for m in archive.namelist() if m.endswith("/data.pkl")))
    with open(os.path.join(SEEDS, name), "wb") as f:
        f.write(bytes([flags]) + n.to_bytes(2, "little") + text)


def openai():
    """Both towers of OpenAI's CLIP, of one block each, 64 wide, with the three numbers that it is known by."""
    d, words, patch = 64, 6, 2
    layer = lambda name, n, k: {name + ".weight": (n, k), name + ".bias": (n,)}
    norm = lambda name: {name + ".weight": (d,), name + ".bias": (d,)}
    shapes = {"visual.conv1.weight": (d, 3, patch, patch), "visual.class_embedding": (d,), "visual.positional_embedding": (5, d),
              "visual.proj": (d, 2), "text_projection": (d, 2), "token_embedding.weight": (words, d), "positional_embedding": (5, d),
              "logit_scale": (), **norm("visual.ln_pre"), **norm("visual.ln_post"), **norm("ln_final")}
    for tower in ("visual.", ""):
        b = tower + "transformer.resblocks.0."
        shapes.update({b + "attn.in_proj_weight": (3 * d, d), b + "attn.in_proj_bias": (3 * d,), **layer(b + "attn.out_proj", d, d),
                       **norm(b + "ln_1"), **norm(b + "ln_2"), **layer(b + "mlp.c_fc", 3, d), **layer(b + "mlp.c_proj", d, 3)})
    shapes.update(dict.fromkeys(("input_resolution", "context_length", "vocab_size"), ()))
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def seeds():
    from make_fuzz_corpus import timm
    os.makedirs(SEEDS, exist_ok=True)
    plain, n = flat(timm(), torch.float32)
    seed("plain", 0, n, plain)
    seed("old", 8, n, plain)
    seed("zip64", 5, n, plain, pickle_protocol=4)
    doubles, n64 = flat(timm(2), torch.float64)
    seed("doubles", 3, n64, {"state_dict": doubles, "epoch": 3, "args": argparse.Namespace(a=1.5)})
    halves, n16 = flat(timm(), torch.bfloat16)
    seed("halves", 4, n16, {"model": halves, "optimizer": {"state": {0: {"step": 3}}, "param_groups": []}})
    turned = collections.OrderedDict((k, v.t() if v.dim() == 2 and v.shape[0] == v.shape[1] else v) for k, v in plain.items())
    seed("turned", 0, n, turned)
    whole = Part(plain)
    del whole.scratch
    seed("module", 0, n, whole)
    seed("several", 1, n, {"ema": plain, "net": dict(plain)})
    halves, n16 = flat(openai(), torch.float16)
    seed("openai", 0, n16, torch.jit.script(Bare(halves)), torch.jit.save)
    torch.save({k: v.clone() for k, v in plain.items()}, os.path.join(SEEDS, "file"))
    torch.save(plain, os.path.join(SEEDS, "file-old"), _use_new_zipfile_serialization=False)


def main():
    version = torch.__version__.split("+")[0]
    sd = collections.OrderedDict(load_file(MODEL))
    os.makedirs(OUT, exist_ok=True)
    if "FORMS" in sys.argv:
        forms(sd)
        return
    save(clone(sd), f"plain-{version}.pth")
    save(clone(sd), f"old-{version}.pth", _use_new_zipfile_serialization=False)
    save(training(sd), f"train-{version}.pth.tar")
    if "FIRST" in sys.argv:
        first(sd)
        forms(sd)
        seeds()


if __name__ == "__main__":
    main()
