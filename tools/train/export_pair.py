#!/usr/bin/env python3
"""Writes what pair.py or slim.py learned as a CLIP model, in half precision, and measures it.

    venv/bin/python tools/train/export_pair.py slim weights/pair

config.json, model.safetensors and preprocessor_config.json as transformers' CLIPModel reads them, beside
the tokenizer of tokens.py; and accuracy.json: the weights as they stand in the file, in single
precision, by transformers, on 224-pixel scenes of seeds that training never saw. What is measured, for each
language, with the sentences "a cat", "a red cat", "a cat on the left" (form 1 of vitx-scenes --sentences):

  things_of_K          scenes of K objects: the K nearest of the 28 things are these
  not_here_auc         a thing that is there against one that is not, in any scenes: how often the first
                       lies further above the empty text than the second
  not_here_right       above the empty text where it is there, not above where it is not; mean of the two
  KIND_pairs           a true fact against a false one that differs in its value alone: the true is nearer
  KIND_first           of all values of colour, place, count or relation the nearest is true
"""
import argparse
import json
import os

import safetensors.torch
import torch
from export import text
from pair import CONTEXT, Facts, Tokens, embed_pictures, fixed, measure
from towers import EMBED, EPS, PATCH, SIZE, TEXT, VISION
from transformers import CLIPConfig, CLIPModel

SEED = 2000005


def config(ids, vision):
    common = dict(hidden_act="gelu", layer_norm_eps=EPS, projection_dim=EMBED, attention_dropout=0.0)
    return dict(
        architectures=["CLIPModel"], model_type="clip", projection_dim=EMBED, logit_scale_init_value=2.6592,
        dtype="float16",
        text_config=dict(model_type="clip_text_model", vocab_size=ids, max_position_embeddings=CONTEXT,
                         bos_token_id=ids - 2, eos_token_id=ids - 1, pad_token_id=ids - 1, **common, **TEXT),
        vision_config=dict(model_type="clip_vision_model", image_size=SIZE, patch_size=PATCH, num_channels=3,
                           **common, **vision))


def preprocessor():
    half = [0.5, 0.5, 0.5]
    return dict(image_processor_type="CLIPImageProcessor", do_resize=True, size=dict(shortest_edge=SIZE), resample=3,
                do_center_crop=True, crop_size=dict(height=SIZE, width=SIZE), do_rescale=True,
                rescale_factor=1 / 255, do_normalize=True, image_mean=half, image_std=half, do_convert_rgb=True)


class Exported:
    """The files' model, behind what pair.measure asks for."""

    def __init__(self, folder):
        self.model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.end = self.model.config.text_config.eos_token_id

    def texts(self, ids, ends):
        ids = ids.clone()
        for row, end in zip(ids, ends):
            row[end + 1:] = self.end
        hidden = self.model.text_model(input_ids=ids).pooler_output
        return torch.nn.functional.normalize(self.model.text_projection(hidden), dim=-1)

    def pictures(self, patches):
        n, t, _ = patches.shape
        grid = SIZE // PATCH
        x = patches.view(n, grid, grid, 3, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5).reshape(n, 3, SIZE, SIZE)
        hidden = self.model.vision_model(pixel_values=x).pooler_output
        return torch.nn.functional.normalize(self.model.visual_projection(hidden), dim=-1)[:, None]


def report(folder, args):
    facts, tokens = Facts(args.scenes), Tokens(os.path.join(folder, "tokenizer.json"))
    model = Exported(folder)
    out = dict(seed=SEED, scenes=args.count, size=SIZE, objects="1-3", smallest=0.3, largest=0.75)
    pixels, owner, truth = fixed(args.scenes, facts.total, SEED, args.count, SIZE, "1-3")
    pictures = embed_pictures(model, pixels, owner, facts.things)
    for language, name in (0, "en"), (1, "zh"):
        out[name] = measure(model, tokens, facts, pictures, truth, language)
    state = model.model.state_dict()
    out.update(parameters=sum(v.numel() for k, v in state.items() if "position_ids" not in k),
               bytes=os.path.getsize(os.path.join(folder, "model.safetensors")),
               scale=model.model.logit_scale.exp().item())
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("run", help="folder of pair.py or slim.py")
    p.add_argument("out")
    p.add_argument("--scenes", default="build/vitx-scenes", help="the generator")
    p.add_argument("--count", type=int, default=1000, help="scenes")
    args = p.parse_args()

    state = torch.load(os.path.join(args.run, "last.pt"), weights_only=True)
    weights = {k: v.half().contiguous() for k, v in state["ema"].items() if k != "patch_scale"}
    ids = weights["text_model.embeddings.token_embedding.weight"].shape[0]
    path = os.path.join(args.out, "model.safetensors")
    safetensors.torch.save_file(weights, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)  # the writer makes private files
    vision = state.get("vision", VISION)
    files = {"config.json": config(ids, vision), "preprocessor_config.json": preprocessor()}
    CLIPConfig(**files["config.json"])
    for name, content in files.items():
        write(args.out, name, json.dumps(content, indent=2))
    write(args.out, "accuracy.json", text(report(args.out, args)))


def write(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(content + "\n")


if __name__ == "__main__":
    main()
