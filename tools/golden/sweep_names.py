#!/usr/bin/env python3
"""What training programs save, read by vitx: not part of the tests.

    venv/bin/pip install torch timm pytorch_lightning peft transformers safetensors pillow numpy
    venv/bin/python tools/golden/sweep_names.py build/vitx-cli

A tiny timm model with random weights is saved by DataParallel, torch.compile, SWA, Lightning and as a member of a class with a
head of its own; a transformers model as a plain state dict and by peft. vitx-cli classifies the picture of
test/golden/models with each; its logits are those of the tidy file, or, for peft, of peft's merged model.
"""
import json
import os
import subprocess
import sys
import tempfile

import peft
import pytorch_lightning
import timm
import torch
import transformers
from safetensors.torch import save_file

PICTURE = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden", "models", "picture.png")
CONFIG = {"architecture": "vit_tiny_patch16_224", "num_classes": 3,
          "model_args": {"img_size": 16, "patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 3},
          "pretrained_cfg": {"input_size": [3, 16, 16], "crop_pct": 1.0, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}}


def network():
    torch.manual_seed(1)
    model = timm.create_model("vit_tiny_patch16_224", img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=3, num_classes=3)
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return model.eval()


def answer(program, folder):
    out = subprocess.run([program, "classify", "--quiet", "--json", "--top", "all", "-m", folder, PICTURE], capture_output=True, text=True)
    if out.returncode:
        return out.stderr.strip()
    found = json.loads(out.stdout.splitlines()[0])
    top = found["top"] if "top" in found else found["predictions"]
    return {p["index"]: p["logit"] for p in top}


class Own(torch.nn.Module):
    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.classifier = backbone, torch.nn.Sequential(torch.nn.Dropout(), head)


class Module(pytorch_lightning.LightningModule):
    def __init__(self, net):
        super().__init__()
        self.net, self.criterion = net, torch.nn.CrossEntropyLoss(weight=torch.ones(3))


def states():
    """Name, state dict."""
    model = network()
    yield "DataParallel", torch.nn.DataParallel(model).state_dict()
    yield "torch.compile", torch.compile(model).state_dict()
    yield "torch.compile of a part", (lambda m: (setattr(m, "blocks", torch.compile(m.blocks)), m.state_dict())[1])(network())
    yield "AveragedModel", torch.optim.swa_utils.AveragedModel(model).state_dict()
    backbone = network()
    backbone.head = torch.nn.Identity()
    yield "own head", Own(backbone, model.head).state_dict()
    yield "float64", model.double().state_dict()
    yield "Lightning", Module(network()).state_dict()


def write(folder, state, config):
    save_file({k: v.clone().contiguous() for k, v in state.items()}, os.path.join(folder, "weights.safetensors"))
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))


def compare(name, is_, tidy):
    same = isinstance(is_, dict) and all(abs(is_[k] - tidy[k]) < 2e-5 for k in tidy)
    print(("ok      " if same else "FAILED  ") + name, "" if same else is_)
    return same


def lightning_checkpoint(folder):
    trainer = pytorch_lightning.Trainer(max_steps=0, logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False)
    module = Module(network())
    trainer.strategy.connect(module)
    trainer.save_checkpoint(os.path.join(folder, "last.ckpt"))
    json.dump(CONFIG, open(os.path.join(folder, "config.json"), "w"))


def transformer(folder):
    torch.manual_seed(2)
    config = transformers.ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=16,
                                    patch_size=4, num_labels=3)
    model = transformers.ViTForImageClassification(config).eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    model.save_pretrained(folder)
    return model


def main():
    program, good = sys.argv[1], True
    with tempfile.TemporaryDirectory() as folder:
        write(folder, network().state_dict(), CONFIG)
        tidy = answer(program, folder)
        for name, state in states():
            write(folder, state, CONFIG)
            good &= compare(name, answer(program, folder), tidy)
    with tempfile.TemporaryDirectory() as folder:
        lightning_checkpoint(folder)
        good &= compare("Lightning's checkpoint", answer(program, folder), tidy)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        model = transformer(folder)
        tidy = answer(program, folder)
        write(other, model.state_dict(), json.load(open(os.path.join(folder, "config.json"))))
        good &= compare("transformers' state_dict()", answer(program, other), tidy)
        adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=6, target_modules="all-linear", use_rslora=True))
        for key, p in adapted.named_parameters():
            if "lora_" in key:
                p.data = torch.randn_like(p) / 5
        adapted.save_pretrained(folder)
        both = answer(program, folder)
        os.remove(os.path.join(other, "weights.safetensors"))
        write(other, adapted.state_dict(), json.load(open(os.path.join(folder, "config.json"))))
        os.link(os.path.join(folder, "adapter_config.json"), os.path.join(other, "adapter_config.json"))
        whole = answer(program, other)
        with tempfile.TemporaryDirectory() as merged:
            adapted.merge_and_unload().save_pretrained(merged)
            tidy = answer(program, merged)
        good &= compare("peft's adapter beside its base", both, tidy)
        good &= compare("peft's model in one file", whole, tidy)
    sys.exit(not good)


main()
