#!/usr/bin/env python3
"""Pictures of every kind that vitx reads, and what Pillow and torchvision make of them.

    python tools/golden/make_image.py test/golden/image [../shared/data/images]

Writes small JPEG, PNG and BMP files and text tables of 64-bit FNV-1a hashes of what comes out of them;
random pictures are not stored, test/test_image.c makes the same ones from their seed (splitmix64).
With the folder of shared pictures, shared.txt is written, too. README.md names the versions used.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
import torchvision
import transformers
import torchvision.transforms as T
from PIL import Image, ImageFile, ImageOps, features
from timm.data.transforms import ResizeKeepRatio
from transformers.image_transforms import center_crop, get_resize_output_image_size, normalize, rescale

FILTERS = ["nearest", "box", "bilinear", "bicubic", "lanczos"]
MODES = [T.InterpolationMode(name) for name in FILTERS]
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
rng = np.random.default_rng(11)


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def seeded(seed, w, h):
    """Bytes of splitmix64, as test_image.c makes them."""
    mask, out = 0xFFFFFFFFFFFFFFFF, bytearray()
    while len(out) < w * h * 3:
        seed = seed + 0x9E3779B97F4A7C15 & mask
        z = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        out.append((z ^ z >> 31) >> 56)
    return np.frombuffer(bytes(out), np.uint8).reshape(h, w, 3)


def smooth(w, h):
    """A picture as photos are, with a hard edge: waves, some noise."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([127 + 120 * np.sin(x / 3 + y / 7), 255 * (x > y), 127 + 120 * np.cos(y / 4 - x / 9)], -1)
    return Image.fromarray((a + rng.normal(0, 9, a.shape)).clip(0, 255).astype(np.uint8))


def encode(image, kind, **options):
    b = io.BytesIO()
    image.save(b, kind, **options)
    return b.getvalue()


# ---------------------------------------------------------------------- JPEG ---------------


def sampled_jpeg(sampling, across, down, less_w, less_h):
    """Sampling factors that Pillow does not write: an RGB JPEG uses one set of Huffman tables for
    all components, so its blocks may be dealt out anew under another header."""
    units = sum(h * v for h, v in sampling)
    d = bytearray(encode(smooth(8 * units * across, 8 * down), "JPEG", quality=90, keep_rgb=True))
    h_max, v_max = (max(s[i] for s in sampling) for i in (0, 1))
    frame, scan, adobe = d.find(b"\xff\xc0"), d.find(b"\xff\xda"), d.find(b"\xff\xee")
    struct.pack_into(">HH", d, frame + 5, 8 * v_max * down - less_h, 24 * h_max * across - less_w)
    for k, (h, v) in enumerate(sampling):
        d[frame + 10 + 3 * k], d[frame + 11 + 3 * k], d[scan + 5 + 2 * k] = k + 1, h << 4 | v, k + 1
    return bytes(d[:adobe] + d[adobe + 2 + int.from_bytes(d[adobe + 2 : adobe + 4], "big") :])


def jpegs():
    for name, w, h, sub, options in [
        ("444", 19, 13, 0, {}), ("422", 19, 13, 1, {}), ("420", 19, 13, 2, {}),
        ("420_even", 32, 16, 2, {"quality": 95}), ("420_1x1", 1, 1, 2, {}), ("420_3x3", 3, 3, 2, {}),
        ("420_5x2", 5, 2, 2, {}), ("422_4x3", 4, 3, 1, {}), ("422_6x1", 6, 1, 1, {}),
        ("q1", 20, 12, 2, {"quality": 1}), ("q100", 11, 10, 0, {"quality": 100}),
        ("restart", 50, 18, 2, {"restart_marker_blocks": 1}),
        ("progressive", 21, 17, 2, {"progressive": True}),
        ("progressive_444", 9, 9, 0, {"progressive": True, "quality": 98}),
        ("progressive_restart", 33, 20, 1, {"progressive": True, "restart_marker_rows": 1}),
    ]:
        yield name + ".jpg", encode(smooth(w, h), "JPEG", subsampling=sub, **options)
    yield "grey.jpg", encode(smooth(15, 10).convert("L"), "JPEG")
    yield "grey_progressive.jpg", encode(smooth(15, 10).convert("L"), "JPEG", progressive=True)
    yield "rgb.jpg", encode(smooth(12, 9), "JPEG", keep_rgb=True)
    yield "cmyk.jpg", encode(smooth(12, 9).convert("CMYK"), "JPEG", quality=90)
    cmyk = bytearray(encode(smooth(12, 9).convert("CMYK"), "JPEG", quality=90))
    cmyk[cmyk.find(b"Adobe") + 11] = 2
    yield "ycck.jpg", bytes(cmyk)
    yield "440.jpg", sampled_jpeg([(1, 2), (1, 1), (1, 1)], 1, 2, 3, 5)
    yield "411.jpg", sampled_jpeg([(4, 1), (1, 1), (1, 1)], 1, 2, 9, 2)
    yield "410.jpg", sampled_jpeg([(4, 2), (1, 1), (1, 1)], 1, 1, 30, 3)
    yield "odd_sampling.jpg", sampled_jpeg([(2, 2), (2, 1), (1, 2)], 1, 1, 5, 1)
    yield "chroma_first.jpg", sampled_jpeg([(1, 1), (2, 2), (1, 1)], 1, 1, 1, 1)


def without_tables(data, which=None):
    """A JPEG whose Huffman tables are left out, as cameras do it: all, or those of these classes and numbers."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        segment = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
        at += len(segment)
        if segment[1] == 0xC4:
            kept, i = b"", 4
            while i < len(segment):
                n = 17 + sum(segment[i + 1 : i + 17])
                kept += segment[i : i + n] if which and segment[i] not in which else b""
                i += n
            segment = b"\xff\xc4" + struct.pack(">H", 2 + len(kept)) + kept if kept else b""
        out += segment
    return out + data[at:]


def camera_jpegs():
    """Frames without Huffman tables, and one whose last scan brings tables of its own."""
    yield "no_tables.jpg", without_tables(encode(smooth(21, 18), "JPEG", subsampling=2))
    yield "no_tables_422.jpg", without_tables(encode(smooth(35, 9), "JPEG", subsampling=1, restart_marker_blocks=2))
    yield "no_tables_grey.jpg", without_tables(encode(smooth(15, 10).convert("L"), "JPEG"))
    yield "no_tables_chroma.jpg", without_tables(encode(smooth(15, 10), "JPEG"), (0x01, 0x11))
    yield "no_tables_ac.jpg", without_tables(encode(smooth(15, 10), "JPEG"), (0x10, 0x11))


def damaged_restarts():
    """Restart markers that are another's, no marker, or left out."""
    data = encode(smooth(60, 40), "JPEG", subsampling=2, restart_marker_blocks=2)
    places = [i for i in range(len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    for name, marker in (("next", b"\xff\xd3"), ("far", b"\xff\xd6"), ("behind", b"\xff\xd0"), ("none", b"\x12\x34"), ("left_out", b"")):
        yield f"restart_{name}.jpg", data[: places[2]] + marker + data[places[2] + 2 :]


# ---------------------------------------------------------------------- PNG ----------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(samples, depth):
    """Rows [h, w, n] of samples, each by a filter of its own."""
    out, before = b"", None
    for row in samples:
        bits = "".join(format(int(v), f"0{depth}b") for v in row.reshape(-1))
        bits += "0" * (-len(bits) % 8)
        raw = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        step, kind, above = max(1, row.shape[1] * depth // 8), int(rng.integers(0, 5)), before or bytes(len(raw))
        out += bytes([kind])
        for i, v in enumerate(raw):
            a, b, c = raw[i - step] if i >= step else 0, above[i], above[i - step] if i >= step else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            out += bytes([v - [0, a, b, (a + b) // 2, paeth][kind] & 255])
        before = raw
    return out


def png(w, h, color, depth, interlaced=0, entries=0, transparent=b"", split=0, more=b"", exif=b""):
    samples = rng.integers(0, 1 << depth, (h, w, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]))
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES]
        rows = b"".join(filtered(p, depth) for p in parts if p.size)
    else:
        rows = filtered(samples, depth)
    data = zlib.compress(rows + more, 9)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlaced))
    if entries:
        out += chunk(b"PLTE", rng.integers(0, 256, 3 * entries, dtype=np.uint8).tobytes())
    if transparent:
        out += chunk(b"tRNS", transparent)
    if exif:
        out += chunk(b"eXIf", exif)
    for i in range(0, len(data), split or len(data)):
        out += chunk(b"IDAT", data[i : i + (split or len(data))])
    return out + chunk(b"IEND", b"")


def pngs():
    for color, depths in ((0, (1, 2, 4, 8)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            for i in (0, 1):
                entries = (1 << depth) if color == 3 else 0
                yield f"{color}_{depth}{'_interlaced' if i else ''}.png", png(11, 7, color, depth, i, entries)
    yield "1x1.png", png(1, 1, 6, 8)
    yield "1x1_interlaced.png", png(1, 1, 2, 8, 1)
    yield "short_palette.png", png(9, 5, 3, 4, 0, 5)
    yield "transparent_grey.png", png(5, 5, 0, 4, 0, 0, b"\0\1")
    yield "transparent_palette.png", png(5, 5, 3, 2, 0, 4, b"\0\x80")
    yield "many_chunks.png", png(9, 9, 2, 8, split=50)
    yield "padded.png", png(6, 6, 2, 8, more=bytes(300))


# ---------------------------------------------------------------------- BMP ----------------


def bmp(w, h, bits, compression=0, header=40, masks=None, from_top=False, entries=0, forget=False):
    data = rng.integers(0, 256, (w * bits + 31) // 32 * 4 * h, dtype=np.uint8).tobytes()
    after, count = b"", (entries or 1 << bits) if bits <= 8 else 0
    if header == 12:
        head = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", header, w, -h if from_top else h, 1, bits, compression, len(data),
                           0, 0, entries, 0)
        head += (struct.pack("<III", *(masks or (0, 0, 0))) + bytes(72))[: header - 40]
        if masks and header == 40:
            after = struct.pack("<III", *masks)
    palette = rng.integers(0, 256, count * (3 if header == 12 else 4), dtype=np.uint8).tobytes()
    start = 14 + len(head) + len(after) + (0 if forget else len(palette))
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + after + palette + data


def bmps():
    yield "1.bmp", bmp(13, 5, 1)
    yield "4.bmp", bmp(9, 5, 4)
    yield "4_few.bmp", bmp(9, 5, 4, entries=6)
    yield "8.bmp", bmp(6, 4, 8, entries=200)
    yield "8_forgotten.bmp", bmp(6, 4, 8, entries=40, forget=True)
    yield "16.bmp", bmp(7, 5, 16)
    yield "16_565.bmp", bmp(7, 5, 16, 3, masks=(0xF800, 0x7E0, 0x1F))
    yield "24.bmp", bmp(7, 5, 24)
    yield "24_from_top.bmp", bmp(7, 5, 24, from_top=True)
    yield "24_os2.bmp", bmp(6, 5, 24, header=12)
    yield "4_os2.bmp", bmp(6, 5, 4, header=12)
    yield "32.bmp", bmp(5, 5, 32)
    yield "32_v4.bmp", bmp(5, 5, 32, 3, 108, (0xFF000000, 0xFF0000, 0xFF00))
    yield "1x1.bmp", bmp(1, 1, 24)


# ---------------------------------------------------------------------- tables -------------


def with_orientation():
    for n in range(1, 9):
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "maker", n
        yield f"orientation_{n}.jpg", encode(smooth(9, 5), "JPEG", exif=exif)
    for n in (3, 6):
        exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([n]) + bytes(7)
        yield f"orientation_{n}.png", png(7, 4, 2, 8, exif=exif)


def as_pillow_reads(out, pictures):
    for name, data in pictures:
        (out / name).write_bytes(data)
        rgb = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
        yield f"{name} {rgb.shape[1]} {rgb.shape[0]} {fnv(rgb.tobytes())}"


def pictures(out):
    lines = list(as_pillow_reads(out, [*jpegs(), *pngs(), *bmps(), *with_orientation()]))
    # Pillow clips 16-bit grey to 255; vitx keeps the high byte, as Pillow does for 16-bit colour.
    for name, i in (("0_16.png", 0), ("0_16_interlaced.png", 1)):
        data = png(11, 7, 0, 16, i)
        (out / name).write_bytes(data)
        high = (np.array(Image.open(io.BytesIO(data))) >> 8).astype(np.uint8)
        lines.append(f"{name} 11 7 {fnv(np.repeat(high[..., None], 3, -1).tobytes())}")
    lines += as_pillow_reads(out, camera_jpegs())
    lines += as_pillow_reads(out, damaged_restarts())
    for name, color, low, step in (("ten_bits.png", 0, 0, 12), ("twelve_bits_rgb.png", 2, 60000, 20),
                                   ("thirteen_bits.png", 0, 0, 60), ("one_grey.png", 0, 300, 0)):
        ramp = (low + step * np.arange(9 * 9)).reshape(9, 9, 1).repeat(3 if color else 1, -1).astype(np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in ramp)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 16, color, 0, 0, 0))
        (out / name).write_bytes(data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
        lines.append(f"{name} 9 9 {fnv((ramp >> 8).astype(np.uint8).repeat(1 if color else 3, -1).tobytes())}")
    (out / "pictures.txt").write_text("\n".join(lines) + "\n")


def truncated(out):
    """The first bytes of a file, and what Pillow makes of them if it is told to."""
    lines = []
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    for name in ("2_8.png", "0_4.png", "3_4.png", "6_16.png", "2_8_interlaced.png", "3_1_interlaced.png", "many_chunks.png",
                 "420.jpg", "444.jpg", "restart.jpg", "grey.jpg", "no_tables_422.jpg", "cmyk.jpg"):
        data = (out / name).read_bytes()
        start, end = data.find(b"IDAT") + 5, len(data) - 16
        if name.endswith("jpg"):
            start, end = data.find(b"\xff\xda") + 16, len(data) - 2
        for part in (0, 0.2, 0.5, 0.9, 1):
            n = int(start + part * (end - start))
            try:
                rgb = np.array(Image.open(io.BytesIO(data[:n])).convert("RGB"))
            except OSError:  # between two chunks Pillow refuses some
                continue
            lines.append(f"{name} {rgb.shape[1]} {rgb.shape[0]} {fnv(rgb.tobytes())} {n}")
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    (out / "truncated.txt").write_text("\n".join(lines) + "\n")


def refused(out):
    header = lambda w, h: struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)
    start, end = b"\x89PNG\r\n\x1a\n", chunk(b"IEND", b"")
    few = chunk(b"IDAT", zlib.compress(bytes(20)))
    files = {
        "empty_size.png": start + chunk(b"IHDR", header(0, 0)) + few + end,
        "huge_size.png": start + chunk(b"IHDR", header(100000, 100000)) + few + end,
        "too_little.png": start + chunk(b"IHDR", header(40, 40)) + few + end,
        "bomb.png": start + chunk(b"IHDR", header(4, 4)) + chunk(b"IDAT", zlib.compress(bytes(4000000), 9)) + end,
        "no_palette.png": start + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)) + few + end,
        "checksum.png": start + chunk(b"IHDR", header(2, 2)) + chunk(b"IDAT", zlib.compress(bytes(14)))[:-1] + b"x" + end,
    }
    (out / "refused").mkdir(exist_ok=True)
    for name, data in files.items():
        (out / "refused" / name).write_bytes(data)


def resizes(out):
    lines, seed = [], 1
    sizes = [(1, 1, 1, 1), (1, 1, 9, 4), (2, 3, 7, 5), (17, 1, 4, 1), (1, 19, 1, 3), (13, 11, 13, 11),
             (13, 11, 13, 5), (13, 11, 6, 11), (31, 23, 10, 9), (23, 31, 10, 9), (9, 40, 8, 7), (30, 40, 40, 13),
             (40, 12, 3, 30), (60, 2, 1, 1), (5, 4, 41, 37), (33, 35, 29, 34)]
    for w, h, to_w, to_h in sizes + [tuple(int(v) for v in rng.integers(1, 48, 4)) for _ in range(24)]:
        for k, name in enumerate(FILTERS):
            a = Image.fromarray(seeded(seed, w, h)).resize((to_w, to_h), getattr(Image.Resampling, name.upper()))
            lines.append(f"{k} {seed} {w} {h} {to_w} {to_h} {fnv(a.tobytes())}")
            seed += 1
    (out / "resizes.txt").write_text("\n".join(lines) + "\n")


def preprocesses(out):
    """How: 0 shortest, 1 exact, 2 none, 3 cover, 4 squash. Then the library that rounds the crop's
    offset: 0 transformers, 1 torchvision."""
    lines = []
    for seed in range(900, 930):
        w, h, iw, ih, to = (int(v) for v in rng.integers(1, 56, 5))
        k = 1 + seed % 4
        picture = seeded(seed, w, h)
        size = get_resize_output_image_size(picture, to, default_to_square=False, input_data_format="channels_last")
        resized = np.array(Image.fromarray(picture).resize(size[::-1], getattr(Image.Resampling, FILTERS[k].upper())))
        seen = center_crop(resized, (ih, iw), input_data_format="channels_last")
        x = normalize(rescale(seen, 1 / 255), MEAN, STD, input_data_format="channels_last").transpose(2, 0, 1)
        lines.append(f"0 0 {k} {seed} {w} {h} {to} {to} {iw} {ih} {fnv(seen.tobytes())} "
                     f"{fnv(x.astype('<f4').tobytes())}")
    for seed in range(1000, 1060):
        w, h, iw, ih, rh, rw = (int(v) for v in rng.integers(1, 56, 6))
        how, k = seed % 5, 1 + seed // 5 % 4
        resize = [T.Resize(rh, MODES[k]), T.Resize((rh, rw), MODES[k]), None,
                  ResizeKeepRatio((rh, rw), interpolation=FILTERS[k]), T.Resize((ih, iw), MODES[k])][how]
        crop = [] if how == 4 else [T.CenterCrop((ih, iw))]
        picture = Image.fromarray(seeded(seed, w, h))
        seen = T.Compose(([resize] if resize else []) + crop)(picture)
        x = T.Compose([T.ToTensor(), T.Normalize(torch.tensor(MEAN), torch.tensor(STD))])(seen)
        lines.append(f"{how} 1 {k} {seed} {w} {h} {rw} {rh} {iw} {ih} {fnv(seen.tobytes())} "
                     f"{fnv(x.numpy().astype('<f4').tobytes())}")
    (out / "preprocesses.txt").write_text("\n".join(lines) + "\n")


def shared(out, folder):
    """Each shared picture decoded, and after timm's transform for crop_pct 0.9 and input 224."""
    lines = []
    transform = T.Compose([T.Resize(248, T.InterpolationMode.BICUBIC), T.CenterCrop(224)])
    for path in sorted(folder.iterdir()):
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        lines.append(f"{path.name} {picture.width} {picture.height} {fnv(picture.tobytes())} "
                     f"{fnv(transform(picture).tobytes())}")
    (out / "shared.txt").write_text("\n".join(lines) + "\n")


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    pictures(out)
    truncated(out)
    refused(out)
    resizes(out)
    preprocesses(out)
    if len(sys.argv) > 2:
        shared(out, Path(sys.argv[2]))
    print(f"transformers {transformers.__version__}, timm {timm.__version__}, Pillow {PIL.__version__} with libjpeg-turbo {features.version('libjpeg_turbo')}, "
          f"torchvision {torchvision.__version__}, torch {torch.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
