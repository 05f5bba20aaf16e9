#!/usr/bin/env python3
"""Writes test/golden/words: tiny random models with both towers and a tokenizer, as transformers saves
them, and what transformers answers for a picture and texts.

    python3 tools/golden/make_words.py        (needs torch, transformers, sentencepiece, pillow)

The tokenizers are those of test/golden/text, and a small one of sentencepiece's for SigLIP. Each folder holds the model's files and
  answers.txt   a line for each label: logit, probability, label, by tabs; each label as it stands
  ensemble.txt  the same for the labels in the sentences of ../templates.txt: the mean of the vectors of
                length 1, divided by its length
  words.txt     a line for each label: what each token carries: what goes into the first block times its
                gradient of the cosine; the ids, a bar, the numbers
computed in float64. clip-keys has the weights of clip twice in one file of PyTorch, under "model" and "model_ema", whose projections are
those of clip times -1. The picture is ../../texts/picture.png. make_text_maps.py adds maps.txt.
"""
import json
import os
import shutil
import tempfile

import sentencepiece
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import (AutoModel, BertTokenizerFast, ChineseCLIPConfig, ChineseCLIPModel,
                          CLIPConfig, CLIPModel, PreTrainedTokenizerFast, SiglipConfig, SiglipModel,
                          SiglipTokenizer)
from torchvision.transforms.functional import to_tensor

HERE = os.path.join(os.path.dirname(__file__), "..", "..", "test", "golden")
OUT = os.path.join(HERE, "words")
PICTURE = os.path.join(HERE, "texts", "picture.png")
LABELS = ["a photo of a cat", "一张狗的照片。", "The red car, at night!", "一只沙滩上的牛 and a bird"]
TEMPLATES = ["a photo of the {}.", "{}", "一张{}的照片。"]
CORPUS = "a photo of a cat|a photo of the dog|the red car at night|two birds over the water|一张猫的照片|一只沙滩上的牛|红色的汽车".split("|")
SIDE, PATCH, WIDTH, EMBED = 32, 8, 32, 24


def tower(**more):
    return dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=2, num_attention_heads=2, **more)


def clip():
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(HERE, "text", "clip", "tokenizer.json"))
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = CLIPConfig(projection_dim=EMBED,
                        text_config=tower(vocab_size=len(tokenizer), max_position_embeddings=48, projection_dim=EMBED, eos_token_id=end,
                                          hidden_act="quick_gelu"),
                        vision_config=tower(image_size=SIDE, patch_size=PATCH, projection_dim=EMBED, hidden_act="quick_gelu"))
    return CLIPModel(config), lambda text: tokenizer(text)["input_ids"], ("clip", ["tokenizer.json"]), "CLIPImageProcessor"


def chinese_clip():
    tokenizer = BertTokenizerFast(vocab=os.path.join(HERE, "text", "bert", "vocab.txt"))
    config = ChineseCLIPConfig(projection_dim=EMBED, text_config=tower(vocab_size=len(tokenizer), max_position_embeddings=64),
                               vision_config=tower(image_size=SIDE, patch_size=PATCH, projection_dim=EMBED))
    return ChineseCLIPModel(config), lambda text: tokenizer(text)["input_ids"], ("bert", ["vocab.txt"]), "ChineseCLIPImageProcessor"


def siglip():
    """Its ids are those of the real one: pad 0 (which is not what fills up), </s> 1, unknown 2."""
    file = os.path.join(tempfile.mkdtemp(), "spiece.model")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((LABELS + TEMPLATES + CORPUS) * 20), model_prefix=file[:-6], vocab_size=160, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, hard_vocab_limit=False, minloglevel=2)
    tokenizer = SiglipTokenizer(vocab_file=file, pad_token="</s>")
    config = SiglipConfig(text_config=tower(vocab_size=tokenizer.vocab_size, max_position_embeddings=64, projection_size=WIDTH, pad_token_id=tokenizer.pad_token_id),
                          vision_config=tower(image_size=SIDE, patch_size=PATCH))
    return (SiglipModel(config), lambda text: tokenizer(text, padding="max_length", max_length=64, truncation=True)["input_ids"],
            (file, []), "SiglipImageProcessor")


def randomise(model):
    """Weights large enough that answers differ."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in ("logit_scale", "logit_bias"):
                p.fill_(2.0 if name == "logit_scale" else -1.0)
            else:
                noise = torch.randn(p.shape, generator=generator)
                p.copy_(noise * (0.15 if p.ndim > 1 else 0.05) + ("norm" in name.lower() and name.endswith("weight")))


def vector(model, ids, rows=None):
    """The text's embedding; rows: gets what the table gives, as a leaf with a gradient."""
    table = model.text_model.embeddings
    hook = table.register_forward_hook(lambda m, i, o: rows.append(o.detach().requires_grad_(True)) or rows[-1]) if rows is not None else None
    out = model.get_text_features(input_ids=torch.tensor([ids]))
    if hook:
        hook.remove()
    return (out if torch.is_tensor(out) else out.pooler_output)[0]


def unit(v):
    return v / v.norm()


def write(folder, make):
    model, encode, (tokenizer, files), processor = make()
    randomise(model)
    path = os.path.join(OUT, folder)
    shutil.rmtree(path, ignore_errors=True)
    model.half().save_pretrained(path)
    if not files:
        shutil.copy(tokenizer, path)
    for file in files:
        shutil.copy(os.path.join(HERE, "text", tokenizer, file), path)
    json.dump({"image_processor_type": processor, "size": {"height": SIDE, "width": SIDE}, "do_center_crop": False, "do_resize": True,
               "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True, "do_rescale": True},
              open(os.path.join(path, "preprocessor_config.json"), "w"))
    model = AutoModel.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").double().eval()
    pixels = (to_tensor(Image.open(PICTURE).convert("RGB")).double() - 0.5) / 0.5
    out = model.get_image_features(pixel_values=pixels[None])
    picture = unit((out if torch.is_tensor(out) else out.pooler_output)[0].detach())
    scale, bias = float(model.logit_scale.exp()), float(getattr(model, "logit_bias", torch.zeros(1)))
    with torch.no_grad():
        alone = torch.stack([unit(vector(model, encode(l))) for l in LABELS])
        mean = torch.stack([unit(torch.stack([unit(vector(model, encode(t.replace("{}", l)))) for t in TEMPLATES]).mean(0)) for l in LABELS])
    for name, vectors in (("answers", alone), ("ensemble", mean)):
        logits = vectors @ picture * scale + bias
        probabilities = logits.sigmoid() if folder == "siglip" else logits.softmax(0)
        with open(os.path.join(path, name + ".txt"), "w") as f:
            for row in zip(logits.tolist(), probabilities.tolist(), LABELS):
                f.write("%.9g\t%.9g\t%s\n" % row)
    with open(os.path.join(path, "words.txt"), "w") as f:
        for label in LABELS:
            f.write(words(model, encode(label), picture) + "\n")


def words(model, ids, picture):
    """What goes into the first block, times its gradient."""
    rows = []
    (unit(vector(model, ids, rows)) * picture).sum().backward()
    x, gradient = rows[0][0].detach(), rows[0].grad[0]
    return " ".join(map(str, ids)) + " | " + " ".join("%.9g" % v for v in (x * gradient).sum(-1).tolist())


def two_networks():
    folder = os.path.join(OUT, "clip-keys")
    os.makedirs(folder, exist_ok=True)
    state = load_file(os.path.join(OUT, "clip", "model.safetensors"))
    turned = {k: -state[k] for k in ("text_projection.weight", "visual_projection.weight")}
    torch.save({"epoch": 3, "model": state, "model_ema": dict(state, **turned)}, os.path.join(folder, "weights.pt"))


def main():
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "templates.txt"), "w") as f:
        f.write("\n".join(TEMPLATES) + "\n")
    with open(os.path.join(OUT, "labels.txt"), "w") as f:
        f.write("\n".join(LABELS) + "\n")
    for folder, make in (("clip", clip), ("chinese-clip", chinese_clip), ("siglip", siglip)):
        write(folder, make)
    two_networks()


if __name__ == "__main__":
    main()
