"""What reference.py and methods.py lean on: numbers computed elsewhere by hand-made code, and the
authors' own code on the same attention and gradients."""
import importlib.util
import json
import sys
import types
from unittest import mock

import captum.attr
import numpy as np
import pytorch_grad_cam as pgc
import torch

import reference
from make_explain import small_attention
from methods import Case, Job, legrad, occlusion, over_maximum
from reference import query_row
from wired import Wired

GRADIENT_ROLLOUT = {  # compat, discard ratio -> the map over its maximum
    (True, 0.0): (1, .100697, .022333, 0), (True, 0.5): (1, .103088, .022363, 0),
    (False, 0.0): (1, .067090, .003018, .001356), (False, 0.5): (1, .067090, .003018, .001356)}
GENERIC = (.672088, .067856, .010121, .001144)
ATTN_GRADCAM = (.02345610, .00573902, .03890154, .02921289)
RELU_MEAN = (.498793, .552846, .440114, .375341)
TOKEN_CAMS = {
    pgc.GradCAM: (.223752, .234655, .114570, -.121444),
    pgc.GradCAMPlusPlus: (.149416, -.036941, .048889, -.060709),
    pgc.XGradCAM: (5.950755, -.243689, -5.470332, -.347736),
    pgc.HiResCAM: (.002351, .166513, -.156622, -.123244),
    pgc.GradCAMElementWise: (.582031, .469399, .171475, 0),
    pgc.LayerCAM: (.002351, .166513, .120170, -.037791)}


def small_gradient():
    """[2,2,5,5], the other half of make_explain.py's small case."""
    l, h, i, j = np.meshgrid(range(2), range(2), range(5), range(5), indexing="ij")
    return np.cos(0.5 * i - 1.1 * j + 0.8 * h + 0.6 * l + 0.23 * i * j) + 0.2


def same(found, expected, what, tolerance=5.1e-7):
    error = np.abs(np.asarray(found) - expected).max()
    assert error < tolerance, (what, error, found)


def printed_numbers():
    """methods.md 2.14: T=5, H=2, L=2, and tokens of three channels."""
    a, g = small_attention(), small_gradient()
    for (compat, ratio), expected in GRADIENT_ROLLOUT.items():
        r = reference.gradient_rollout_matrix(a, g, ratio, 0, compat)
        same(over_maximum(query_row(r, 0, 1)), expected, ("gradient rollout", compat, ratio))
    same(query_row(reference.generic_matrix(a, g), 0, 1), GENERIC, "generic")
    same(reference.attention_gradcam(a[1], g[1], 0, 1), ATTN_GRADCAM, "attn-gradcam", 5.1e-9)
    same(np.maximum(g[1], 0).mean(axis=(0, 1))[1:], RELU_MEAN, "legrad")
    t, c = np.mgrid[0:5, 0:3]
    tokens = [np.sin(0.9 * t + 1.7 * c + 0.3 * t * c), 0.5 * np.cos(0.4 * t - 0.8 * c + 0.5 * t * c) + 0.1]
    x, dx = (v[1:].T.reshape(1, 3, 2, 2) for v in tokens)
    some = torch.nn.Linear(1, 1)
    for cam, expected in TOKEN_CAMS.items():
        raw = cam(some, [some]).get_cam_image(None, None, None, x, dx, False)
        same(raw.reshape(-1), expected, cam.__name__)


# ------------------------------------------------------------------ the authors' own code

def module_at(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(what, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{what}: {error:.1e}")
    assert error < 1e-6, what


def vit_explain(folder, net, job, a, g):
    theirs = module_at(folder / "vit-explain" / "vit_grad_rollout.py", "vit_grad_rollout")
    for ratio in (0.0, 0.5, 0.9):
        ours = over_maximum(job.row(reference.gradient_rollout_matrix(a, g, ratio, 0, True)))
        found = theirs.grad_rollout([torch.tensor(m[None]) for m in a],
                                    [torch.tensor(m[None]) for m in g[::-1]], ratio)
        report(f"vit-explain, discard {ratio}", found.reshape(-1), ours)


def mm_explainability(folder, job, a, g):
    """The notebook's rules 5 and 6, in its own loop."""
    notebook = json.loads((folder / "Transformer-MM-Explainability" /
                           "Transformer_MM_explainability_ViT.ipynb").read_text())
    cell = next("".join(c["source"]) for c in notebook["cells"] if "def avg_heads" in "".join(c["source"]))
    theirs = {"torch": torch, "np": np}
    exec(cell[: cell.index("def generate_relevance")], theirs)
    r = torch.eye(a.shape[-1])
    for attention, gradient in zip(a, g):
        cam = theirs["avg_heads"](torch.tensor(attention[None]), torch.tensor(gradient[None]))
        r = r + theirs["apply_self_attention_rules"](r, cam)
    report("Transformer-MM-Explainability", r[0, 1:], job.row(reference.generic_matrix(a, g)))


def le_grad(folder, net, job):
    """LeWrapper.compute_legrad_clip with the classifier in place of CLIP's projection and text; its
    L2 norm of the features, which a classifier has not, is taken out."""
    sys.path.insert(0, str(folder / "LeGrad"))
    from legrad.wrapper import LeWrapper

    class Block(torch.nn.Module):
        def __init__(self, attention, out):
            super().__init__()
            self.attn = types.SimpleNamespace(attention_maps=attention)
            self.feat_post_mlp = out.transpose(0, 1)

    blocks = torch.nn.Sequential(*[Block(a, x) for a, x in zip(job.rec.attention, job.rec.block)])
    inner = net.model
    visual = types.SimpleNamespace(transformer=types.SimpleNamespace(resblocks=blocks),
                                   proj=inner.head.weight.T, ln_post=inner.norm,
                                   zero_grad=lambda: None)
    fake = types.SimpleNamespace(visual=visual, starting_depth=0, patch_size=net.patch[0])
    one_hot = torch.zeros(1, inner.head.weight.shape[0])
    one_hot[0, job.score.target] = 1
    plain = torch.autograd.grad  # of [1,H,N,N] here, where LeGrad has [1*H,N,N]
    with mock.patch("torch.nn.functional.normalize", lambda x, dim: x), \
            mock.patch("torch.autograd.grad", lambda *args, **kw: (plain(*args, **kw)[0][0],)):
        shown = LeWrapper.compute_legrad_clip(fake, one_hot)[0, 0].detach()
    raw = torch.tensor(legrad(job))[None, None]
    ours = torch.nn.functional.interpolate(raw, scale_factor=net.patch[0], mode="bilinear")[0, 0]
    report("LeGrad", shown, (ours - ours.min()) / (ours.max() - ours.min()))


def occlusion_on_pixels(net, job):
    """Captum's Occlusion of pixels is what methods.py gets from its Occlusion of a mask of patches."""
    job.case = Case("occlusion target=3 window=2")
    (ph, pw), (gh, gw) = net.patch, net.grid
    found = captum.attr.Occlusion(job.scores).attribute(
        job.x, sliding_window_shapes=(3, 2 * ph, 2 * pw), strides=(3, ph, pw))
    report("Captum, occlusion of pixels", found[0, 0, ::ph, ::pw][:gh, :gw], occlusion(job))


def authors(folder, model):
    torch.set_default_dtype(torch.float64)
    net = Wired(model, torch.float64)
    x = torch.from_numpy(np.load(model / "input.npy")[:1]).double()
    job = Job(net, net.record(x), Case("legrad target=3"), None)
    a = job.rec.attentions()
    g = np.stack(job.rec.gradients(job.score(job.rec.logits)[0], job.rec.attention))
    vit_explain(folder, net, job, a, g)
    mm_explainability(folder, job, a, g)
    le_grad(folder, net, job)
    occlusion_on_pixels(net, job)
