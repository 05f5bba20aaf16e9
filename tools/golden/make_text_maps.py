#!/usr/bin/env python3
"""Golden maps of methods that need a text tower, in float64 by PyTorch.

    venv/bin/python tools/golden/make_text_maps.py [test/golden/words]

Writes maps.txt into the folders clip and siglip there, tiny models with both towers that make_words.py made: a line for each
map, what is asked for, as in vectors.txt of test/golden/methods, a bar, and the numbers of the map. "text" is the line of
labels.txt that is explained, from 0; the others are those that it is told from. Both towers are transformers'; the formulas are those of
make_vectors.py, whose --authors compares them with the authors' own code.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from torchvision.transforms.functional import to_tensor
from transformers import AutoModel, PreTrainedTokenizerFast, SiglipTokenizer

from make_vectors import METHODS, Case, Job, Tower
from packs import difference, tolerance

PROMPT = "a photo of a"
CORRECTED = """
legrad correction=0.8
legrad correction=0.5 start=-1
"""
REFINED = """
maskclip
maskclip denoise={most}
maskclip denoise={least}
maskclip smooth=1
maskclip smooth={middle}
maskclip smooth=1 keys=patches
maskclip denoise={least} smooth=1
maskclip denoise={least} smooth={middle} keys=patches
"""
CASES = {
    "clip": CORRECTED + REFINED + "maskclip smooth={middle} residual=drop\n",
    "siglip": CORRECTED + REFINED + "legrad correction=0.8 norm=drop\nlegrad correction=0.8 norm=drop start=-2\n",
}


def ids_of(folder, text):
    if folder.name == "siglip":
        return SiglipTokenizer(vocab_file=str(folder / "spiece.model"), pad_token="</s>")(
            text, padding="max_length", max_length=64, truncation=True)["input_ids"]
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))(text)["input_ids"]


def vector(model, folder, text):
    out = model.get_text_features(input_ids=torch.tensor([ids_of(folder, text)]))
    out = out if torch.is_tensor(out) else out.pooler_output
    return (out[0] / out[0].norm()).detach()


class Texts:
    def __init__(self, folder):
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").double().eval()
        labels = (folder.parent / "labels.txt").read_text().splitlines()
        self.vectors = torch.stack([vector(model, folder, text) for text in labels])
        self.prompt = vector(model, folder, PROMPT)
        self.scale = float(model.logit_scale.detach().exp())
        self.bias = float(getattr(model, "logit_bias", torch.zeros(1)).detach())
        self.own = 0

    def check(self, folder, answer):
        """Both towers: against the logits that make_words.py wrote."""
        logits = [float(line.split("\t")[0]) for line in (folder / "answers.txt").read_text().splitlines()]
        found = self.scale * (self.vectors @ (answer / answer.norm())) + self.bias
        assert np.abs(found.detach().numpy() - logits).max() < 1e-6, folder


def job_of(tower, texts, x, line):
    dtype = x.dtype
    job = Job(tower, x, Case(line + " score=cosine"))
    own = [k == texts.own for k in range(len(texts.vectors))]
    job.vector, job.prompt = texts.vectors[texts.own].to(dtype), texts.prompt.to(dtype)
    job.others, job.other_scale = texts.vectors[[not o for o in own]].to(dtype), texts.scale
    return job


def thresholds(tower, texts, x):
    """The text is the one that is the second to be left out. Of denoise one that leaves out the first, and one that leaves
    out both; of smooth one that the best text of half of the patches is below."""
    job = job_of(tower, texts, x, "maskclip")
    last = job.recorded[-1]
    v = last["out"] if tower.value is not None else tower.blocks[-1][3](last["x"] + tower.blocks[-1][2](tower.join(last["v"])))
    answers = tower.each(v)
    cosines = answers / answers.norm(dim=-1, keepdim=True) @ texts.vectors.to(answers.dtype).T
    p = (texts.scale * cosines).softmax(-1).detach()
    most, order = p.amax(0).sort()
    best = p.amax(-1).sort()[0]
    texts.own = int(order[1])
    steps = dict(least=most[:2], most=most[1:3], middle=best[len(best) // 2 - 1:len(best) // 2 + 1])
    assert all(float(b - a) > 1e-4 for a, b in steps.values()), steps
    return {name: "%.6g" % float(step.mean()) for name, step in steps.items()}


def make(folder):
    towers = [Tower(folder, dtype) for dtype in (torch.float64, torch.float32)]
    texts = Texts(folder)
    pixels = (to_tensor(Image.open(folder.parent.parent / "texts" / "picture.png").convert("RGB")) - 0.5) / 0.5
    x = pixels[None]
    chosen = thresholds(towers[0], texts, x.double())
    out = ""
    for line in CASES[folder.name].format(**chosen).split("\n"):
        if not line:
            continue
        jobs = [job_of(t, texts, x.to(dtype), line) for t, dtype in zip(towers, (torch.float64, torch.float32))]
        texts.check(folder, jobs[0].answer[0])
        expected, single = (METHODS[job.case.method](job) for job in jobs)
        error = difference(single, expected)
        assert np.isfinite(expected).all() and tolerance(error) == "map", (folder, line, error)
        out += f"{line.replace(' ', ',')} text={texts.own}" + " | " + " ".join("%.9g" % v for v in expected.reshape(-1)) + "\n"
    (folder / "maps.txt").write_text(out)


def main():
    words = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent.parent / "test" / "golden" / "words"
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    for name in CASES:
        make(words / name)


if __name__ == "__main__":
    main()
