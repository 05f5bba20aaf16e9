#!/usr/bin/env python3
"""Weight files as training, libraries and other programs leave them, read by vitx-cli: not part of the tests.

    venv/bin/pip install torch torchvision timm transformers lightning peft open_clip_torch safetensors omegaconf pillow numpy
    venv/bin/python tools/golden/sweep_forms.py build/vitx-cli PICTURE

Each form is a folder: one tiny model in another wrapping, naming, container, or beside other files. Its answer is that of the tidy
folder `ref` within 1e-4; or it is refused, and the message has the words of `refuse`. Prints the forms that are neither, and how many
there were. docs/models.md lists what is read.
"""

import argparse, collections, tempfile, subprocess, re, copy, json, os, shutil, sys, warnings, zipfile, struct, pickle, logging

warnings.filterwarnings("ignore")
import torch, timm, numpy as np
from pathlib import Path
from safetensors.torch import save_file, load_file
from collections import OrderedDict as OD

R = Path(tempfile.mkdtemp(prefix="forms"))
torch.manual_seed(1)


def rnd(m):
    """Fills a model with numbers of a size at which every part shows in the answer."""
    g = torch.Generator().manual_seed(3)
    for n, p in sorted(m.named_parameters()):
        r = torch.randn(p.shape, generator=g)
        with torch.no_grad():
            if p.dim() >= 2 and "token" not in n and "pos" not in n:
                p.copy_(r / (p[0].numel() ** 0.5))
            elif "norm" in n and n.endswith("weight"):
                p.copy_(1 + 0.2 * r)
            else:
                p.copy_(0.3 * r)
    return m.eval()


m = rnd(timm.create_model("vit_tiny_patch16_224", num_classes=7, depth=2))
sd = OD((k, v.detach().clone().contiguous()) for k, v in m.state_dict().items())
cfg = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 7,
    "model_args": {"depth": 2},
    "pretrained_cfg": {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "input_size": [3, 224, 224],
        "interpolation": "bicubic",
        "crop_pct": 0.9,
    },
}
CLI, PICTURE = sys.argv[1:3]
meta = {}


def folder(n, config=True, ref="good", cmd="classify", path=None, refuse=None, extra=()):
    """A form's folder, with timm's config.json unless it has another or none; `path`: what -m names in it."""
    d = R / n
    d.mkdir(parents=True, exist_ok=True)
    if config:
        (d / "config.json").write_text(json.dumps(config if isinstance(config, dict) else cfg))
    meta[n] = dict(ref=ref, cmd=cmd, path=path, refuse=refuse, extra=list(extra))
    return d


def st(n, s, name="model.safetensors", md=None, **k):
    """A form that is a safetensors file."""
    save_file({a: v.contiguous() for a, v in s.items()}, folder(n, **k) / name, metadata=md)


def pt(n, o, name="checkpoint.pth", save={}, **k):
    """A form that torch.save writes."""
    d = folder(n, **k)
    (d / name).parent.mkdir(parents=True, exist_ok=True)
    torch.save(o, d / name, **save)


pre = lambda p, s=sd: OD((p + k, v) for k, v in s.items())
ren = lambda f, s=sd: OD((f(k), v) for k, v in s.items())
st("good", sd)
opt = torch.optim.AdamW(m.parameters(), lr=0.0)
m2 = copy.deepcopy(m)
o2 = torch.optim.AdamW(m2.parameters(), lr=0.0)
m2(torch.randn(2, 3, 224, 224)).sum().backward()
o2.step()
osd = o2.state_dict()
ns = argparse.Namespace(model="vit_tiny_patch16_224", lr=0.1, input_size=None, data_dir=Path("/data"))

# ------------------------------------------------------------
# DeepSpeed
ds = {
    "module": OD(sd),
    "buffer_names": [],
    "optimizer": None,
    "param_shapes": [OD((k, v.shape) for k, v in sd.items())],
    "frozen_param_shapes": None,
    "shared_params": {},
    "frozen_param_fragments": None,
    "lr_scheduler": {"last_lr": [0.1]},
    "data_sampler": None,
    "random_ltd": None,
    "sparse_tensor_module_names": set(),
    "skipped_steps": 0,
    "global_steps": 10,
    "global_samples": 80,
    "dp_world_size": 1,
    "mp_world_size": 1,
    "ds_config": {"train_batch_size": 8, "zero_optimization": {"stage": 1}},
    "ds_version": "0.16.0",
    "epoch": 1,
}
pt("a-deepspeed", ds, "mp_rank_00_model_states.pt", path="mp_rank_00_model_states.pt")
d = folder("a-deepspeed-folder")
torch.save(ds, d / "mp_rank_00_model_states.pt")
torch.save(
    {"optimizer_state_dict": {"base_optimizer_state": osd, "zero_stage": 1}, "ds_version": "0.16"},
    d / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt",
)
d = folder("a-deepspeed-root", refuse=".")
(d / "pytorch_model").mkdir()
torch.save(ds, d / "pytorch_model/mp_rank_00_model_states.pt")
(d / "latest").write_text("pytorch_model")
(d / "zero_to_fp32.py").write_text("#")
pt(
    "a-deepspeed-zero3",
    {**ds, "module": OD((k, torch.empty(0)) for k in sd)},
    "zero_pp_rank_0_mp_rank_00_model_states.pt",
    refuse="ZeRO|DeepSpeed|empty|0 elements",
)



# ------------------------------------------------------------
# FSDP
def fsdp(k):
    p = k.split(".")
    if p[0] == "blocks":
        return f"_fsdp_wrapped_module.blocks.{p[1]}._fsdp_wrapped_module." + ".".join(p[2:])
    return "_fsdp_wrapped_module." + k


pt("b-fsdp", ren(fsdp))
pt("b-fsdp-model", {"model": ren(lambda k: "module." + fsdp(k))})
pt("b-fsdp-ckpt", ren(lambda k: fsdp(k).replace("._fsdp_wrapped_module.", "._fsdp_wrapped_module._checkpoint_wrapped_module.")))
import torch.distributed.checkpoint as dcp

d = folder("b-dcp", refuse="distributed|dcp")
dcp.save({"model": dict(sd)}, checkpoint_id=str(d), no_dist=True)
pt(
    "b-fsdp-flat",
    {
        "_fsdp_wrapped_module._flat_param": torch.zeros(1000),
        **{f"_fsdp_wrapped_module.blocks.{i}._fsdp_wrapped_module._flat_param": torch.zeros(500) for i in range(4)},
    },
    refuse="FSDP|_flat_param",
)

# ------------------------------------------------------------
# compile in DDP
pt("c-ddp-compile", pre("module._orig_mod."))
pt("c-compile-ddp", pre("_orig_mod.module."))
pt("c-compile-blocks", ren(lambda k: k.replace("blocks.0.", "blocks.0._orig_mod.").replace("blocks.1.", "blocks.1._orig_mod.")))
pt("c-lit-compile", {"state_dict": pre("model._orig_mod."), "epoch": 1})

# ------------------------------------------------------------
# lightning
import lightning as L

logging.getLogger("lightning").setLevel(logging.ERROR)
try:
    from omegaconf import OmegaConf

    oc = OmegaConf.create({"lr": 0.1, "opt": {"name": "adamw", "betas": [0.9, 0.999]}})
except ImportError:
    oc = None


class Lit(L.LightningModule):
    def __init__(s, args=None, net=None):
        super().__init__()
        s.save_hyperparameters()
        s.net = copy.deepcopy(m)
        s.criterion = torch.nn.CrossEntropyLoss(weight=torch.ones(7))
        try:
            import torchmetrics

            s.train_acc = torchmetrics.Accuracy(task="multiclass", num_classes=7)
        except Exception:
            pass

    def training_step(s, b, i):
        return s.criterion(s.net(b[0]), b[1])

    def configure_optimizers(s):
        o = torch.optim.AdamW(s.parameters(), lr=0.0)
        return [o], [torch.optim.lr_scheduler.CosineAnnealingLR(o, 5)]


def lit(name, args, **k):
    l = Lit(args)
    d = folder(name, refuse=k.get("refuse"))
    tr = L.Trainer(
        max_steps=1,
        logger=False,
        enable_checkpointing=True,
        default_root_dir=str(d / "lg"),
        callbacks=[L.pytorch.callbacks.ModelCheckpoint(dirpath=str(d / "lg"), save_last=True)] + k.get("cb", []),
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    tr.fit(l, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(2, 3, 224, 224), torch.tensor([1, 2])), batch_size=2))
    tr.save_checkpoint(d / "last.ckpt")
    shutil.rmtree(d / "lg", ignore_errors=True)


lit("d-lit-namespace", ns)
lit("d-lit-omegaconf", oc if oc is not None else {"a": 1})
lit("d-lit-module-hparam", copy.deepcopy(m))
try:
    lit("d-lit-wa", ns, cb=[L.pytorch.callbacks.StochasticWeightAveraging(1e-9, swa_epoch_start=1)], refuse="average_model_state")
except Exception as e:
    print("swa", e)

# ------------------------------------------------------------
# whole modules
pt("e-module-ddp", torch.nn.DataParallel(m))
pt("e-module-in-dict", {"model": m, "optimizer": o2, "epoch": 1})
pt("e-module-legacy", m, save=dict(_use_new_zipfile_serialization=False))


class Net(torch.nn.Module):
    def __init__(s):
        super().__init__()
        s.backbone = copy.deepcopy(m)
        s.backbone.reset_classifier(0)
        s.drop = torch.nn.Dropout(0.1)
        s.fc = torch.nn.Linear(192, 7)

    def forward(s, x):
        return s.fc(s.drop(s.backbone(x)))


net = Net().eval()
net.fc.load_state_dict(m.head.state_dict())
pt("e-module-own", net)
pt("e-seq", torch.nn.Sequential(net.backbone, net.drop, net.fc))
pt("e-seq-sd", torch.nn.Sequential(net.backbone, net.drop, net.fc).state_dict())


class Norm(torch.nn.Module):
    def __init__(s):
        super().__init__()
        s.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        s.register_buffer("std", torch.full((1, 3, 1, 1), 0.5))

    def forward(s, x):
        return x


pt("e-seq-norm", torch.nn.Sequential(Norm(), m).state_dict())



# ------------------------------------------------------------
# mmengine
def mm(k):
    p = k.split(".")
    if p[0] == "blocks":
        r = ".".join(p[2:])
        r = r.replace("norm1", "ln1").replace("norm2", "ln2").replace("mlp.fc1", "ffn.layers.0.0").replace("mlp.fc2", "ffn.layers.1")
        return f"backbone.layers.{p[1]}.{r}"
    if p[0] == "head":
        return "head.layers.head." + p[1]
    if p[0] == "norm":
        return "backbone.ln1." + p[1]
    return "backbone." + k.replace("patch_embed.proj", "patch_embed.projection")


class HistoryBuffer:
    def __init__(s):
        s._log_history = np.array([1.0, 2.0])
        s._count_history = np.array([1, 1])


class MessageHub:
    def __init__(s):
        s.log_scalars = OD(a=HistoryBuffer())
        s.rng = np.random.get_state()


pt(
    "f-mmengine",
    {
        "meta": {"epoch": 1, "cfg": "x=1", "seed": 1, "dataset_meta": {"classes": ["a"] * 7}, "time": "x"},
        "state_dict": ren(mm),
        "message_hub": {"log_scalars": OD(a=HistoryBuffer()), "runtime_info": OD(), "resumed_keys": OD()},
        "optimizer": osd,
        "param_schedulers": [{}],
    },
    "epoch_1.pth",
)
pt(
    "f-mmengine-ema",
    {
        "meta": {},
        "state_dict": ren(mm),
        "ema_state_dict": OD([("steps", torch.tensor(3))] + [("module." + mm(k), v + 0.1) for k, v in sd.items()]),
        "message_hub": MessageHub(),
    },
    "epoch_1.pth",
    refuse="ema_state_dict",
)
pt(
    "f-mmengine-ema-key",
    {
        "meta": {},
        "state_dict": ren(mm),
        "ema_state_dict": OD([("steps", torch.tensor(3))] + [("module." + mm(k), v + 0.1) for k, v in sd.items()]),
        "message_hub": MessageHub(),
    },
    "epoch_1.pth",
    extra=["--weights-key", "state_dict"],
)
pt(
    "f-mmpre-data",
    {"state_dict": {**ren(mm), "data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}},
    "epoch_1.pth",
)

# ------------------------------------------------------------
# ema
pt(
    "g-ema_model.module",
    {
        "state_dict": OD(
            [
                *pre("model.").items(),
                *pre("ema_model.module.", {k: v + 0.1 for k, v in sd.items()}).items(),
                ("ema_model.n_averaged", torch.tensor(3)),
            ]
        )
    },
)
st("g-ema-st", OD([*pre("net.").items(), *pre("net_ema.", {k: v + 0.1 for k, v in sd.items()}).items()]), refuse="net_ema")
pt("g-ema-obj", {"model": sd, "ema": {"shadow": {k: v + 0.1 for k, v in sd.items()}, "decay": 0.99}, "step": 3}, refuse="ema.shadow")
pt("g-teacher-student", OD([*pre("student.").items(), *pre("teacher.", {k: v + 0.1 for k, v in sd.items()}).items()]), refuse="teacher")
pt("g-swa-model", {"swa_model": pre("module."), "epoch": 1})



# ------------------------------------------------------------
# trainer folders
def trainer(n, base, **k):
    d = folder(n, **k)
    save_file(sd, d / base)
    torch.save(osd, d / "optimizer.pt")
    torch.save(osd, d / "optimizer.bin")
    torch.save({"last_epoch": 1}, d / "scheduler.pt")
    torch.save({"last_epoch": 1}, d / "scheduler.bin")
    torch.save({"a": 1}, d / "sampler.bin")
    torch.save({"python": (3, tuple(range(5)), None), "numpy": np.random.get_state(), "cpu": torch.get_rng_state()}, d / "rng_state.pth")
    torch.save(ns, d / "training_args.bin")
    pickle.dump({"r": 1}, open(d / "random_states_0.pkl", "wb"))
    pickle.dump({"r": 1}, open(d / "custom_checkpoint_0.pkl", "wb"))
    torch.save({"scale": 1.0}, d / "scaler.pt")
    torch.save({}, d / "dl_state_dict.bin")
    torch.save({}, d / "rng_state_0.pth")
    return d


trainer("h-trainer", "model.safetensors")
d = trainer("h-trainer-other", "weights.safetensors")
d = trainer("h-accelerate-bin", "x.safetensors")
(d / "x.safetensors").unlink()
torch.save(sd, d / "pytorch_model.bin")
d = trainer("h-accelerate-odd", "x.safetensors")
(d / "x.safetensors").unlink()
torch.save(sd, d / "net.pt")
d = folder("h-trainer-root", refuse="checkpoint-500", config=False)
[((d / c).mkdir(), save_file(sd, d / c / "model.safetensors")) for c in ("checkpoint-500", "checkpoint-1000")]
(d / "runs").mkdir()
d = folder("h-timm-out", refuse="model_best")
[torch.save({"state_dict": sd}, d / f) for f in ("checkpoint-1.pth.tar", "last.pth.tar", "model_best.pth.tar")]
(d / "args.yaml").write_text("a: 1")

# ------------------------------------------------------------
# heads
lin = lambda o, i: torch.randn(o, i)
base = {k: v for k, v in sd.items() if not k.startswith("head.")}
st(
    "j-mlp2",
    {**base, "head.0.weight": lin(64, 192), "head.0.bias": torch.zeros(64), "head.2.weight": lin(7, 64), "head.2.bias": torch.zeros(7)},
    refuse="head.0.*head.2|two|layers",
)
st(
    "j-mlp2-square",
    {**base, "head.0.weight": lin(192, 192), "head.0.bias": torch.zeros(192), "head.3.weight": lin(7, 192), "head.3.bias": torch.zeros(7)},
    refuse="head.0",
)
st(
    "j-mlp2-fc",
    {**base, "fc1.weight": lin(64, 192), "fc1.bias": torch.zeros(64), "fc2.weight": lin(7, 64), "fc2.bias": torch.zeros(7)},
    refuse="fc2",
)
st(
    "j-multi",
    {
        **base,
        "head_species.weight": lin(5, 192),
        "head_species.bias": torch.zeros(5),
        "head_color.weight": lin(3, 192),
        "head_color.bias": torch.zeros(3),
    },
    refuse="head_species.*head_color|head_color.*head_species",
)
st(
    "j-multi-ignore",
    {
        **base,
        "head_species.weight": sd["head.weight"],
        "head_species.bias": sd["head.bias"],
        "head_color.weight": lin(3, 192),
        "head_color.bias": torch.zeros(3),
    },
    extra=["--ignore", "head_color.*"],
)
st(
    "j-bn-head",
    {
        **base,
        "head.0.running_mean": torch.zeros(192),
        "head.0.running_var": torch.ones(192),
        "head.0.num_batches_tracked": torch.tensor(1),
        "head.1.weight": sd["head.weight"],
        "head.1.bias": sd["head.bias"],
    },
    refuse="head.0",
)
st(
    "j-ln-head",
    {
        **base,
        "head.0.weight": torch.ones(192),
        "head.0.bias": torch.zeros(192),
        "head.1.weight": sd["head.weight"],
        "head.1.bias": sd["head.bias"],
    },
    refuse="head.0",
)
st("j-cls-nobias", {**{k: v for k, v in base.items()}, "classifier.weight": sd["head.weight"]}, ref="j-nobias")
st("j-nobias", {k: v for k, v in sd.items() if k != "head.bias"}, ref="j-nobias")
st("j-classes-differ", sd, config={**cfg, "num_classes": 1000}, refuse="1000")
st("j-labels", sd, config={**cfg, "label_names": list("abcdefg")})
st(
    "j-labels-desc",
    sd,
    config={**cfg, "label_names": [f"n0{i}" for i in range(7)], "label_descriptions": {f"n0{i}": f"thing {i}" for i in range(7)}},
)
st("j-labels-wrong", sd, config={**cfg, "label_names": list("abc")})
flat = {k: v for k, v in cfg.items() if k != "pretrained_cfg"}
flat.update(cfg["pretrained_cfg"])
st("j-flat-config", sd, config=flat)
st("j-arcface", {**base, "fc.weight": sd["head.weight"]}, ref="j-nobias")
st(
    "j-weightnorm",
    {**base, "head.weight_g": torch.ones(7, 1), "head.weight_v": sd["head.weight"], "head.bias": sd["head.bias"]},
    refuse="weight_v|weight_g",
)
st(
    "j-parametrized-wn",
    {
        **base,
        "head.parametrizations.weight.original0": torch.ones(7, 1),
        "head.parametrizations.weight.original1": sd["head.weight"],
        "head.bias": sd["head.bias"],
    },
    refuse="parametrizations",
)

# ------------------------------------------------------------
# JIT
torch.jit.script(torch.nn.Linear(2, 2))
ts = torch.jit.trace(m, torch.zeros(1, 3, 224, 224))
d = folder("q-jit-trace")
ts.save(str(d / "model.pt"))
fz = torch.jit.freeze(ts)
d = folder("q-jit-frozen", refuse="TorchScript")
fz.save(str(d / "model.pt"))
try:
    ep = torch.export.export(m, (torch.zeros(1, 3, 224, 224),))
    d = folder("q-export", refuse="export")
    torch.export.save(ep, str(d / "model.pt2"))
    shutil.copy(d / "model.pt2", d / "model.pt")
except Exception as e:
    print("export", e)

# ------------------------------------------------------------
# originals
nohead = base
dh = {
    "head.mlp.0.weight": lin(32, 192),
    "head.mlp.0.bias": torch.randn(32),
    "head.mlp.2.weight": lin(32, 32),
    "head.last_layer.weight_g": torch.randn(64, 1),
    "head.last_layer.weight_v": torch.randn(64, 32),
}
st("nohead", nohead, ref="nohead", cmd="embed", config={**cfg, "num_classes": 0})
E = dict(ref="nohead", cmd="embed", config={**cfg, "num_classes": 0})
pt(
    "r-ibot",
    {
        "student": OD([("module.backbone." + k, v + 0.1) for k, v in nohead.items()]),
        "teacher": OD(
            [("backbone." + k, v) for k, v in nohead.items()]
            + [
                *dh.items(),
                ("head.last_layer2.weight_g", torch.randn(64, 1)),
                ("head.last_layer2.weight_v", torch.randn(64, 32)),
                ("backbone.masked_embed", torch.zeros(1, 192)),
            ]
        ),
        "ibot_loss": {"center": torch.zeros(1, 1, 64)},
        "fp16_scaler": None,
    },
    extra=["--weights-key", "teacher"],
    **E,
)
pt("r-ibot-sd", {"state_dict": {**nohead, "masked_embed": torch.zeros(1, 192)}}, **E)
pt("r-deit-orig", {"model": sd})
pt(
    "r-deit-full",
    {
        "model": sd,
        "optimizer": osd,
        "lr_scheduler": {},
        "epoch": 3,
        "scaler": {"scale": 1.0},
        "args": ns,
        "model_ema": {k: v + 0.1 for k, v in sd.items()},
    },
    refuse="model_ema",
)
dec = {
    "mask_token": torch.zeros(1, 1, 64),
    "decoder_pos_embed": torch.zeros(1, 197, 64),
    "decoder_embed.weight": lin(64, 192),
    "decoder_embed.bias": torch.randn(64),
    "decoder_blocks.0.norm1.weight": torch.ones(64),
    "decoder_pred.weight": lin(768, 64),
    "decoder_pred.bias": torch.randn(768),
    "decoder_norm.weight": torch.ones(64),
}
pt("r-mae-pretrain", {"model": {**nohead, **dec}}, **E)
pt(
    "r-mae-linprobe",
    {
        "model": {
            **nohead,
            "head.0.running_mean": torch.zeros(192),
            "head.0.running_var": torch.ones(192),
            "head.0.num_batches_tracked": torch.tensor(3),
            "head.1.weight": sd["head.weight"],
            "head.1.bias": sd["head.bias"],
        },
        "args": ns,
    },
    refuse="head.0",
)
pt("r-moco-v3-lin", {"epoch": 1, "arch": "vit_small", "state_dict": pre("module."), "best_acc1": torch.tensor(70.1), "optimizer": osd})
pt(
    "r-dino-linear",
    {"epoch": 1, "state_dict": {"module.linear.weight": lin(7, 192 * 4), "module.linear.bias": torch.zeros(7)}, "best_acc": 70.0},
    refuse="head|no network",
)


def dv2(k):
    return k.replace("ls1", "ls1").replace("head.", "head.")


mv = rnd(timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=2, init_values=1e-2))
vsd = mv.state_dict()
st("dv2good", {**vsd}, ref="dv2good", cmd="embed", config={**cfg, "num_classes": 0, "model_args": {"depth": 2, "init_values": 1e-2}})
pt(
    "r-dinov2-orig",
    {**vsd, "mask_token": torch.zeros(1, 192)},
    ref="dv2good",
    cmd="embed",
    config={**cfg, "num_classes": 0, "model_args": {"depth": 2, "init_values": 1e-2}},
)
pt(
    "r-dinov2-teacher",
    {
        "teacher": {
            **{"backbone." + k: v for k, v in vsd.items()},
            "backbone.mask_token": torch.zeros(1, 192),
            "dino_head.mlp.0.weight": lin(32, 192),
            "dino_head.last_layer.weight_g": torch.zeros(64, 1),
            "ibot_head.mlp.0.weight": lin(32, 192),
        }
    },
    ref="dv2good",
    cmd="embed",
    config={**cfg, "num_classes": 0, "model_args": {"depth": 2, "init_values": 1e-2}},
)
pt(
    "r-dinov2-chunks-teacher",
    {
        "teacher": {
            f"backbone.blocks.0.{k[7:]}" if k.startswith("blocks.") and 0 else "backbone." + k: v
            for k, v in ((k.replace("blocks.", "blocks.0.") if k.startswith("blocks.") else k, v) for k, v in vsd.items())
        }
    },
    ref="dv2good",
    cmd="embed",
    config={**cfg, "num_classes": 0, "model_args": {"depth": 2, "init_values": 1e-2}},
)
# chunks that each begin at 0
m4 = rnd(timm.create_model("vit_tiny_patch16_224", num_classes=7, depth=4))
s4 = m4.state_dict()
st(
    "r-chunks0",
    ren(lambda k: (lambda p: f"blocks.{int(p[1])//2}.{int(p[1])%2}." + ".".join(p[2:]) if p[0] == "blocks" else k)(k.split(".")), s4),
    config={**cfg, "model_args": {"depth": 4}},
    refuse="chunk",
)
# BEiT
bt = rnd(timm.create_model("beit_base_patch16_224", num_classes=7, embed_dim=192, depth=2, num_heads=3))
bcfg = {
    "architecture": "beit_base_patch16_224",
    "num_classes": 7,
    "model_args": {"depth": 2, "embed_dim": 192, "num_heads": 3},
    "pretrained_cfg": cfg["pretrained_cfg"],
}
st("beitgood", bt.state_dict(), config=bcfg, ref="beitgood")
pt("r-beit-orig", {"model": bt.state_dict(), "optimizer": osd, "epoch": 3, "args": ns}, config=bcfg, ref="beitgood")
bsd = {k: v for k, v in bt.state_dict().items()}
idx = [v for k, v in bt.named_buffers() if "relative_position_index" in k]
from timm.models.beit import gen_relative_position_index

ri = gen_relative_position_index((14, 14))
pt(
    "r-beit-orig-index",
    {"model": {**bsd, **{f"blocks.{i}.attn.relative_position_index": ri for i in range(2)}}},
    config=bcfg,
    ref="beitgood",
)
# SWAG: torchvision names through their own repo
import torchvision

tv = rnd(
    torchvision.models.VisionTransformer(
        image_size=224, patch_size=16, num_layers=2, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=7
    )
)
tsd = tv.state_dict()
st("tvgood", tsd, config=False, ref="tvgood")
pt(
    "r-tv-train",
    {
        "model": tsd,
        "optimizer": osd,
        "lr_scheduler": {},
        "epoch": 1,
        "args": ns,
        "model_ema": OD([("n_averaged", torch.tensor(3))] + [("module." + k, v) for k, v in tsd.items()]),
    },
    config=False,
    ref="tvgood",
    extra=["--weights-key", "model"],
)


def swag(k):
    return (
        k.replace("encoder_layer_", "layer_")
        .replace("heads.head", "head")
        .replace("mlp.0.", "mlp.linear_1.")
        .replace("mlp.3.", "mlp.linear_2.")
        .replace("mlp.linear_1", "mlp.linear_1")
    )


st("r-headless-7", nohead, refuse="num_classes")
pt(
    "r-swag",
    OD(
        (k, (v.transpose(0, 1) if "pos_emb" in k else v))
        for k, v in ren(lambda k: swag(k).replace("head.", "head.layers.head."), tsd).items()
    ),
    config=False,
    ref="tvgood",
)
pt(
    "r-tv-own-head",
    OD(
        [(k, v) for k, v in tsd.items() if not k.startswith("heads")]
        + [("heads.0.weight", tsd["heads.head.weight"]), ("heads.0.bias", tsd["heads.head.bias"])]
    ),
    config=False,
    ref="tvgood",
)
pt("r-tv-heads-weight", OD([(k.replace("heads.head", "heads"), v) for k, v in tsd.items()]), config=False, ref="tvgood")

# ------------------------------------------------------------
# quantised
q = torch.ao.quantization.quantize_dynamic(copy.deepcopy(m), {torch.nn.Linear}, dtype=torch.qint8)
pt("s-quant-dynamic", q.state_dict(), refuse="quanti")
pt("s-quant-module", q, refuse="quanti")
bnb = {}
for k, v in sd.items():
    if v.dim() == 2 and "blocks" in k:
        bnb[k] = torch.zeros(v.numel() // 2, 1, dtype=torch.uint8)
        bnb[k + ".absmax"] = torch.zeros(v.numel() // 64)
        bnb[k + ".quant_map"] = torch.zeros(16)
        bnb[k + ".quant_state.bitsandbytes__nf4"] = torch.zeros(80, dtype=torch.uint8)
    else:
        bnb[k] = v
st("s-bnb4", bnb, refuse="quanti")
b8 = {}
for k, v in sd.items():
    if v.dim() == 2 and "blocks" in k:
        b8[k] = v.to(torch.int8)
        b8[k.replace("weight", "SCB")] = torch.ones(v.shape[0])
    else:
        b8[k] = v
st("s-bnb8", b8, refuse="quanti|I8")
st("s-fp8", {k: (v.to(torch.float8_e4m3fn) if v.dim() == 2 else v) for k, v in sd.items()}, refuse="F8")
pt("s-fp8-pt", OD((k, (v.to(torch.float8_e4m3fn) if v.dim() == 2 else v)) for k, v in sd.items()), refuse="F8")
pt("s-complex", OD((k, (v.to(torch.complex64) if v.dim() == 2 else v)) for k, v in sd.items()), refuse="C64")

# ------------------------------------------------------------
# tensors
pt("t-sparse", OD((k, (v.to_sparse() if v.dim() == 2 else v)) for k, v in sd.items()), refuse="sparse")
sh = OD(sd)
sh["alias.head.weight"] = sh["head.weight"]
pt("t-shared", {"state_dict": OD([(k, v) for k, v in sd.items()]), "ref": sd["head.weight"], "again": {"x": sd["head.weight"]}})
pt("t-meta", OD((k, v.to("meta")) for k, v in sd.items()), refuse="meta|value")


class Sub(torch.Tensor):
    pass


pt("t-subclass", OD((k, v.as_subclass(Sub)) for k, v in sd.items()))
pt("t-conj-neg", OD((k, torch._neg_view(v) if v.dim() == 2 else v) for k, v in sd.items()), refuse=".")


class XT:
    def __init__(s, t):
        s.t = t

    def __reduce_ex__(s, p):
        return torch._utils._rebuild_device_tensor_from_cpu_tensor, (s.t, torch.float32, "xla:0", False)


pt("t-xla-cpu", OD((k, XT(v)) for k, v in sd.items()))


class XN:
    def __init__(s, t):
        s.t = t

    def __reduce_ex__(s, p):
        return torch._utils._rebuild_device_tensor_from_numpy, (s.t.numpy(), torch.float32, "xla:0", False)


pt("t-xla-numpy", OD((k, XN(v)) for k, v in sd.items()), refuse="NumPy")
pt("t-numpy-values", {"state_dict": OD((k, v.numpy()) for k, v in sd.items())}, refuse="NumPy")
pt(
    "t-numpy-legacy",
    {"state_dict": OD((k, v.numpy()) for k, v in sd.items())},
    save=dict(_use_new_zipfile_serialization=False),
    refuse="NumPy",
)
d = folder("t-numpy-pkl", refuse="NumPy|numpy")
pickle.dump({k: v.numpy() for k, v in sd.items()}, open(d / "weights.pkl", "wb"), protocol=2)
pt(
    "t-numpy-rng",
    {
        "state_dict": sd,
        "np": np.random.get_state(),
        "acc": np.float32(0.3),
        "best": np.float64(77.0),
        "hist": np.arange(6).reshape(2, 3),
        "gen": np.random.default_rng(1),
        "dt": np.dtype("f4"),
        "strs": np.array(["a", "b"]),
        "obj": np.array([1, "a", None], dtype=object),
    },
)
pt(
    "t-numpy-rng-legacy",
    {"state_dict": sd, "np": np.random.get_state(), "acc": np.float32(0.3)},
    save=dict(_use_new_zipfile_serialization=False),
)
pt("t-requires-grad", OD((k, v.clone().requires_grad_(True)) for k, v in sd.items()))
for p in (2, 3, 4, 5):
    pt(
        f"t-proto{p}-rng",
        {
            "state_dict": sd,
            "np": np.random.get_state(),
            "acc": np.float32(0.3),
            "set": {1, 2},
            "fs": frozenset([1]),
            "bytes": b"abc",
            "ba": bytearray(b"x"),
            "cplx": 1j,
            "big": 2**100,
            "path": Path("/x"),
            "ell": ...,
            "cls": argparse.Namespace,
            "range": range(3),
            "dd": collections.defaultdict(list, a=[1]),
            "cnt": collections.Counter("aab"),
            "dq": collections.deque([1, 2]),
            "nt": torch.Size([1, 2]),
            "dev": torch.device("cpu"),
            "dty": torch.float16,
        },
        save=dict(pickle_protocol=p),
    )
import datetime, enum, dataclasses, functools, decimal, uuid


class Color(enum.Enum):
    R = 1


@dataclasses.dataclass
class Conf:
    a: int = 1
    b: str = "x"


pt(
    "t-objects",
    {
        "state_dict": sd,
        "when": datetime.datetime.now(),
        "c": Color.R,
        "conf": Conf(),
        "part": functools.partial(torch.nn.LayerNorm, eps=1e-6),
        "d": decimal.Decimal("1.5"),
        "u": uuid.uuid4(),
        "exc": ValueError("x"),
        "gen": torch.Generator().get_state(),
    },
)
pt(
    "t-transforms",
    {
        "state_dict": sd,
        "tf": torchvision.transforms.Compose([torchvision.transforms.Resize(224), torchvision.transforms.ToTensor()]),
        "loss": torch.nn.CrossEntropyLoss(weight=torch.ones(7)),
        "sched": torch.optim.lr_scheduler.StepLR(o2, 3),
    },
)

# ------------------------------------------------------------
# others
d = folder("v-meta")
save_file(sd, d / "model.safetensors", metadata={"format": "pt", "modelspec.title": "x" * 500, "note": '"quoted" \u4e2d'})
d = folder("v-hub/models--x--y/snapshots/abc", path="..")
meta.pop("v-hub/models--x--y/snapshots/abc")
H = R / "v-hub/models--x--y"
(H / "blobs").mkdir()
(H / "refs").mkdir()
(H / "refs/main").write_text("abc")
save_file(sd, H / "blobs/111")
os.symlink("../../blobs/111", H / "snapshots/abc/model.safetensors")
(H / "snapshots/abc/config.json").rename(H / "blobs/222")
os.symlink("../../blobs/222", H / "snapshots/abc/config.json")
meta["v-hub"] = dict(ref="good", cmd="classify", path="models--x--y", refuse=None, extra=[])
(R / "v-hub-snapshot").mkdir()
(R / "v-hub-blob").mkdir()
meta["v-hub-snapshot"] = dict(ref="good", cmd="classify", path="../v-hub/models--x--y/snapshots/abc", refuse=None, extra=[])
meta["v-hub-blob"] = dict(ref="good", cmd="classify", path="../v-hub/models--x--y/blobs/111", refuse=None, extra=["--heads", "3"])
d = folder("v-several", refuse="a.safetensors.*b|b.safetensors.*a")
save_file(sd, d / "a.safetensors")
save_file(sd, d / "b.safetensors")
for n, b, e, w in [
    ("gguf", b"GGUF\3\0\0\0" + b"\0" * 100, "gguf", "GGUF"),
    ("onnx", b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x80\x01" + b"\0" * 100, "onnx", "ONNX"),
    ("h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "h5", "HDF5|Keras"),
    ("msgpack", b"\xde\x00\x02\xa6params\x81" + b"\0" * 100, "msgpack", "msgpack|Flax"),
    ("tflite", b"\x1c\0\0\0TFL3" + b"\0" * 100, "tflite", "TensorFlow Lite|TFLite"),
    ("keras", b"PK\3\4", "keras", "Keras|metadata.json"),
]:
    d = folder("v-" + n, refuse=w, path="model." + e)
    if n == "keras":
        z = zipfile.ZipFile(d / "model.keras", "w")
        z.writestr("metadata.json", "{}")
        z.writestr("config.json", "{}")
        z.writestr("model.weights.h5", "x")
        z.close()
    else:
        (d / ("model." + e)).write_bytes(b)
    d = folder("v-" + n + "-folder", refuse=w)
    shutil.copy(R / ("v-" + n) / ("model." + e), d)
for f, w in (
    ("tf_model.h5", "TensorFlow|Keras|HDF5"),
    ("flax_model.msgpack", "Flax"),
    ("model.onnx", "ONNX"),
    ("saved_model.pb", "TensorFlow"),
):
    d = folder("v-only-" + f, refuse=w)
    (d / f).write_bytes(b"\x08\x07aaaa" * 20)
d = folder("v-empty", refuse="0 bytes", path="model.pth")
(d / "model.pth").write_bytes(b"")
d = folder("v-tiny", refuse=".", path="model.pth")
(d / "model.pth").write_bytes(b"abc")
d = folder("v-lfs", refuse="LFS", path="model.pth")
(d / "model.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
import gzip, tarfile

d = folder("v-targz", refuse="gzip", path="model.tar.gz")
tarfile.open(d / "model.tar.gz", "w:gz").add(R / "good", arcname="m")
d = folder("v-tar", refuse="tar", path="model.tar")
tarfile.open(d / "model.tar", "w").add(R / "good", arcname="m")
d = folder("v-rezip", path="model.pth")
torch.save(sd, d / "o.pth")
zi = zipfile.ZipFile(d / "o.pth")
zo = zipfile.ZipFile(d / "model.pth", "w", zipfile.ZIP_DEFLATED)
[zo.writestr(i.filename, zi.read(i)) for i in zi.infolist()]
zo.close()
(d / "o.pth").unlink()
d = folder("v-rezip-stored", path="model.pth")
torch.save(sd, d / "o.pth")
zi = zipfile.ZipFile(d / "o.pth")
zo = zipfile.ZipFile(d / "model.pth", "w", zipfile.ZIP_STORED)
[zo.writestr(i.filename, zi.read(i)) for i in zi.infolist()]
zo.close()
(d / "o.pth").unlink()
d = folder("v-zipped-folder", refuse="zip", path="m.zip")
zo = zipfile.ZipFile(d / "m.zip", "w", zipfile.ZIP_DEFLATED)
[zo.write(f, "m/" + f.name) for f in (R / "good").iterdir()]
zo.close()


# big endian: swap bytes in every storage and the record
def big(src, dst, dt="<f4"):
    zi = zipfile.ZipFile(src)
    zo = zipfile.ZipFile(dst, "w", zipfile.ZIP_STORED)
    for i in zi.infolist():
        b = zi.read(i)
        if "/data/" in i.filename:
            b = np.frombuffer(b, dt).byteswap().tobytes()
        if i.filename.endswith("byteorder"):
            b = b"big"
        zo.writestr(i.filename, b)
    zo.close()


d = folder("v-big", path="model.pth")
torch.save(sd, d / "o")
big(d / "o", d / "model.pth")
(d / "o").unlink()
d = folder("v-big64", path="model.pth")
torch.save({k: v.double() for k, v in sd.items()}, d / "o")
big(d / "o", d / "model.pth", "<f8")
(d / "o").unlink()
d = folder("v-big16", path="model.pth", ref="half")
hsd = {k: v.half() for k, v in sd.items()}
torch.save(hsd, d / "o")
big(d / "o", d / "model.pth", "<f2")
(d / "o").unlink()
st("half", hsd, ref="half")

# ------------------------------------------------------------
# fairseq
pt(
    "x-fairseq",
    {
        "args": None,
        "cfg": {"a": 1},
        "model": sd,
        "criterion": OD(),
        "optimizer_history": [{"num_updates": 3}],
        "task_state": {},
        "extra_state": {"train_iterator": {}},
        "last_optimizer_state": osd,
    },
)
pt("x-deep", {"state": {"model": {"network": sd}}})
pt("x-list-items", {"state_dict": list(sd.items())}, refuse="no network")
pt("x-list", [sd, 3])
pt("x-tuple", (sd, osd))
pt("x-ignite", {"model": pre("module."), "optimizer": osd, "trainer": {"iteration": 5}, "lr_scheduler": {}})
pt(
    "x-robustness",
    {
        "model": OD(
            [("module.normalizer.new_mean", torch.zeros(3, 1, 1)), ("module.normalizer.new_std", torch.zeros(3, 1, 1))]
            + [("module.model." + k, v) for k, v in sd.items()]
            + [("module.attacker.normalize.new_mean", torch.zeros(3, 1, 1)), ("module.attacker.normalize.new_std", torch.zeros(3, 1, 1))]
            + [("module.attacker.model." + k, v) for k, v in sd.items()]
        ),
        "optimizer": osd,
        "epoch": 3,
        "schedule": None,
        "amp": None,
    },
    extra=["--ignore", "module.attacker.*"],
)
pt(
    "x-robustness-refused",
    {"model": OD([("module.model." + k, v) for k, v in sd.items()] + [("module.attacker.model." + k, v) for k, v in sd.items()])},
    refuse="attacker",
)
# HF
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, ViTModel

hc = ViTConfig(hidden_size=192, num_hidden_layers=2, num_attention_heads=3, intermediate_size=768, num_labels=7)
h = rnd(ViTForImageClassification(hc))
proc = ViTImageProcessor()
d = folder("hfgood", config=False, ref="hfgood")
h.save_pretrained(d)
proc.save_pretrained(d)
hsaved = load_file(d / "model.safetensors")


def hf(n, ref="hfgood", **k):
    d = folder(n, config=False, ref=ref, **k)
    h.config.to_json_file(d / "config.json")
    proc.save_pretrained(d)
    return d


d = hf("y-hf-module")
torch.save(h, d / "model.pt")
d = hf("y-hf-module-sd")
torch.save(h.state_dict(), d / "model.pt")


class HN(torch.nn.Module):
    def __init__(s, pool):
        super().__init__()
        s.vit = ViTModel(hc, add_pooling_layer=pool)
        s.classifier = torch.nn.Linear(192, 7)


hn = HN(False)
hn.vit.load_state_dict(h.vit.state_dict())
hn.classifier.load_state_dict(h.classifier.state_dict())
d = hf("y-hf-own")
torch.save(hn.state_dict(), d / "model.pt")
hcm = copy.deepcopy(hc)
hcm.architectures = ["ViTModel"]
hn2 = HN(True)
hn2.vit.load_state_dict(h.vit.state_dict(), strict=False)
hn2.classifier.load_state_dict(h.classifier.state_dict())
d = hf("y-hf-own-pooler", refuse="pooler")
hcm.to_json_file(d / "config.json")
torch.save(hn2.state_dict(), d / "model.pt")
d = hf("y-hf-own-pooler-ignore", extra=["--ignore", "*pooler.*"])
hcm.to_json_file(d / "config.json")
torch.save(hn2.state_dict(), d / "model.pt")
d = hf("y-hf-ddp")
torch.save({"model_state_dict": OD(("module." + k, v) for k, v in h.state_dict().items())}, d / "best.pt")
d = hf("y-hf-shards")
d2 = R / "y-hf-shards"
h.save_pretrained(d2, max_shard_size="500KB")
d = hf("y-hf-fp16-variant")
save_file(hsaved, d / "model.fp16.safetensors")
d = hf("y-hf-variant-both")
save_file(hsaved, d / "model.safetensors")
save_file({k: v.half() for k, v in hsaved.items()}, d / "model.fp16.safetensors")
d = hf("y-hf-consolidated", refuse="several|2 weight")
save_file(hsaved, d / "pytorch_model.safetensors")
torch.save(hsaved, d / "model.ckpt")
save_file(hsaved, d / "other.safetensors")
hcfg = json.loads((R / "hfgood/config.json").read_text())

# ------------------------------------------------------------
# others
import open_clip

try:
    oc_cfg = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 100, "width": 64, "heads": 2, "layers": 1},
    }
    clip = open_clip.model.CLIP(**oc_cfg).eval()
    rnd(clip)

    def ocf(n, **k):
        d = folder(n, config=False, ref="ocgood", cmd="embed", **k)
        (d / "open_clip_config.json").write_text(
            json.dumps({"model_cfg": oc_cfg, "preprocess_cfg": {"mean": [0.48, 0.45, 0.4], "std": [0.26, 0.26, 0.27]}})
        )
        return d

    csd = {k: v.contiguous() for k, v in clip.state_dict().items()}
    save_file(csd, ocf("ocgood") / "open_clip_model.safetensors")
    torch.save(
        {"epoch": 3, "name": "x", "state_dict": OD(("module." + k, v) for k, v in csd.items()), "optimizer": osd, "scaler": {}},
        ocf("z-oc-train") / "epoch_latest.pt",
    )
    torch.save(clip, ocf("z-oc-module") / "model.pt")
    torch.jit.script(clip).save(str(ocf("z-oc-jit") / "ViT-B-32.pt"))
    torch.jit.trace(clip, (torch.zeros(1, 3, 32, 32), torch.zeros(1, 16, dtype=torch.long)), check_trace=False).save(
        str(ocf("z-oc-trace") / "ViT-B-32.pt")
    )
    cs = {**csd, "input_resolution": torch.tensor(32), "context_length": torch.tensor(16), "vocab_size": torch.tensor(100)}
    torch.save(cs, ocf("z-openai-sd") / "ViT-B-32.pt")
except Exception as e:
    print("openclip", repr(e)[:150])
from transformers import CLIPVisionConfig, CLIPVisionModel

cv = rnd(
    CLIPVisionModel(
        CLIPVisionConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
    )
)
d = folder("cvgood", config=False, ref="cvgood", cmd="embed")
cv.save_pretrained(d)
d = folder("z-clip-module", config=False, ref="cvgood", cmd="embed")
cv.config.to_json_file(d / "config.json")
torch.save(cv, d / "m.pt")
d = folder("z-clip-sd", config=False, ref="cvgood", cmd="embed")
cv.config.to_json_file(d / "config.json")
torch.save(cv.state_dict(), d / "m.pt")
# peft module whole
from peft import LoraConfig, get_peft_model

lora = get_peft_model(copy.deepcopy(h), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"]))
g = torch.Generator().manual_seed(5)
for n, p in lora.named_parameters():
    if "lora_" in n:
        with torch.no_grad():
            p.copy_(torch.randn(p.shape, generator=g) * 0.2)
lora.eval()
mg = copy.deepcopy(lora).merge_and_unload()
d = folder("loragood", config=False, ref="loragood")
mg.save_pretrained(d)
proc.save_pretrained(d)


d = hf("z-lora-module", "loragood")
torch.save(lora, d / "model.pt")
lora.peft_config["default"].save_pretrained(d)
d = hf("z-lora-lit", "loragood")
torch.save({"state_dict": OD(("model." + k, v) for k, v in lora.state_dict().items())}, d / "last.ckpt")
lora.peft_config["default"].save_pretrained(d)
d = hf("z-lora-noconf", "loragood", refuse="adapter_config|lora_alpha")
torch.save(lora.state_dict(), d / "model.pt")
# mmselfsup
mmb = {mm(k): v for k, v in nohead.items()}
pt(
    "z-mm-mae",
    {
        "state_dict": {
            **mmb,
            "neck.mask_token": torch.zeros(1, 1, 64),
            "neck.decoder_embed.weight": lin(64, 192),
            "neck.decoder_embed.bias": torch.zeros(64),
            "neck.decoder_blocks.0.ln1.weight": torch.ones(64),
            "neck.decoder_pred.weight": lin(768, 64),
            "neck.decoder_pos_embed": torch.zeros(1, 197, 64),
        }
    },
    "epoch_1.pth",
    **E,
)


# fastai
class Learner:
    def __init__(s):
        s.model = m
        s.opt = None
        s.lr = 0.1


pt("z-fastai-export", Learner())
pt("z-fastai-save", {"model": sd, "opt": osd})


@dataclasses.dataclass
class TrainState:
    model: object
    step: int


pt("z-dataclass", {"state": TrainState(m, 3)})
pt(
    "z-vissl",
    {
        "classy_state_dict": {"base_model": {"model": {"trunk": {"base_model." + k: v for k, v in nohead.items()}, "heads": {}}}},
        "phase_idx": 1,
    },
    **E,
)
pt(
    "z-ijepa",
    {
        "encoder": pre("module.", nohead),
        "predictor": {
            "module.predictor_embed.weight": lin(64, 192),
            **{f"module.predictor_blocks.{i}.attn.qkv.weight": lin(192, 64) for i in range(4)},
        },
        "target_encoder": pre("module.", {k: v for k, v in nohead.items()}),
        "opt": osd,
        "epoch": 3,
    },
    extra=["--weights-key", "target_encoder"],
    **E,
)
np.savez(folder("z-npz-timm") / "w.npz", **{k: v.numpy() for k, v in sd.items()})
np.savez(folder("z-npz-prefix") / "w.npz", **{"module." + k: v.numpy() for k, v in sd.items()})
d = folder("z-wrong-ending")
save_file(sd, d / "model.bin")
d = folder("z-wrong-ending2")
torch.save(sd, d / "model.safetensors")
pt("z-upper", sd, "MODEL.PTH")
pt("z-noext", sd, "weights", path="weights", extra=["--quiet"])
from torchvision.models.feature_extraction import create_feature_extractor

try:
    pt("z-fx", torch.fx.symbolic_trace(tv), config=False, ref="tvgood")
except Exception as e:
    print("fx", repr(e)[:100])
pt(
    "z-mean-model",
    {
        "model": OD(
            [("normalize.mean", torch.full((3,), 0.5)), ("normalize.std", torch.full((3,), 0.5))]
            + [("backbone." + k, v) for k, v in sd.items()]
        )
    },
)
pt("z-nested-module-key", {"net": {"module": {"model": sd}}, "lr": 1})
pt("z-bn-left", {**sd, "head_drop.num_batches_tracked": torch.tensor(3), "temperature": torch.tensor(1.5)}, refuse="temperature")
pt("z-logit_scale", {**sd, "logit_scale": torch.tensor(4.6)}, refuse="logit_scale")
pt("z-prompt", {**sd, "prompt_embeddings": torch.zeros(1, 5, 192)}, refuse="prompt_embeddings")
pt("z-adapter", {**sd, **{f"blocks.{i}.adapter.down.weight": lin(8, 192) for i in range(2)}}, refuse="adapter")
pt("z-optimizer-only", osd, refuse="no network")
pt("z-empty-dict", {}, refuse="no network")
pt("z-args-bin", ns, "training_args.bin", path="training_args.bin", refuse="no network")
pt("z-half-module", copy.deepcopy(m).half(), ref="half")
pt("z-bn-eval", {"state_dict": sd, "metrics": {"acc": np.array([0.1])}, "lr": np.float64(0.1), "time": np.datetime64("2024-01-01")})
d = folder("z-space in name")
torch.save(sd, d / "my model (final).pth")
big = torch.zeros(4, 197, 192)
big[2] = sd["pos_embed"][0]
s2 = OD(sd)
s2["pos_embed"] = big[2:3]
pt("z-slice-of-batch", s2)
s3 = OD(sd)
s3["head.weight"] = sd["head.weight"].t().contiguous().t()
s3["head.bias"] = torch.zeros(14)[::2]
s3["head.bias"].copy_(sd["head.bias"])
pt("z-strided-head", s3)
s4 = OD((k, torch.nn.Parameter(v)) for k, v in sd.items())
s4["head.weight"].grad = torch.ones(7, 192)
s4["head.weight"].foo = 1
pt("z-param-state", s4)


def answer(path, command, extra):
    """The logits by class, or the embedding; None and the message."""
    run = subprocess.run(
        [CLI, command, "-m", path, "--json"] + (["--top", "all"] if command == "classify" else []) + extra + [PICTURE],
        capture_output=True,
        text=True,
    )
    try:
        facts = json.loads(run.stdout.splitlines()[0])
    except (IndexError, ValueError):
        return None, run.stderr.strip(), run.returncode
    if command == "embed":
        return facts["embedding"], "", 0
    return [p["logit"] for p in sorted(facts["predictions"], key=lambda p: p["index"])], "", 0


def check(name, form):
    """What is wrong with the answer to a form; None if nothing is."""
    values, message, status = answer(str(R / name / (form["path"] or ".")), form["cmd"], form["extra"])
    if status not in (0, 1):
        return f"status {status}"
    if values is None:
        message = message.replace(str(R), "")
        return None if form["refuse"] and re.search(form["refuse"], message) else f"refused: {message[:200]}"
    if form["refuse"]:
        return "answers, but should be refused"
    expected = answer(str(R / form["ref"]), form["cmd"], [])[0]
    off = max(abs(a - b) for a, b in zip(values, expected)) if len(values) == len(expected) else float("inf")
    return None if off < 1e-4 else f"off by {off:g}"


wrong = {name: what for name, form in sorted(meta.items()) if (what := check(name, form))}
for name, what in wrong.items():
    print(f"{name}: {what}")
print(
    f"{len(meta)} forms: {sum(not f['refuse'] for f in meta.values())} to be read, {sum(bool(f['refuse']) for f in meta.values())} to be refused; {len(wrong)} wrong"
)
shutil.rmtree(R)
sys.exit(bool(wrong))
