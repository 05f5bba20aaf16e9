"""What PyTorch takes on a GPU for what vitx does there: one line of JSON for each case.

    peers.py --save DIR MODEL         writes timm's MODEL with random weights as vitx reads it
    peers.py [--device cuda] [--seconds 2] [--batch 1,8,256] [--precision f32,bf16]
             [--methods forward,compiled,rollout,...] MODEL...

    {"peer", "model", "what", "precision", "batch", "median_ms", "runs"}

The first two lines are ceilings of the machine: a large matrix product in each precision
("tflops") and a copy within the GPU's memory ("gbs"). `compiled` is torch.compile with
max-autotune. Maps are made as their authors' programs make them: whole batches, one target each.
"""

import argparse
import json
import os
import statistics
import sys
import time

import timm
import torch

METHODS = ("forward", "compiled", "recorded", "rollout", "gradcam", "generic", "ig50", "rise1000")
TARGET, MASKS, STEPS = 3, 1000, 50


def parse():
    ap = argparse.ArgumentParser()
    ap.add_argument("models", nargs="+")
    ap.add_argument("--save")
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--seconds", type=float, default=2)
    ap.add_argument("--batch", default="1,8,256")
    ap.add_argument("--precision", default="f32,bf16")
    ap.add_argument("--methods", default=",".join(METHODS))
    return ap.parse_args()


def make(name):
    torch.manual_seed(0)
    net = timm.create_model(name, pretrained=False).eval()
    for p in net.parameters():  # timm's head begins with zeros
        if p.dim() > 1 and float(p.detach().abs().max()) == 0:
            torch.nn.init.normal_(p, std=0.02)
    return net


def save(folder, name):
    from safetensors.torch import save_file

    net = make(name)
    cfg = net.pretrained_cfg
    kept = ("input_size", "interpolation", "crop_pct", "mean", "std")
    os.makedirs(folder, exist_ok=True)
    tensors = {k: v.contiguous() for k, v in net.state_dict().items()}
    save_file(tensors, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(
            {
                "architecture": name,
                "num_classes": net.num_classes,
                "num_features": net.num_features,
                "pretrained_cfg": {k: cfg[k] for k in kept},
            },
            f,
        )


class Clock:
    def __init__(self, device, seconds):
        self.device, self.seconds = device, seconds

    def wait(self):
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()

    def median(self, run):
        """Milliseconds of a call, waited for, and how many were timed."""
        for _ in range(2):
            run()
        self.wait()
        times, end = [], time.perf_counter() + self.seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            self.wait()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times), len(times)


def ceilings(clock, precisions):
    n = 8192 if clock.device.startswith("cuda") else 512
    for name in precisions:
        kind = torch.bfloat16 if name == "bf16" else torch.float32
        a, b = (torch.randn(n, n, device=clock.device, dtype=kind) for _ in range(2))
        ms, runs = clock.median(lambda: a @ b)
        say(what="tflops", precision=name, value=2e-9 * n**3 / ms, runs=runs)
    a = torch.empty(n * n * 4, device=clock.device)
    b = torch.empty_like(a)
    ms, runs = clock.median(lambda: b.copy_(a))
    say(what="gbs", value=2e-6 * a.numel() * 4 / ms, runs=runs)


def say(**facts):
    print(json.dumps({"peer": "torch " + torch.__version__, **facts}), flush=True)


def watch(net, gradients):
    """Keeps every block's attention; timm computes it unfused then."""
    kept = []

    def keep(module, inputs, output):
        if gradients and output.requires_grad:
            output.retain_grad()
        kept.append(output)

    for block in net.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(keep)
    return kept


def recorded(net, x):
    kept = watch(net, False)

    def run():
        kept.clear()
        with torch.no_grad():
            net(x)

    return run


def rollout(net, x):
    kept = watch(net, False)

    def run():
        kept.clear()
        with torch.no_grad():
            net(x)
            one = torch.eye(kept[0].shape[-1], device=x.device)
            product = one
            for p in kept:
                m = p.float().mean(1) + one
                product = (m / m.sum(-1, keepdim=True)) @ product
            return product[:, 0, 1:]

    return run


def generic(net, x):
    kept = watch(net, True)

    def run():
        kept.clear()
        net(x)[:, TARGET].sum().backward()
        product = torch.eye(kept[0].shape[-1], device=x.device)
        for p in kept:
            product = product + (p.grad * p).clamp(min=0).float().mean(1).detach() @ product
        net.zero_grad()
        return product[:, 0, 1:]

    return run


def gradcam(net, x):
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    net.blocks[-1].norm1.register_forward_hook(keep)

    def run():
        kept.clear()
        net(x)[:, TARGET].sum().backward()
        a, g = kept[0], kept[0].grad
        net.zero_grad()
        return (a[:, 1:] * g[:, 1:].mean(1, keepdim=True)).sum(-1).clamp(min=0)

    return run


def ig50(net, x):
    def run():
        total = torch.zeros_like(x)
        for step in range(STEPS):
            at = (x * ((step + 0.5) / STEPS)).requires_grad_()
            total += torch.autograd.grad(net(at)[:, TARGET].sum(), at)[0]
        return total * x / STEPS

    return run


def rise1000(net, x):
    """Of one picture, 250 masks at once."""
    size, one = x.shape[-2:], x[:1]

    def run():
        map_ = torch.zeros(size, device=x.device)
        with torch.no_grad():
            for _ in range(MASKS // 250):
                coarse = (torch.rand(250, 1, 8, 8, device=x.device) < 0.5).float()
                m = torch.nn.functional.interpolate(coarse, size, mode="bilinear").to(x.dtype)
                score = net(one * m).float().softmax(1)[:, TARGET, None, None]
                map_ += (score * m[:, 0].float()).sum(0)
        return map_ / MASKS

    return run


def forward(net, x):
    def run():
        with torch.no_grad():
            return net(x)

    return run


def compiled(net, x):
    return forward(torch.compile(net, mode="max-autotune"), x)


MAKERS = {f.__name__: f for f in (forward, compiled, recorded, rollout, gradcam, generic, ig50,
                                  rise1000)}
ONE_BATCH = {"ig50": 8, "rise1000": 1}  # the batch at which these are timed, once


def time_one(clock, name, what, precision, batch):
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    net = make(name).to(clock.device, kind)
    size = net.pretrained_cfg["input_size"][-1]
    x = torch.randn(batch, 3, size, size, device=clock.device, dtype=kind)
    return clock.median(MAKERS[what](net, x))


def main():
    a = parse()
    if a.save:
        return save(a.save, a.models[0])
    torch.set_float32_matmul_precision("highest")
    clock = Clock(a.device, a.seconds)
    precisions, wanted = a.precision.split(","), a.methods.split(",")
    ceilings(clock, precisions)
    for name in a.models:
        for what in wanted:
            for precision in precisions:
                for batch in map(int, a.batch.split(",")):
                    if batch != ONE_BATCH.get(what, batch):
                        continue
                    try:
                        ms, runs = time_one(clock, name, what, precision, batch)
                    except RuntimeError as e:  # no memory, say: the row is missing, not the table
                        print(f"{name} {what} batch {batch}: {str(e)[:120]}", file=sys.stderr)
                        continue
                    say(model=name, what=what, precision=precision, batch=batch, median_ms=ms,
                        runs=runs)


if __name__ == "__main__":
    main()
