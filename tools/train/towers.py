"""The two towers of weights/pair in plain PyTorch, with the names and the arithmetic of transformers'
CLIPModel, and how the picture tower begins: with the weights of weights/scenes."""
import math

import torch
import torch.nn.functional as F
from torch import nn

PATCH, SIZE = 16, 224
EMBED, EPS = 128, 1e-6
VISION = dict(hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4)
TEXT = dict(hidden_size=128, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x, change):
        """`change` takes the scores [n,heads,t,t] before the softmax."""
        n, t, width = x.shape
        parts = self.q_proj, self.k_proj, self.v_proj
        qkv = F.linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        q, k, v = qkv.view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = change((q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1))
        return self.out_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, width))


class MLP(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, width, inner, heads):
        super().__init__()
        self.layer_norm1, self.self_attn = nn.LayerNorm(width, EPS), Attention(width, heads)
        self.layer_norm2, self.mlp = nn.LayerNorm(width, EPS), MLP(width, inner)

    def forward(self, x, change):
        x = x + self.self_attn(self.layer_norm1(x), change)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads):
        super().__init__()
        self.layers = nn.ModuleList(Layer(hidden_size, intermediate_size, num_attention_heads)
                                    for _ in range(num_hidden_layers))


class PictureEmbeddings(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, PATCH, PATCH, bias=False)
        self.position_embedding = nn.Embedding((SIZE // PATCH) ** 2 + 1, width)

    def positions(self, grid):
        """Of pictures of another size: the table of 224 pixels, made smaller."""
        table, own = self.position_embedding.weight, SIZE // PATCH
        if grid == own:
            return table
        plane = table[1:].T.view(1, -1, own, own)
        plane = F.interpolate(plane, (grid, grid), mode="bicubic", antialias=True, align_corners=False)
        return torch.cat([table[:1], plane.flatten(2)[0].T])


class Pictures(nn.Module):
    def __init__(self, form):
        super().__init__()
        width = form["hidden_size"]
        self.embeddings = PictureEmbeddings(width)
        self.pre_layrnorm = nn.LayerNorm(width, EPS)  # so it is spelt
        self.encoder = Encoder(**form)
        self.post_layernorm = nn.LayerNorm(width, EPS)

    def forward(self, patches, late=0.0, where=None):
        """Patches [n,t,768] as the convolution reads them, to tokens after the last norm. `where`: which
        patches of how large a grid they are, [n,t] and its side; without it they are all. Where the dice
        say `late`, the class token looks at itself alone before the last block, and in half of these it
        reads all patches evenly there: what train.py does, for the sake of maps."""
        e = self.embeddings
        x = F.linear(patches, e.patch_embedding.weight.flatten(1))
        if where is None:
            table = e.positions(math.isqrt(patches.shape[1]))
            x = x + table[1:]
        else:
            table = e.positions(where[1])
            x = x + table[1:][where[0]]
        first = (e.class_embedding + table[0]).expand(len(x), 1, -1)
        x = self.pre_layrnorm(torch.cat([first, x], 1))
        dice = torch.rand(len(x)).view(-1, 1, 1, 1)
        itself = torch.full((x.shape[1],), -1e4)
        itself[0] = 0

        def change(scores, last):
            if not late:
                return scores
            row = scores[:, :, :1]
            row = (torch.where(dice < late / 2, torch.zeros_like(row), row) if last
                   else torch.where(dice < late, itself, row))
            return torch.cat([row, scores[:, :, 1:]], 2)

        for layer in self.encoder.layers:
            last = layer is self.encoder.layers[-1]
            x = layer(x, lambda scores, last=last: change(scores, last))
        return self.post_layernorm(x)


class TextEmbeddings(nn.Module):
    def __init__(self, ids, context, width):
        super().__init__()
        self.token_embedding = nn.Embedding(ids, width)
        self.position_embedding = nn.Embedding(context, width)


class Texts(nn.Module):
    def __init__(self, ids, context):
        super().__init__()
        width = TEXT["hidden_size"]
        self.embeddings = TextEmbeddings(ids, context, width)
        self.encoder = Encoder(**TEXT)
        self.final_layer_norm = nn.LayerNorm(width, EPS)

    def forward(self, ids, ends):
        """ids [m,t], each text's end at ends [m]; what comes behind it changes nothing."""
        t = ids.shape[1]
        ahead = torch.full((t, t), -1e4).triu(1)
        x = self.embeddings.token_embedding(ids) + self.embeddings.position_embedding.weight[:t]
        for layer in self.encoder.layers:
            x = layer(x, lambda scores: scores + ahead)
        return self.final_layer_norm(x[torch.arange(len(x)), ends])


class Pair(nn.Module):
    def __init__(self, ids, context, vision=VISION):
        super().__init__()
        self.vision_model, self.text_model = Pictures(vision), Texts(ids, context)
        self.visual_projection = nn.Linear(vision["hidden_size"], EMBED, bias=False)
        self.text_projection = nn.Linear(TEXT["hidden_size"], EMBED, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.patch_scale = nn.Parameter(torch.tensor(math.log(10.0)))  # not exported
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 if "embedding" in name else p.shape[1] ** -0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def directions(self, tokens):
        """Of what the picture tower makes of pictures, [n,1+t,embed]: of the picture, of every patch."""
        return F.normalize(self.visual_projection(tokens), dim=-1)

    def pictures(self, patches):
        return self.directions(self.vision_model(patches))

    def texts(self, ids, ends):
        return F.normalize(self.text_projection(self.text_model(ids, ends)), dim=-1)


@torch.no_grad()
def begin_with(pair, weights, patches):
    """Takes the picture tower from a model of train.py, in timm's names. What has no place in CLIP's
    form finds one: the convolution's bias in the positions; and the norm before the blocks, which timm
    does not have, keeps the mean size of tokens, of which `patches` are samples."""
    vision, e = pair.vision_model, pair.vision_model.embeddings
    weights = {k: v.float() for k, v in weights.items()}
    e.class_embedding.copy_(weights["cls_token"].flatten())
    e.patch_embedding.weight.copy_(weights["patch_embed.proj.weight"])
    e.position_embedding.weight.copy_(weights["pos_embed"][0])
    e.position_embedding.weight[1:] += weights["patch_embed.proj.bias"]
    x = F.linear(patches, e.patch_embedding.weight.flatten(1)) + e.positions(math.isqrt(patches.shape[1]))[1:]
    vision.pre_layrnorm.weight.fill_(x.std(-1).mean())
    vision.pre_layrnorm.bias.zero_()
    for n, layer in enumerate(vision.encoder.layers):
        old = {k.removeprefix(f"blocks.{n}."): v for k, v in weights.items() if k.startswith(f"blocks.{n}.")}
        parts = layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj
        for part, w, b in zip(parts, old["attn.qkv.weight"].chunk(3), old["attn.qkv.bias"].chunk(3)):
            part.weight.copy_(w)
            part.bias.copy_(b)
        for part, name in ((layer.self_attn.out_proj, "attn.proj"), (layer.mlp.fc1, "mlp.fc1"),
                           (layer.mlp.fc2, "mlp.fc2"), (layer.layer_norm1, "norm1"),
                           (layer.layer_norm2, "norm2")):
            part.weight.copy_(old[name + ".weight"])
            part.bias.copy_(old[name + ".bias"])
    vision.post_layernorm.weight.copy_(weights["norm.weight"])
    vision.post_layernorm.bias.copy_(weights["norm.bias"])


COLOURS, PLACES = 3, 2


@torch.no_grad()
def open_channels(pair, patches, strength=2.5):
    """Lets every token know its colour and its place up to the last block. To tell shapes apart in mirrored
    scenes neither is needed: weights/scenes says left and right alike in its positions, and block after
    block drowns colour. The tokens' quietest directions, over all blocks, get the mean red, green and blue
    of the patch and its x and y; what the blocks add hardly touches these."""
    vision, e = pair.vision_model, pair.vision_model.embeddings
    seen = []
    hooks = [part.register_forward_hook(lambda m, i, o: seen.append(o[:, 1:].flatten(0, 1)))
             for part in (vision.pre_layrnorm, *vision.encoder.layers)]
    vision(patches)
    for hook in hooks:
        hook.remove()
    total = sum(torch.cov(h.T) / h.var(0).mean() for h in seen)
    quiet = torch.linalg.eigh(total).eigenvectors[:, :COLOURS + PLACES]
    quiet = quiet - quiet.mean(0)  # norms take the mean away
    table = e.positions(math.isqrt(patches.shape[1]))[1:]
    size = (F.linear(patches, e.patch_embedding.weight.flatten(1)) + table).std()
    colour = patches.view(-1, 3, PATCH * PATCH).mean(-1)
    for c in range(COLOURS):
        filter_ = torch.zeros(3, PATCH, PATCH)
        filter_[c] = strength * size / colour[:, c].std() / PATCH**2
        e.patch_embedding.weight += quiet[:, c, None, None, None] * 4 * filter_
    grid = SIZE // PATCH
    line = torch.linspace(-1.7, 1.7, grid)
    places = line.expand(grid, grid).flatten(), line[:, None].expand(grid, grid).flatten()
    for n, place in enumerate(places):
        e.position_embedding.weight[1:] += strength * size * 4 * place[:, None] * quiet[:, COLOURS + n]
