"""Labels in prompt templates: vitx beside transformers' CLIP text tower, for docs/performance.md.

    make build/texts && python tools/bench/texts.py [LABELS [ROUNDS [THREADS [EACH]]]]

Needs torch, transformers, open_clip_torch and numpy. The tower is ViT-B/16's (512 wide, 8 heads, 12
blocks, 77 tokens) with random weights, the tokenizer CLIP's own, the texts are so many of ImageNet's
labels (spread over all of them) in the 80 templates of weights/templates. Both sides turn texts into
tokens and tokens into vectors. PyTorch fills each batch of 128 up to 77 tokens, as open_clip's
tokenizer does, or to the longest text of the batch, of texts as they come or sorted by their length;
it runs every EACHth text, since its rate does not depend on how many there are. vitx fills nothing up,
and runs what texts have in common at their beginnings once. Rounds alternate. Prints medians: texts a
second, and texts a second of processor time, which other work on the machine changes less; and how
far the vectors are apart.
"""

import gzip
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers

ROOT = Path(__file__).parents[2]
BATCH, START, END = 128, 49406, 49407


def make_tokenizer(folder):
    """vocab.json and merges.txt of transformers from OpenAI's list of merges."""
    package = Path(importlib.util.find_spec("open_clip").origin).parent
    lines = gzip.open(package / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8").read().split("\n")
    merges = lines[1:49152 - 256 - 2 + 1]
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(b) for b in plain] + [chr(256 + n) for n in range(256 - len(plain))]
    words = symbols + [s + "</w>" for s in symbols] + ["".join(m.split()) for m in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    Path(folder, "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}), encoding="utf-8")
    Path(folder, "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    return transformers.CLIPTokenizer.from_pretrained(folder)


def make_model(folder):
    torch.manual_seed(0)
    text = dict(hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8, projection_dim=512,
                vocab_size=49408, max_position_embeddings=77, bos_token_id=START, eos_token_id=END)
    picture = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1, image_size=32, patch_size=16)
    config = transformers.CLIPConfig(text_config=text, vision_config=picture, projection_dim=512)
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(folder)
    return model


def make_texts(count):
    from open_clip import IMAGENET_CLASSNAMES as names

    templates = (ROOT / "weights" / "templates" / "imagenet80.txt").read_text(encoding="utf-8").split("\n")
    templates = [t for t in templates if "{}" in t]
    chosen = [names[i * len(names) // count] for i in range(count)]
    return [t.replace("{}", name) for name in chosen for t in templates]


def run_torch(model, tokenizer, texts, padding):
    """Wall and processor seconds, and the vectors."""
    out, wall, cpu = [], time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for at in range(0, len(texts), BATCH):
            ids = tokenizer(texts[at:at + BATCH], padding=padding, max_length=77, truncation=True, return_tensors="pt")["input_ids"]
            found = model.get_text_features(input_ids=ids)
            out.append(found if torch.is_tensor(found) else found.pooler_output)
    return time.perf_counter() - wall, time.process_time() - cpu, torch.cat(out).numpy()


def run_sorted(model, tokenizer, texts):
    order = np.argsort([len(ids) for ids in tokenizer(texts)["input_ids"]], kind="stable")
    wall, cpu, vectors = run_torch(model, tokenizer, [texts[i] for i in order], "longest")
    out = np.empty_like(vectors)
    out[order] = vectors
    return wall, cpu, out


def run_vitx(folder, texts, threads):
    lines, out = Path(folder) / "texts.txt", Path(folder) / "out.f32"
    lines.write_text("".join(t + "\n" for t in texts), encoding="utf-8")
    done = subprocess.run([ROOT / "build" / "texts", folder, lines, out, str(threads), "1"], check=True,
                          capture_output=True, text=True)
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu, np.fromfile(out, np.float32).reshape(len(texts), -1)


def main():
    count, rounds, threads, each = [int(a) for a in sys.argv[1:5]] + [50, 3, 2, 11][len(sys.argv) - 1:]
    torch.set_num_threads(threads)
    texts = make_texts(count)
    some = texts[::each]
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = make_model(folder), make_tokenizer(folder)
        ways = {"vitx": lambda: run_vitx(folder, texts, threads),
                "PyTorch, to 77 tokens": lambda: run_torch(model, tokenizer, some, "max_length"),
                "PyTorch, to the longest": lambda: run_torch(model, tokenizer, some, "longest"),
                "PyTorch, sorted": lambda: run_sorted(model, tokenizer, some)}
        run_torch(model, tokenizer, texts[:16], "max_length")
        seen = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                seen[way].append(run())
        cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
        print(f"{len(texts)} texts, {threads} threads, {cpu}, torch {torch.__version__}, transformers {transformers.__version__}")
        first = seen["vitx"][0][2][::each]
        for way, runs in seen.items():
            wall, used = (statistics.median(r[i] for r in runs) for i in (0, 1))
            count, vectors = len(runs[0][2]), runs[0][2][::each if way == "vitx" else 1]
            apart = np.abs(vectors - first).max() / np.abs(first).max()
            print(f"{way:24} {count / wall:8.1f} texts/s {count / used:8.1f} a second of processor time, off by {apart:.1e}")


if __name__ == "__main__":
    main()
