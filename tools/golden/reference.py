"""What the golden scripts and compare.py share: rollout and what gradients make of attention, in numpy;
the attention of models of timm and transformers.

Everything is float64 and written from the definitions, slowly and plainly; nothing here knows how
vitx computes the same things.
"""
import numpy as np


def fuse(attention, how):
    """Heads [H,T,T] -> [T,T]."""
    return {"mean": np.mean, "max": np.max, "min": np.min}[how](attention, axis=0)


def discard(matrix, ratio, exempt=True):
    """Zeroes the int(T*T*ratio) smallest entries of the whole matrix, entry [0,0] excepted if `exempt`.

    As jacobgil/vit-explain vit_rollout.py@15a81d3 does it: over the flattened matrix, not per row;
    the exempt entry counts among the smallest where it is one of them. A stable sort settles ties.
    """
    flat = matrix.flatten()
    smallest = np.argsort(flat, kind="stable")[: int(flat.size * ratio)]
    flat[smallest[smallest != 0] if exempt else smallest] = 0
    return flat.reshape(matrix.shape)


def rollout_matrix(attentions, how="mean", ratio=0.0, start=0, form="row"):
    """Attentions [L,H,T,T] -> R [T,T] = B_{L-1} ... B_start, where B_l comes from fuse(A_l) + I.

    form "row": each row of B divided by its own sum (Abnar & Zuidema 2020).
    form "compat": vit-explain's `a / a.sum(dim=-1)` without keepdim, which divides column j by the
    sum of row j (vit-explain issue 16).
    """
    tokens = attentions.shape[-1]
    identity = np.eye(tokens)
    result = identity
    for attention in attentions[start:]:
        b = discard(fuse(attention, how), ratio) + identity
        sums = b.sum(axis=1)
        b = b / (sums[:, None] if form == "row" else sums[None, :])
        result = b @ result
    return result


def query_row(matrix, query, prefix):
    """The row of one token without the prefix columns; query -1: the mean over the patch rows, -2: over the
    prefix rows."""
    rows = {-1: matrix[prefix:], -2: matrix[:prefix]}.get(query)
    row = matrix[query] if rows is None else rows.mean(axis=0)
    return row[prefix:]


def timm_attentions(model, run):
    """Runs `run()` and returns (its result, [per block: attention [B,H,T,T] as numpy]).

    The model must have been made with TIMM_FUSED_ATTN=0, or timm never builds the matrix.
    """
    kept = []
    hooks = [block.attn.attn_drop.register_forward_hook(
                 lambda module, args, out: kept.append(out.detach().double().numpy()))
             for block in model.blocks]
    try:
        result = run()
    finally:
        for hook in hooks:
            hook.remove()
    if len(kept) != len(model.blocks):
        raise RuntimeError("fused attention is on: set TIMM_FUSED_ATTN=0 before importing timm")
    return result, kept


def gradient_matrix(attention, gradient, kind):
    """Attention and its gradient [H,T,T] -> [T,T]: "relu-mean" max(A G, 0) averaged over the heads
    (Chefer et al. 2021, rule 5), "mean-relu" the mean cut off at 0 (vit-explain's gradient rollout)."""
    product = attention * gradient
    if kind == "relu-mean":
        return np.maximum(product, 0).mean(axis=0)
    return np.maximum(product.mean(axis=0), 0)


def gradient_rollout_matrix(attentions, gradients, ratio=0.0, start=0, compat=False):
    """R [T,T] of jacobgil/vit-explain vit_grad_rollout.py@15a81d3, its slips mended unless `compat`:
    there block l meets the gradient of block L-1-l (its issue 6), column j is divided by the sum of
    row j (issue 16), and entry [0,0] may be discarded, which its rollout exempts."""
    tokens = attentions.shape[-1]
    if compat:
        gradients = gradients[::-1]
    result = np.eye(tokens, dtype=attentions.dtype)
    for attention, gradient in list(zip(attentions, gradients))[start:]:
        f = gradient_matrix(attention, gradient, "mean-relu")
        b = discard(f, ratio, exempt=not compat) + np.eye(tokens, dtype=f.dtype)
        sums = b.sum(axis=1)
        b = b / (sums[None, :] if compat else sums[:, None])
        result = b @ result
    return result


def generic_matrix(attentions, gradients, start=0):
    """R [T,T] of Chefer et al. 2021 (ICCV): R = I, then R += mean_h max(G A, 0) R, block by block."""
    result = np.eye(attentions.shape[-1], dtype=attentions.dtype)
    for attention, gradient in list(zip(attentions, gradients))[start:]:
        result = result + gradient_matrix(attention, gradient, "relu-mean") @ result
    return result


def attention_gradcam(attention, gradient, query, prefix):
    """Attention of one block and its gradient [H,T,T] -> [P]: the row of the query, each head weighted
    by the mean of its gradient row over the patches, averaged over the heads; not cut off at 0."""
    rows = [query_row(a, query, prefix) for a in attention]
    weights = [query_row(g, query, prefix).mean() for g in gradient]
    return np.mean([w * row for w, row in zip(weights, rows)], axis=0)


def register_softmax64():
    """Gives transformers an attention named "softmax64": its eager one, whose softmax always runs in
    float32, in the type of the input."""
    import torch
    import transformers

    def attend(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
        if key.shape[1] < query.shape[1]:  # heads of keys and values serve several of queries
            key, value = (t.repeat_interleave(query.shape[1] // t.shape[1], 1) for t in (key, value))
        scores = query @ key.transpose(2, 3) * scaling
        p = torch.softmax(scores if attention_mask is None else scores + attention_mask, -1)
        return (p @ value).transpose(1, 2).contiguous(), p

    transformers.AttentionInterface.register("softmax64", attend)
