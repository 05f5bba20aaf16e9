"""What make_vectors.py leans on: the authors' own code, run on the modules of the same tiny models and compared with the
formulas. Needs einops and opencv besides; what their files import and these functions do not use is a stand-in."""
import importlib.util
import sys
import types
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

import make_vectors
from make_vectors import MODELS, Case, Job, Tower, over_range

CLIP, SIGLIP = "clip-open-clip", "siglip-hf"


def job_of(name, line):
    x = torch.from_numpy(np.load(MODELS / name / "input.npy")[:1]).double()
    return Job(Tower(MODELS / name, torch.float64), x, Case(line))


def report(what, found, expected):
    found, expected = (np.asarray(a.detach() if torch.is_tensor(a) else a) for a in (found, expected))
    print(f"{what}: {np.abs(found - expected).max() / np.abs(expected).max():.1e}")


def module_at(path, name, **stand_ins):
    """The file as a module; stand_ins: modules that it imports and does not need here."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, stand_ins):
        spec.loader.exec_module(module)
    return module


class Anything(types.ModuleType):
    """A module in which every name is there."""
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {"register_module": lambda self=None, *a, **k: lambda c: c})


def gem(folder):
    sys.path.insert(0, str(folder / "GEM"))
    from gem.gem_wrapper import GEMWrapper
    job = job_of(CLIP, "gem score=cosine")
    expected = make_vectors.gem(job)
    whole = Tower(MODELS / CLIP, torch.float64).whole.double().eval()
    depth = len(whole.visual.transformer.resblocks)
    wrapped = GEMWrapper(whole, None, depth=depth + 1)
    wrapped.encode_text = lambda text: job.vector[None, None]
    size = job.x.shape[-1] // job.tower.grid[0]
    plain = F.interpolate  # of the finished map nothing is wanted; of positions of the same size it is no change
    with torch.no_grad(), mock.patch("torch.nn.functional.interpolate",
                                     lambda t, size, mode, **k: t if mode == "bilinear" else plain(t, size, mode=mode, **k)):
        found = wrapped(job.x, ["a"], normalize=False)
    report(f"GEM, {depth} blocks, patches of {size}", found[0, 0], expected)


def legrad(folder):
    sys.path.insert(0, str(folder / "LeGrad"))
    from legrad.wrapper import LeWrapper
    plain = torch.autograd.grad
    for start in (0, -1):
        job = job_of(CLIP, f"legrad score=cosine start={start}")
        blocks = [types.SimpleNamespace(attn=types.SimpleNamespace(attention_maps=r["p"]),
                                        feat_post_mlp=r["out"].transpose(0, 1)) for r in job.recorded]
        holder = torch.nn.ModuleList([torch.nn.Module() for _ in blocks])
        for module, b in zip(holder, blocks):
            module.attn, module.feat_post_mlp = b.attn, b.feat_post_mlp
        v = job.tower.model
        visual = types.SimpleNamespace(transformer=types.SimpleNamespace(resblocks=holder), proj=v.proj,
                                       ln_post=v.ln_post, zero_grad=lambda: None)
        fake = types.SimpleNamespace(visual=visual, starting_depth=start % len(blocks), patch_size=1)
        with mock.patch("torch.autograd.grad", lambda *a, **k: (plain(*a, **k)[0][0],)):
            shown = LeWrapper.compute_legrad_clip(fake, job.vector[None])[0, 0]
        report(f"LeGrad CLIP, start={start}", shown, over_range(make_vectors.legrad(job)))
    siglip(LeWrapper)


def other_vectors(job, count):
    vectors = torch.stack([torch.cos(torch.arange(len(job.vector)) * (j + 2.0)).double() for j in range(count)])
    return vectors / vectors.norm(dim=-1, keepdim=True)


def siglip(wrapper):
    job = job_of(SIGLIP, "legrad score=cosine norm=drop")
    t = job.tower
    expected = make_vectors.legrad(job)

    class Pool(torch.nn.Module):
        def forward(self, x):
            self.attn_probs = t.pool_attention(x).detach().requires_grad_(True)
            return t.pool(x, self.attn_probs)

    blocks = torch.nn.ModuleList([torch.nn.Module() for _ in job.recorded])
    for module, r in zip(blocks, job.recorded):
        module.feat_post_mlp = r["out"]
    pool = Pool()
    # their loop asks for the attention of the block whose answer was made last
    total = 0
    for i in range(len(blocks)):
        one = torch.nn.ModuleList([blocks[i]])
        visual = types.SimpleNamespace(trunk=types.SimpleNamespace(blocks=one, attn_pool=pool))
        fake = types.SimpleNamespace(visual=visual, starting_depth=0, patch_size=1, zero_grad=lambda: None)
        with mock.patch("legrad.wrapper.min_max", lambda m: m):
            total = total + wrapper.compute_legrad_siglip(fake, job.vector[None], apply_correction=False)[0, 0]
    report("LeGrad SigLIP", total, expected)
    visual = types.SimpleNamespace(trunk=types.SimpleNamespace(blocks=blocks, attn_pool=pool))
    job.prompt = other_vectors(job, 1)[0]
    for share in (0.8, 0.3):
        fake = types.SimpleNamespace(visual=visual, starting_depth=0, patch_size=1, zero_grad=lambda: None,
                                     empty_embedding=job.prompt[:, None], _init_empty_embedding=lambda: None)
        shown = wrapper.compute_legrad_siglip(fake, job.vector[None], correction_threshold=share)[0, 0]
        job.case.set["correction"] = share
        corrected = make_vectors.legrad(job)
        report(f"LeGrad SigLIP, correction={share}, {(corrected != expected).sum()} patches", shown, over_range(corrected))


def maskclip(folder):
    root = folder / "MaskCLIP" / "mmseg" / "models"
    names = ("mmcv", "mmcv.cnn", "mmcv.cnn.bricks", "mmcv.cnn.bricks.transformer", "mmcv.cnn.utils",
             "mmcv.cnn.utils.weight_init", "mmcv.runner", "mmcv.utils", "mmseg", "mmseg.ops", "mmseg.utils",
             "mmseg.models", "mmseg.models.builder", "mmseg.models.utils", "mmseg.models.decode_heads",
             "mmseg.models.decode_heads.decode_head", "mmseg.models.backbones")
    stand = {name: Anything(name) for name in names}
    registry = types.SimpleNamespace(register_module=lambda: lambda c: c)
    stand["mmseg.models.builder"].BACKBONES = stand["mmseg.models.builder"].HEADS = registry
    vit = module_at(root / "backbones" / "vit.py", "mmseg.models.backbones.vit", **stand)
    head = module_at(root / "decode_heads" / "maskclip_head.py", "mmseg.models.decode_heads.maskclip_head", **stand)
    job = job_of(CLIP, "maskclip score=cosine")
    block = job.tower.model.transformer.resblocks[-1]
    attn = lambda y, identity: identity + block.attn(y, y, y)[0]
    attn.attn = block.attn
    layer = types.SimpleNamespace(norm1=block.ln_1, norm2=block.ln_2, attn=attn,
                                  ffn=lambda y, identity=None: block.mlp(y) if identity is None else identity + block.mlp(y))
    _, _, k, v = vit.TransformerEncoderLayer.forward(layer, job.recorded[-1]["x"].detach(), return_qkv=True)
    feat = (job.tower.norm(v)[:, 1:] @ job.tower.model.proj).transpose(1, 2).unflatten(-1, job.tower.grid)
    fake = types.SimpleNamespace(text_embeddings=job.vector[None])
    report("MaskCLIP", head.MaskClipHead.cls_seg(fake, feat)[0, 0], make_vectors.maskclip(job))
    job.others, job.other_scale = other_vectors(job, 5), 100
    fake = types.SimpleNamespace(text_embeddings=torch.cat([job.vector[None], job.others]))
    most = float((100 * head.MaskClipHead.cls_seg(fake, feat)).softmax(1)[:, 0].max())
    below, above = round(most / 2, 6), round(min(2 * most, 1), 6)  # the map's own text is in, and out
    for denoise, smooth in ((below, 0), (above, 0), (0, 1.0), (0, 0.5), (below, 1.0), (below, 0.5)):
        fake.pd_thresh, fake.ks_thresh = denoise, smooth
        found = head.MaskClipHead.refine_output(fake, head.MaskClipHead.cls_seg(fake, feat), k[:, 1:])
        job.case.set.update(denoise=denoise, smooth=smooth)
        out = int((found[0].flatten(1).amax(1) <= (0 if smooth else -100)).sum())
        report(f"MaskCLIP, pd_thresh={denoise} ks_thresh={smooth}, {out} texts out", found[0, 0], make_vectors.maskclip(job))


def gscorecam(folder):
    sys.path.insert(0, str(folder / "gScoreCAM"))
    package = types.ModuleType("pytorch_grad_cam")
    package.__path__ = [str(folder / "gScoreCAM" / "pytorch_grad_cam")]
    sys.modules["pytorch_grad_cam"] = package
    from pytorch_grad_cam.gscore_cam import GScoreCAM
    for channels, offset in (("auto", 0), ("7", 1000), ("7", 0)):
        job = job_of(CLIP, f"gscorecam score=cosine channels={channels}")
        t, out = job.tower, job.recorded[-1]["out"]
        g, = torch.autograd.grad(job.score(job.answer)[0], out, retain_graph=True)
        a = out.detach()[0, 1:].T.reshape(1, -1, *t.grid)
        model = lambda x, text: (100 * job.score(t.record(x.double())[1])[:, None] + offset,)
        count = out.shape[-1] if channels == "auto" else int(channels)
        fake = types.SimpleNamespace(is_clip=True, topk=count, model=model, use_bot=False, mute=True, batch_size=8)
        with torch.no_grad(), mock.patch.object(torch.Tensor, "cuda", lambda self: self), \
                mock.patch("torch.cuda.empty_cache"):
            weights = GScoreCAM.get_cam_weights(fake, (job.x, job.x), None, [0], a.numpy(),
                                                g[:, 0].numpy()[:, :, None, None])  # cls_reshape: the class token's
        found = (weights[0][:, None, None] * a[0].numpy()).sum(0)
        what = "all channels" if channels == "auto" else f"{channels} channels, logits + {offset}"
        report(f"gScoreCAM, {what}", found, make_vectors.gscorecam(job))
    del sys.modules["pytorch_grad_cam"]
    for name in [n for n in sys.modules if n.startswith("pytorch_grad_cam.")]:
        del sys.modules[name]


def clip_es(folder):
    root = folder / "CLIP-ES"
    package = types.ModuleType("pytorch_grad_cam")
    package.__path__ = [str(root / "pytorch_grad_cam")]
    sys.modules["pytorch_grad_cam"] = package
    from pytorch_grad_cam.grad_cam import GradCAM
    theirs = module_at(root / "clip" / "model.py", "clip_es_model")
    utils = module_at(root / "utils.py", "clip_es_utils")
    job = job_of(CLIP, "clip-es score=cosine")
    t, last, depth = job.tower, job.recorded[-1], job.depth
    vectors = torch.cat([job.vector[None], other_vectors(job, 3)])

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1 = t.blocks[-1][0]

        def forward(self, x):  # [L,N,E]
            keep = []
            out = t.block(depth - 1, x.transpose(0, 1), keep)
            return out.transpose(0, 1), keep[0]["p"].mean(1)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.logit_scale = Last(), torch.tensor(np.log(20.0))
            v = t.model
            self.visual = types.SimpleNamespace(transformer=types.SimpleNamespace(layers=1, resblocks=[self.last]),
                                                ln_post=v.ln_post, proj=v.proj)

        def forward_last_layer(self, x, text):
            return theirs.CLIP.forward_last_layer(self, x, text)

    def reshape(tensor, height, width):
        return tensor[:, 1:].reshape(1, height, width, -1).permute(0, 3, 1, 2)

    h, w = (16 * n for n in t.grid)
    cam = GradCAM(model=Model(), target_layers=[t.blocks[-1][0]], reshape_transform=reshape)
    x = last["x"].detach().transpose(0, 1).requires_grad_(True)
    grey, _, attention = cam(input_tensor=[x, vectors, h, w], targets=[lambda out: out[..., 0]], target_size=None)
    grey = grey[0]
    job.others, job.other_scale = vectors[1:], 20.0
    ours = make_vectors.es_cam(job)
    report("CLIP-ES, cam", grey, over_range(ours.numpy()).reshape(t.grid))
    report("CLIP-ES, attention of the last block", attention[0].detach(), last["p"].mean(1)[0])
    affinity(folder, utils, job, grey)


def affinity(folder, utils, job, grey):
    """Their lines from the boxes to the refined cam, on their cam and our attention."""
    text = (folder / "CLIP-ES" / "generate_cams_voc12.py").read_text()
    begin, end = text.index("                box, cnt = scoremap2bbox"), text.index("                cam_refined = cam_refined.cpu()")
    lines = [line[16:] for line in text[begin:end].split("\n")]
    p = job.tower.prefix
    mean = torch.stack([r["p"].detach().mean(1)[0, p:, p:] for r in job.recorded[-8:]]).mean(0).float()
    h, w = (16 * n for n in job.tower.grid)
    space = dict(scoremap2bbox=utils.scoremap2bbox, grayscale_cam=grey, torch=torch, attn_weight=mean, h=h, w=w)
    exec("\n".join(lines), space)
    mask = space["aff_mask"].numpy().reshape(job.tower.grid)
    report("CLIP-ES, affinity with their boxes", space["cam_refined"], make_vectors.spread(job, torch.from_numpy(grey * mask).double().reshape(-1)).numpy().reshape(job.tower.grid))
    boxed = make_vectors.boxed(grey, 0.4) != 0
    print("CLIP-ES, boxes: patches in theirs and not in ours, and the other way:",
          int(((mask > 0) & (grey > 0) & ~boxed).sum()), int((boxed & (mask == 0)).sum()))


def authors(folder):
    for name in ("matplotlib", "matplotlib.pyplot", "ttach"):
        sys.modules[name] = Anything(name)
    for check in (gem, legrad, maskclip, gscorecam, clip_es):
        check(folder)
