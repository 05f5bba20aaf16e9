"""A model folder loaded by its own library, with its inner tensors within reach.

Everything here is autograd and hooks on the library's own modules: no layer is written anew. What
make_methods.py needs of timm and of transformers alike.
"""
import json
import math

import timm
import timm.data
import torch
import transformers

from reference import register_softmax64

register_softmax64()
transformers.utils.logging.disable_progress_bar()


class Wired:
    """model: pictures [B,3,H,W] -> logits [B,K]; blocks, norms: its blocks and what they begin with;
    tokens: the module whose output [B,T,D] enters the first block; grid, prefix, patch; query: the
    token that the head reads, -1 the mean over the patches, -2 over the prefix; tail: from one vector [1,D] through the
    final norm to logits; transform: from a picture to pixels, the library's own; mean, std of it."""

    def __init__(self, folder, dtype):
        config = json.loads((folder / "config.json").read_text())
        build = self.from_transformers if "model_type" in config else self.from_timm
        build(folder)
        self.model = self.model.to(dtype).eval()
        self.dtype = dtype
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    def from_timm(self, folder):
        self.model = m = timm.create_model(f"local-dir:{folder}", pretrained=True)
        self.blocks, self.norms = list(m.blocks), [b.norm1 for b in m.blocks]
        for block in m.blocks:
            block.attn.fused_attn = False
        self.attentions = [(b.attn.attn_drop, lambda out: out) for b in m.blocks]
        self.tokens = m.patch_drop
        self.grid, self.prefix = tuple(m.patch_embed.grid_size), m.num_prefix_tokens
        self.patch = tuple(m.patch_embed.patch_size)
        self.query = 0 if m.global_pool == "token" else -1
        self.tail = lambda v: m.head(m.fc_norm(m.norm(v)))
        if hasattr(m, "head_dist"):
            self.query = -2
            self.tail = lambda v: (m.head(m.norm(v)) + m.head_dist(m.norm(v))) / 2
        config = timm.data.resolve_model_data_config(m)
        self.transform = timm.data.create_transform(**config, is_training=False)
        self.mean, self.std = config["mean"], config["std"]

    def from_transformers(self, folder):
        inner = transformers.AutoModelForImageClassification.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="softmax64")
        base = inner.base_model

        class Logits(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = inner

            def forward(self, x):
                return self.inner(x).logits

        self.model = Logits()
        dinov2 = inner.config.model_type.startswith("dinov2")
        self.blocks = list(base.layers if hasattr(base, "layers") else base.encoder.layer)
        self.norms = [layer.norm1 if dinov2 else layer.layernorm_before for layer in self.blocks]
        self.attentions = [(layer.attention, lambda out: out[1]) for layer in self.blocks]
        self.tokens = base.embeddings
        pair = lambda v: (v, v) if isinstance(v, int) else tuple(v)
        size, self.patch = pair(inner.config.image_size), pair(inner.config.patch_size)
        self.grid = (size[0] // self.patch[0], size[1] // self.patch[1])
        self.prefix = base.embeddings.position_embeddings.shape[1] - self.grid[0] * self.grid[1]
        self.prefix += getattr(inner.config, "num_register_tokens", 0)
        self.query = 0
        twice = 2 if dinov2 else 1  # its head reads the class token and the mean of the patches
        self.tail = lambda v: inner.classifier(torch.cat([base.layernorm(v)] * twice, -1))
        processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
        self.transform = lambda p: processor(images=p, return_tensors="pt")["pixel_values"][0]
        self.mean, self.std = processor.image_mean, processor.image_std

    # -------------------------------------------------------------- one pass, everything kept

    def record(self, x):
        """The forward pass of one picture [1,3,H,W] with its graph."""
        return Recording(self, x)

    def to_grid(self, tokens):
        """[B,T,D] -> [B,D,gh,gw] without the prefix: pytorch-grad-cam's reshape_transform."""
        t = tokens[:, self.prefix:]
        return t.reshape(len(t), *self.grid, t.shape[-1]).permute(0, 3, 1, 2)

    def to_patches(self, pixels):
        """[H,W] -> [gh,gw,ph,pw], the margin that no patch covers left out."""
        (gh, gw), (ph, pw) = self.grid, self.patch
        return pixels[: gh * ph, : gw * pw].reshape(gh, ph, gw, pw).transpose(0, 2, 1, 3)

    def spread(self, mask, x):
        """Mask [B,gh,gw] -> [B,1,H,W] over the pixels of its patches, 1 in the margin."""
        (gh, gw), (ph, pw) = self.grid, self.patch
        out = torch.ones((len(mask), 1) + tuple(x.shape[-2:]), dtype=x.dtype)
        out[:, 0, : gh * ph, : gw * pw] = mask.repeat_interleave(ph, 1).repeat_interleave(pw, 2)
        return out

    def without(self, x, keep):
        """Logits with the tokens of the patches whose keep [gh,gw] is 0 taken out before the first
        block: the patch embeddings and positions of the others stay as they are."""
        index = torch.cat([torch.arange(self.prefix),
                           self.prefix + torch.nonzero(keep.reshape(-1) > 0.5)[:, 0]])
        handle = self.tokens.register_forward_hook(lambda module, args, out: out[:, index])
        try:
            return self.model(x)
        finally:
            handle.remove()


class Recording:
    """attention [1,H,T,T], norm1 and block outputs [1,T,D] of every block, and logits, of pixels x."""

    def __init__(self, net, x):
        kept = {}

        def keep(kind, i, pick=lambda out: out):
            return lambda module, args, out: kept.__setitem__((kind, i), pick(out))

        handles = [m.register_forward_hook(keep("block", i)) for i, m in enumerate(net.blocks)]
        handles += [m.register_forward_hook(keep("norm1", i)) for i, m in enumerate(net.norms)]
        handles += [m.register_forward_hook(keep("attention", i, pick))
                    for i, (m, pick) in enumerate(net.attentions)]
        self.x = x.clone().requires_grad_(True)
        self.logits = net.model(self.x)
        for handle in handles:
            handle.remove()
        depth = len(net.blocks)
        assert len(kept) == 3 * depth
        self.attention, self.norm1, self.block = (
            [kept[kind, i] for i in range(depth)] for kind in ("attention", "norm1", "block"))
        t = net.prefix + math.prod(net.grid)
        assert all(a.shape[-2:] == (t, t) for a in self.attention)

    def attentions(self):
        """[L,H,T,T] as numpy."""
        return torch.cat(self.attention).detach().numpy()

    def gradients(self, score, tensors):
        """d score / d each tensor as numpy, 0 where it does not reach."""
        grads = torch.autograd.grad(score, tensors, retain_graph=True, allow_unused=True)
        return [(torch.zeros_like(t) if g is None else g).detach()[0].numpy()
                for g, t in zip(grads, tensors)]
