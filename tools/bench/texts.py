"""Many texts: vitx beside transformers' CLIP text tower, for docs/performance.md.

    make build/texts && python tools/bench/texts.py [TEXTS [ROUNDS [THREADS]]]

Needs torch, transformers and numpy. The tower is ViT-B/16's (512 wide, 8 heads, 12 blocks, 77
tokens) with random weights; the texts are so long as labels in prompts are: 8 to 14 tokens. PyTorch
fills each batch of 128 up to 77 tokens, as open_clip's tokenizer does, and to the longest text; vitx
fills nothing up. Rounds alternate. Prints medians: texts a second, and texts a second of processor
time, which other work on the machine changes less; and how far the embeddings are apart.
"""

import random
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


def make_model(folder):
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(hidden_size=512, intermediate_size=2048, num_hidden_layers=12,
                                         num_attention_heads=8, projection_dim=512, vocab_size=49408,
                                         max_position_embeddings=77, bos_token_id=START, eos_token_id=END)
    model = transformers.CLIPTextModelWithProjection(config).eval()
    model.save_pretrained(folder)
    return model


def make_texts(n):
    random.seed(1)
    return [[START] + [random.randrange(START) for _ in range(random.randint(6, 12))] + [END] for _ in range(n)]


def run_torch(model, texts, width):
    """Wall and processor seconds, and the embeddings."""
    out, wall, cpu = [], time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for at in range(0, len(texts), BATCH):
            part = texts[at:at + BATCH]
            longest = width or max(map(len, part))
            ids = torch.tensor([t + [END] * (longest - len(t)) for t in part])
            out.append(model(input_ids=ids).text_embeds)
    return time.perf_counter() - wall, time.process_time() - cpu, torch.cat(out).numpy()


def run_vitx(folder, texts, threads):
    ids, out = Path(folder) / "ids.txt", Path(folder) / "out.f32"
    ids.write_text("".join(" ".join(map(str, t)) + "\n" for t in texts))
    done = subprocess.run([ROOT / "build" / "texts", folder, ids, out, str(threads), "1"], check=True,
                          capture_output=True, text=True)
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu, np.fromfile(out, np.float32).reshape(len(texts), -1)


def main():
    n, rounds, threads = [int(a) for a in sys.argv[1:4]] + [2000, 3, 2][len(sys.argv) - 1:]
    torch.set_num_threads(threads)
    texts = make_texts(n)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder)
        ways = {"vitx": lambda: run_vitx(folder, texts, threads),
                "PyTorch, to 77 tokens": lambda: run_torch(model, texts, 77),
                "PyTorch, to the longest": lambda: run_torch(model, texts, 0)}
        run_torch(model, texts[:16], 77)
        seen = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                seen[way].append(run())
        cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
        print(f"{n} texts, {threads} threads, {cpu}, torch {torch.__version__}, transformers {transformers.__version__}")
        first = seen["vitx"][0][2]
        for way, runs in seen.items():
            wall, used = (statistics.median(r[i] for r in runs) for i in (0, 1))
            apart = np.abs(runs[0][2] - first).max() / np.abs(first).max()
            print(f"{way:24} {n / wall:8.1f} texts/s {n / used:8.1f} a second of processor time, off by {apart:.1e}")


if __name__ == "__main__":
    main()
