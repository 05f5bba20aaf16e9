#!/usr/bin/env python3
"""Golden maps and gradients of every explanation method, in float64 by PyTorch's own libraries.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers captum grad-cam scipy scikit-learn pillow numpy
    venv/bin/python tools/golden/make_methods.py ../shared/data test/golden/methods [MODEL...] [--authors FOLDER]

Without names all models are done (the last, deit_tiny, takes ten minutes), with names those alone, the others'
lines staying as they are. Writes one array file a model, cases.txt and gradients.txt, which say where in it what lies, a
picture to compare with, and versions.txt; README.md there describes them. The models are the tiny
ones of test/golden/models and the real DeiT-tiny of the data folder. Every case runs once more in
float32: what PyTorch itself is then off by stands beside it, and decides its tolerance.

--authors: checkouts of jacobgil/vit-explain, hila-chefer/Transformer-MM-Explainability and
WalBouss/LeGrad in FOLDER, whose own functions are then run on the same attention and gradients and
compared with reference.py; nothing is written. (LeGrad needs open_clip_torch and einops.)
"""
import os
os.environ["TIMM_FUSED_ATTN"] = "0"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["TQDM_DISABLE"] = "1"

import argparse
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

import check_methods
from methods import METHODS, WITHOUT_TARGET, Case, Job, Score
from packs import Pack, difference, tolerance
from wired import Wired

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "test" / "golden" / "models"

ATTENTION = """
attention
attention layer=0 head=1 query=6
attention layer=all head=all fuse=max
rollout
rollout start=1 fuse=max
rollout discard=0.5
rollout layer=0 head=1
rollout layer=all
rollout query=6 fuse=min discard=0.3 compat=vit-explain
grad-rollout
grad-rollout target={t}
grad-rollout target={t} discard=0.8
grad-rollout target={v} start=1
grad-rollout target={t} layer=0
grad-rollout target={t} head=1
grad-rollout target={t} layer=all head=all
grad-rollout target={t} query=6
grad-rollout target={t} score=probability
grad-rollout target={t} score=difference versus={v}
grad-rollout score=difference
grad-rollout target={t} compat=vit-explain
grad-rollout target={v} discard=0.6 compat=vit-explain
generic
generic target={t}
generic target={t} start=1
generic target={t} layer=0
generic target={t} head=1
generic target={t} query=6
generic target={t} layer=all
generic target={t} score=probability
generic target={t} score=difference versus={v}
legrad
legrad target={t}
legrad target={t} start=1
legrad target={t} layer=0
legrad target={t} head=1
legrad target={t} score=difference versus={v}
attn-gradcam
attn-gradcam target={t}
attn-gradcam target={t} layer=0
attn-gradcam target={t} head=1
attn-gradcam target={t} layer=0 query=6
attn-gradcam target={t} layer=all head=all
attn-gradcam target={t} score=probability
"""
TOKENS = """
gradcam
gradcam target={t} layer=0
gradcam target={t} layer=0 at=output
gradcam target={t} layer=all
gradcam target={t} score=probability
gradcam target={t} score=difference versus={v}
gradcam++
gradcam++ target={t} layer=0
gradcam++ target={t} layer=0 at=output
xgradcam
xgradcam target={t} layer=0
xgradcam target={t} layer=0 at=output
hirescam
hirescam target={t} layer=0
hirescam target={t} score=difference versus={v}
elementwise
elementwise target={t} layer=0
elementwise target={t} layer=0 at=output
layercam
layercam target={t} layer=0
layercam target={t} score=probability
eigencam
eigencam layer=0
eigencam layer=0 at=output
eigengradcam
eigengradcam target={t} layer=0
eigengradcam target={t} layer=0 at=output
scorecam
scorecam target={t} layer=0
scorecam target={t} layer=0 at=output
scorecam target={t} score=probability
ablationcam
ablationcam target={t} layer=0
ablationcam target={t} layer=0 at=output
ablationcam target={t} score=probability
ablationcam target={t} compat=pytorch-grad-cam
ablationcam target={t} layer=0 compat=pytorch-grad-cam
"""
OUTPUT_OF_LAST = """
gradcam target={t} at=output
hirescam target={t} at=output
layercam target={t} at=output
"""  # of models whose head reads the patches
PIXELS = """
saliency grid=mean
saliency target={t}
saliency target={t} reduce=signed grid=sum
saliency target={t} score=probability grid=mean
saliency target={t} score=difference versus={v} grid=mean
input-x-grad target={t}
input-x-grad grid=mean
input-x-grad target={t} grid=sum
input-x-grad target={t} score=probability grid=mean
integrated-gradients
integrated-gradients target={t} grid=sum
integrated-gradients target={t} steps=10 rule=trapezoid grid=mean
integrated-gradients target={t} steps=10 rule=trapezoid compat=captum grid=mean
integrated-gradients target={t} steps=10 rule=left grid=mean
integrated-gradients target={t} steps=10 rule=right grid=mean
integrated-gradients target={t} steps=10 rule=middle grid=mean
integrated-gradients target={t} steps=7 baseline=black grid=mean
integrated-gradients target={t} steps=20 baseline=white grid=mean
integrated-gradients target={t} steps=20 baseline=picture grid=mean
integrated-gradients target={t} steps=20 baseline=blur sigma=1.5 grid=mean
integrated-gradients target={t} steps=20 score=probability grid=mean
integrated-gradients target={t} steps=20 score=difference versus={v} grid=mean
"""
PIXELS_AS_THEY_ARE = """
saliency target={t} reduce=sum
saliency target={t} reduce=mean
saliency target={t} reduce=l2
saliency target={t} reduce=signed
smoothgrad target={t} n=3 sigma=0
smoothgrad target={t} n=2 sigma=0 kind=square reduce=mean
integrated-gradients target={t} steps=20 baseline=picture
"""
PATCHES = """
occlusion
occlusion target={t}
occlusion target={t} window=2
occlusion target={t} window=2 stride=2
occlusion target={t} window=3 stride=2
occlusion target={t} remove=black
occlusion target={t} window=2 remove=white
occlusion target={t} remove=blur
occlusion target={t} remove=drop
occlusion target={t} window=2 stride=2 remove=drop
occlusion target={t} score=probability
occlusion target={t} score=difference versus={v}
"""
SAMPLED = """
rise target={t} n=20 cells=3
rise target={t} n=20 cells=5 p=0.7 remove=white seed=4 grid=mean
rise target={t} n=30 remove=drop score=logit
lime target={t} n=60
lime target={t} n=60 alpha=0.2 kernel=0.5 remove=drop seed=2
lime target={t} n=60 remove=blur score=difference versus={v}
kernelshap target={t} n=150
"""
SAMPLED_DROP = """
rise target={t} n=30 cells=3 p=0.6 remove=drop seed=5
kernelshap target={t} n=151 remove=drop seed=3
"""  # where something is left when all patches are gone
SHAPLEY = """
kernelshap
kernelshap target={t}
kernelshap target={t} n=600
kernelshap target={t} remove=black
kernelshap target={t} remove=blur sigma=3
kernelshap target={t} score=probability
kernelshap target={t} score=difference versus={v}
"""
SHAPLEY_DROP = """
kernelshap target={t} remove=drop
kernelshap remove=drop score=probability
"""  # where something is left when all patches are gone
FEW = """
grad-rollout target={t}
generic target={t}
legrad target={t}
attn-gradcam target={t}
gradcam target={t}
layercam target={t} layer=0
eigencam
saliency target={t}
saliency target={t} grid=mean
integrated-gradients target={t} steps=20 grid=sum
occlusion target={t}
occlusion target={t} window=2 remove=drop
"""
PREFIXES = """
attention
attention layer=0 head=1 query=1
rollout
rollout start=1 fuse=max
rollout layer=all
grad-rollout target={t}
grad-rollout target={t} score=probability
generic target={t}
generic target={t} query=6
generic target={t} score=difference versus={v}
legrad target={t}
legrad target={t} start=1
attn-gradcam target={t}
attn-gradcam target={t} layer=0 head=1
gradcam target={t}
gradcam target={t} layer=0 at=output
hirescam target={t} layer=0
layercam target={t}
eigencam
eigengradcam target={t}
scorecam target={t}
ablationcam target={t}
ablationcam target={t} layer=0 at=output
saliency target={t} grid=mean
saliency target={t} score=probability grid=mean
input-x-grad target={t} grid=sum
integrated-gradients target={t} steps=20 grid=mean
occlusion target={t}
occlusion target={t} window=2 stride=2 remove=drop
rise target={t} n=30 remove=drop score=logit
lime target={t} n=60
"""
DEIT = """
grad-rollout target={t}
grad-rollout target={t} discard=0.9
grad-rollout target={t} compat=vit-explain
grad-rollout target={t} discard=0.9 compat=vit-explain
generic target={t}
generic target={t} start=1
generic target={t} score=probability
legrad target={t}
legrad target={t} start=10
attn-gradcam target={t}
gradcam target={t}
gradcam target={t} layer=8
gradcam target={t} layer=10 at=output
gradcam++ target={t}
gradcam++ target={t} layer=5
xgradcam target={t}
xgradcam target={t} layer=5
hirescam target={t}
hirescam target={t} layer=5
elementwise target={t}
layercam target={t}
eigengradcam target={t}
saliency target={t} grid=mean
saliency target={t} reduce=signed grid=mean
input-x-grad target={t} grid=sum
integrated-gradients target={t} grid=mean
integrated-gradients target={t} steps=20 baseline=black grid=sum
occlusion target={t}
"""
DEIT_MORE = """
rollout
eigencam
grad-rollout target={t} score=difference versus={v}
generic target={t} score=difference versus={v}
gradcam target={t} score=difference versus={v}
saliency target={t} score=probability grid=mean
integrated-gradients target={t} steps=20 baseline=picture grid=mean
occlusion target={t} window=2
occlusion target={t} window=2 stride=2 remove=drop
occlusion target={t} score=probability
"""
DEIT_ONCE = """
saliency target={t}
scorecam target={t}
ablationcam target={t}
ablationcam target={t} compat=pytorch-grad-cam
"""

ALL = ATTENTION + TOKENS + PIXELS + PATCHES
TINY = {
    "vit-timm": ALL + SAMPLED + SAMPLED_DROP,
    "vit-timm-avg": ALL + OUTPUT_OF_LAST + PIXELS_AS_THEY_ARE,
    "vit-timm-layerscale": ALL,
    "vit-timm-oblong": ALL + SAMPLED + SAMPLED_DROP,
    "vit-timm-no-class-token": ALL + OUTPUT_OF_LAST + SAMPLED,
    "deit-hf": ALL + PIXELS_AS_THEY_ARE,
    "vit-hf": ALL + PIXELS_AS_THEY_ARE,
    "vit-timm-avg-norm": FEW + OUTPUT_OF_LAST,
    "vit-hf-margin": FEW,
    "deit-timm-distilled": PREFIXES,
    "dinov2-hf-registers-swiglu": PREFIXES + OUTPUT_OF_LAST,
    "dinov2-timm-registers-swiglu": PREFIXES,
    "deit3-timm": PREFIXES,
    "vit-timm-3x3": SHAPLEY + SHAPLEY_DROP,
    "vit-timm-2x2-avg": SHAPLEY,
}
SCORES = ("target={t},score=logit", "target={t},score=probability",
          "target={t},score=difference,versus={v}")
ALL_SCORES = ("deit-hf", "vit-timm-avg", "vit-timm-layerscale")  # of the others the logit alone


def lines(text, **values):
    return [line.format(**values) for line in text.split("\n") if line]


class Subject:
    """A model in float64 and in float32 with one picture and the pixels of another of its size."""

    def __init__(self, name, nets, pixels, other):
        self.name, self.nets = name, nets
        self.pixels = [pixels.to(net.dtype) for net in nets]
        self.others = [other.to(net.dtype) for net in nets]
        self.recordings = [net.record(x) for net, x in zip(nets, self.pixels)]
        self.order = [int(k) for k in self.recordings[0].logits[0].argsort(descending=True)]

    def answers(self, case):
        """Job and map in float64 and in float32."""
        for net, recording, other in zip(self.nets, self.recordings, self.others):
            job = Job(net, recording, case, other)
            yield job, METHODS[case.method](job)

    def case(self, line, pack, refused):
        """Its line of cases.txt; none where float32 cannot tell."""
        case = Case(line)
        (job, expected), (_, single) = self.answers(case)
        error = difference(single, expected)
        if tolerance(error) is None:
            refused.append(f"{self.name}/{case.name} {error:.1e}")
            return ""
        words = [f"{self.name}/{case.name}"]
        if case.method not in WITHOUT_TARGET:
            words.append(f"class={job.score.target} value={job.value:.9g}")
        if job.base is not None:
            words.append(f"base={job.base:.9g}")
        words += [pack.add(expected), f"tolerance={tolerance(error)} float32={error:.0e}"]
        return " ".join(words) + "\n"

    def gradients(self, line, pack):
        """d score / d attention, norm1 output and output of every block, and / d pixels."""
        case, found = Case("gradient " + line.replace(",", " ")), []
        for recording in self.recordings:
            score = Score(case, recording.logits[0].detach())(recording.logits)[0]
            named = [(f"{kind}.{i}", t) for kind in ("attention", "norm1", "block")
                     for i, t in enumerate(getattr(recording, kind))] + [("pixels", recording.x)]
            found.append(recording.gradients(score, [t for _, t in named]))
        return "".join(f"{self.name}/{name},{line} {pack.add(g)} float32={difference(f, g):.0e}\n"
                       for (name, _), g, f in zip(named, *found))


def load(folder):
    return [Wired(folder, dtype) for dtype in (torch.float64, torch.float32)]


def write_baseline(path):
    """A picture as large as test/golden/models/picture.png and quite unlike it."""
    y, x = np.mgrid[0:47, 0:61].astype(np.float64)
    rgb = np.stack([255 * (x % 8 < 4), 2 * x + 2 * y, 127 + 120 * np.cos(x * y / 90)], -1)
    Image.fromarray(np.clip(np.rint(rgb), 0, 255).astype(np.uint8)).save(path, optimize=True)


def sections(path):
    """The text of each array file's subjects, of what is there already."""
    found = {}
    for line in path.read_text().splitlines(True) if path.exists() else []:
        if line.startswith("subject "):
            name = line.split(" file=")[1].strip()[:-4]
        found[name] = found.get(name, "") + line
    return found


def make_tiny(name, out, refused):
    """Text for cases.txt and gradients.txt."""
    nets, pack = load(MODELS / name), Pack(name)
    given = torch.from_numpy(np.load(MODELS / name / "input.npy")[:1])
    picture, other = (nets[0].transform(Image.open(path).convert("RGB"))[None]
                      for path in (MODELS / "picture.png", out / "baseline.png"))
    assert (picture - given).abs().max() < 1e-6
    subject = Subject(name, nets, given, other)
    logits = np.load(MODELS / name / "logits.npy")[0]
    assert np.abs(subject.recordings[0].logits[0].detach().numpy() - logits).max() < 1e-6
    classes = dict(t=3 if subject.order[0] != 3 else 6, v=5)
    about = (f"subject {name} model=golden/models/{name} picture=golden/models/picture.png "
             f"baseline=golden/methods/baseline.png file={pack.file}\n")
    cases = "".join(subject.case(line, pack, refused) for line in lines(TINY[name], **classes))
    scores = SCORES if name in ALL_SCORES else SCORES[:1]
    gradients = "".join(subject.gradients(line.format(**classes), pack) for line in scores)
    pack.save(out)
    return about + cases, about + gradients


def make_deit(data, out, refused):
    """Text for cases.txt."""
    torch.set_num_threads(2)
    text, pack = "", Pack("deit_tiny")
    nets = load(data / "models" / "deit_tiny_patch16_224")
    plain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(nets[0].mean, nets[0].std)])

    def pixels(name):
        return plain(Image.open(data / "crops" / f"{name}.png").convert("RGB"))[None]

    for name, targets, more in (("both", (243, 282), DEIT_MORE + DEIT_ONCE),
                                ("dog_dk", (None,), DEIT_MORE), ("el1", (None,), "")):
        other = "el1" if name != "el1" else "both"
        subject = Subject(f"deit-tiny-{name}", nets, pixels(name), pixels(other))
        top, second = subject.order[:2]
        text += (f"subject {subject.name} model=shared/models/deit_tiny_patch16_224 fit=squash "
                 f"picture=shared/crops/{name}.png baseline=shared/crops/{other}.png file={pack.file}\n")
        for t in targets:
            versus = 282 if t == 243 else second
            for line in lines(DEIT + (more if t == targets[0] else ""), t=t or top, v=versus):
                text += subject.case(line, pack, refused)
    pack.save(out)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--authors", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)  # tiny matrices
    check_methods.printed_numbers()
    if args.authors:
        return check_methods.authors(args.authors, MODELS / "vit-timm")
    args.out.mkdir(parents=True, exist_ok=True)
    write_baseline(args.out / "baseline.png")
    files, refused = [args.out / "cases.txt", args.out / "gradients.txt"], []
    cases, gradients = (sections(path) for path in files)
    names = list(TINY) + ["deit_tiny"]
    for name in args.models or names:
        if name in TINY:
            cases[name], gradients[name] = make_tiny(name, args.out, refused)
        else:
            cases[name] = make_deit(args.data, args.out, refused)
    for path, found in zip(files, (cases, gradients)):
        path.write_text("".join(found.get(name, "") for name in names))
    packages = ("torch", "torchvision", "timm", "transformers", "captum", "grad-cam", "scipy", "scikit-learn",
                "pillow", "numpy")
    (args.out / "versions.txt").write_text("".join(f"{p} {version(p)}\n" for p in packages))
    print("left out, PyTorch's own float32 being that far off:", *refused, sep="\n  ")


if __name__ == "__main__":
    main()
