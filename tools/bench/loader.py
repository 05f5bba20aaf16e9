"""Many pictures: vitx-cli beside a PyTorch DataLoader and a loop, for docs/performance.md.

    python tools/bench/loader.py MODEL FOLDER [ROUNDS]

Needs torch, timm, safetensors and Pillow. MODEL: a timm model's folder (config.json,
model.safetensors). FOLDER: its pictures are classified by both, in turn, ROUNDS times (3). Two
worker processes read and prepare beside the network, which has two threads, in batches of 1, 8 and
32. Prints medians of whole processes in seconds, and of the loop alone (without Python's imports
and the model's loading), and how many first classes are equal.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

CLI = Path(__file__).parents[2] / "build" / "vitx-cli"
WORKERS = THREADS = 2


def pictures_of(folder):
    return sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".png"))


def loop(model, folder, batch):
    """Runs in a process of its own: prints the seconds of the loop and the first classes."""
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import load_file
    from torch.utils.data import DataLoader, Dataset

    torch.set_num_threads(THREADS)
    config = json.loads((Path(model) / "config.json").read_text())
    net = timm.create_model(config["architecture"], num_classes=config["num_classes"])
    net.load_state_dict(load_file(Path(model) / "model.safetensors"))
    net.eval()
    transform = timm.data.create_transform(
        **timm.data.resolve_data_config(config.get("pretrained_cfg", {}), model=net)
    )

    class Pictures(Dataset):
        files = pictures_of(folder)

        def __len__(self):
            return len(self.files)

        def __getitem__(self, i):
            return transform(Image.open(self.files[i]).convert("RGB"))

    start, first = time.monotonic(), []
    with torch.inference_mode():
        for inputs in DataLoader(Pictures(), batch_size=batch, num_workers=WORKERS):
            first += net(inputs).argmax(1).tolist()
    print(json.dumps([time.monotonic() - start, first]))


def timed(command):
    start = time.monotonic()
    out = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    return time.monotonic() - start, out.stdout


def vitx(model, folder):
    seconds, out = timed([CLI, "classify", "-m", model, "--json", "--top", 1, *pictures_of(folder)])
    return seconds, [json.loads(line)["predictions"][0]["index"] for line in out.splitlines()]


def main(model, folder, rounds=3):
    batches = (1, 8, 32)
    ours, theirs, loops = [], {b: [] for b in batches}, {b: [] for b in batches}
    for _ in range(int(rounds)):
        seconds, first = vitx(model, folder)
        ours.append(seconds)
        for b in batches:
            seconds, out = timed([sys.executable, __file__, "--loop", model, folder, b])
            inside, other = json.loads(out)
            theirs[b].append(seconds)
            loops[b].append(inside)
            print(f"equal: {sum(x == y for x, y in zip(first, other))} of {len(other)}", flush=True)
    print(f"vitx-cli classify        {statistics.median(ours):8.2f} s")
    for b in batches:
        whole, inside = statistics.median(theirs[b]), statistics.median(loops[b])
        print(f"DataLoader, batch of {b:<3} {whole:8.2f} s, the loop {inside:.2f} s")


if __name__ == "__main__":
    if sys.argv[1] == "--loop":
        loop(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(*sys.argv[1:])
