#!/usr/bin/env python3
"""GIF, PNM, WebP, TIFF, AVIF and HEIC files, and what Pillow makes of them.

    python tools/golden/make_pictures.py test/golden/image/kinds test/golden/heif

Writes AVIF and HEIC files into the second folder, each with Pillow's pixels in a PPM. Into the first it
writes small files of the other kinds, and kinds.txt: file, page (counted from 1), window ("-": none), width, height, 64-bit
FNV-1a of Pillow's pixels as RGB. Where vitx differs from Pillow by intent (samples of more than 8 bits),
NumPy makes the pixels from Pillow's samples. README.md names the versions used.
"""
import io
import struct
import sys
from pathlib import Path

import numpy as np
import PIL
import pillow_heif
import tifffile
from PIL import Image, ImageOps, features

rng = np.random.default_rng(14)


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def smooth(w, h):
    """A picture as photos are, with a hard edge: waves, some noise."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([127 + 120 * np.sin(x / 3 + y / 7), 255 * (x > y), 127 + 120 * np.cos(y / 4 - x / 9)], -1)
    return Image.fromarray((a + rng.normal(0, 9, a.shape)).clip(0, 255).astype(np.uint8))


def transparent(w, h):
    a = np.array(smooth(w, h).convert("RGBA"))
    a[..., 3] = rng.integers(0, 256, (h, w))
    a[h // 2 :, : w // 2, 3] = 0
    return Image.fromarray(a)


def encode(image, kind, **options):
    b = io.BytesIO()
    image.save(b, kind, **options)
    return b.getvalue()


def rgb_of(data, page=1):
    image = Image.open(io.BytesIO(data))
    image.seek(page - 1)
    return np.array(ImageOps.exif_transpose(image).convert("RGB"))


# ---------------------------------------------------------------------- GIF ----------------


def lzw(indices, root, fill=True):
    """The codes of a GIF; without fill the table is never cleared, as some writers do."""
    out, held, bits, size = bytearray(), 0, 0, root + 1
    table = {(i,): i for i in range(1 << root)}
    following = (1 << root) + 2

    def put(code):
        nonlocal held, bits
        held |= code << bits
        bits += size
        while bits >= 8:
            out.append(held & 255)
            held >>= 8
            bits -= 8

    put(1 << root)
    word = ()
    for i in indices:
        i = int(i)
        if word + (i,) in table:
            word += (i,)
            continue
        put(table[word])
        if following < 4096:
            table[word + (i,)] = following
            following += 1
            if following > 1 << size and size < 12:
                size += 1
        elif fill:
            put(1 << root)
            size, following, table = root + 1, (1 << root) + 2, {(k,): k for k in range(1 << root)}
        word = (i,)
    put(table[word])
    put((1 << root) + 1)
    out.append(held & 255)
    blocks = b"".join(bytes([len(out[i : i + 255])]) + out[i : i + 255] for i in range(0, len(out), 255))
    return bytes([root]) + blocks + b"\0"


def gif_frame(pixels, left=0, top=0, palette=b"", interlaced=False, root=None, fill=True):
    h, w = pixels.shape
    if interlaced:
        pixels = pixels[[y for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(first, h, step)]]
    flags = 0x40 * interlaced | (0x80 | (len(palette) // 3).bit_length() - 2 if palette else 0)
    return b"," + struct.pack("<HHHHB", left, top, w, h, flags) + palette + lzw(pixels.reshape(-1), root or max(2, int(pixels.max()).bit_length()), fill)


def gif(w, h, frames, palette=b"", before=b"", background=0):
    flags = 0x70 | (0x80 | (len(palette) // 3).bit_length() - 2 if palette else 0)
    return b"GIF89a" + struct.pack("<HHBBB", w, h, flags, background, 0) + palette + before + frames + b";"


def control(index):
    return b"!\xf9\x04\x01\x0a\0" + bytes([index]) + b"\0"


def gifs():
    colours = lambda n: rng.integers(0, 256, 3 * n, dtype=np.uint8).tobytes()
    ramp = bytes(i for i in range(256) for _ in range(3))
    indices = lambda w, h, n: rng.integers(0, n, (h, w))
    yield "plain.gif", encode(smooth(31, 17), "GIF")
    yield "interlaced.gif", encode(smooth(19, 21), "GIF", interlace=1)
    yield "grey.gif", encode(smooth(15, 10).convert("L"), "GIF")
    yield "one_bit.gif", encode(smooth(15, 10).convert("1"), "GIF")
    yield "animated.gif", encode(smooth(12, 9), "GIF", save_all=True, append_images=[smooth(12, 9), smooth(12, 9)])
    yield "transparent.gif", encode(transparent(14, 11), "GIF")
    yield "palette_2.gif", gif(9, 5, gif_frame(indices(9, 5, 2)), colours(2))
    yield "palette_256.gif", gif(30, 30, gif_frame(indices(30, 30, 256)), colours(256))
    yield "local_palette.gif", gif(9, 5, gif_frame(indices(9, 5, 8), palette=colours(8)), colours(4))
    yield "local_ramp.gif", gif(9, 5, gif_frame(indices(9, 5, 200), palette=ramp))
    yield "no_palette.gif", gif(9, 5, gif_frame(indices(9, 5, 200)))
    yield "short_ramp.gif", gif(9, 5, gif_frame(indices(9, 5, 16), root=4), ramp[: 3 * 4])
    yield "short_palette.gif", gif(9, 5, gif_frame(indices(9, 5, 16), root=4), colours(4))
    yield "small_frame.gif", gif(12, 11, gif_frame(indices(5, 4, 8), 3, 2), colours(8), background=5)
    yield "small_transparent.gif", gif(12, 11, gif_frame(indices(5, 4, 8), 3, 2), colours(8), control(6))
    yield "large_frame.gif", gif(6, 5, gif_frame(indices(9, 4, 8), 2, 3), colours(8), control(1))
    yield "full_table.gif", gif(90, 80, gif_frame(indices(90, 80, 16), fill=False), colours(16))
    yield "cleared_table.gif", gif(90, 80, gif_frame(indices(90, 80, 16)), colours(16))
    yield "runs.gif", gif(70, 70, gif_frame(indices(70, 70, 8) // 7), colours(8))
    yield "comment.gif", gif(5, 5, gif_frame(indices(5, 5, 4), interlaced=True), colours(4), b"!\xfe\x03abc\x02de\0" + control(2))
    yield "1x1.gif", gif(1, 1, gif_frame(indices(1, 1, 2)), colours(2))
    yield "87a.gif", b"GIF87a" + gif(7, 3, gif_frame(indices(7, 3, 4)), colours(4))[6:]


# ---------------------------------------------------------------------- PNM ----------------


def plain(kind, w, h, greatest, n, comment=""):
    values = rng.integers(0, greatest + 1, w * h * n)
    text = f"P{kind} {comment}\n{w}\t{h}\r\n" + (f"{greatest}\n" if kind > 1 else "")
    return (text + ("" if kind == 1 else " ").join(str(v) for v in values) + "\n").encode()


def raw(kind, w, h, greatest, n, comment=""):
    values = rng.integers(0, greatest + 1, (h, w * n))
    head = f"P{kind}\n{comment}{w} {h}\n" + (f"{greatest}\n" if kind > 4 else "")
    if kind == 4:
        return head.encode() + np.packbits(values.astype(np.uint8), axis=1).tobytes()
    return head.encode() + values.astype(np.uint8 if greatest < 256 else ">u2").tobytes()


def pnms():
    yield "plain.pbm", plain(1, 9, 5, 1, 1, "# a comment")
    yield "plain.pgm", plain(2, 9, 5, 255, 1)
    yield "plain_99.pgm", plain(2, 9, 5, 99, 1)
    yield "plain.ppm", plain(3, 7, 5, 255, 3, "# one\n# two")
    yield "plain_4000.ppm", plain(3, 7, 5, 4000, 3)
    yield "raw.pbm", raw(4, 19, 5, 1, 1)
    yield "raw.pgm", raw(5, 9, 5, 255, 1)
    yield "raw_10.pgm", raw(5, 9, 5, 10, 1, "# ten\n")
    yield "raw.ppm", raw(6, 9, 5, 255, 3)
    yield "raw_10.ppm", raw(6, 9, 5, 10, 3)
    yield "raw_510.ppm", raw(6, 9, 5, 510, 3)
    yield "raw_65535.ppm", raw(6, 9, 5, 65535, 3)
    yield "too_great.pgm", b"P5 3 1 100\n" + bytes([50, 100, 200])


def wide_pnms():
    """Files whose samples Pillow clips: name, data, samples [h, w(, 3)]."""
    for name, data in (("raw_65535.pgm", raw(5, 9, 5, 65535, 1)), ("raw_1000.pgm", raw(5, 9, 5, 1000, 1)),
                       ("plain_4095.pgm", plain(2, 9, 5, 4095, 1))):
        yield name, data, np.array(Image.open(io.BytesIO(data)))
    floats = rng.normal(0, 100, (6, 5)).astype(np.float32)
    for name, order, scale in (("little.pfm", "<f4", b"-1.0"), ("big.pfm", ">f4", b"2")):
        data = b"Pf\n5 6\n" + scale + b"\n" + floats[::-1].astype(order).tobytes()
        assert (np.array(Image.open(io.BytesIO(data))) == floats).all()
        yield name, data, floats


# ---------------------------------------------------------------------- WebP ---------------


def webps():
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "lossy.webp", encode(smooth(33, 21), "WEBP", quality=70)
    yield "lossless.webp", encode(smooth(18, 11), "WEBP", lossless=True)
    yield "lossy_alpha.webp", encode(transparent(20, 12), "WEBP", quality=80)
    yield "lossless_alpha.webp", encode(transparent(13, 9), "WEBP", lossless=True)
    yield "exact.webp", encode(transparent(13, 9), "WEBP", lossless=True, exact=True)
    yield "1x1.webp", encode(smooth(1, 1), "WEBP")
    yield "grey.webp", encode(smooth(15, 10).convert("L"), "WEBP")
    yield "palette.webp", encode(smooth(40, 30).quantize(4), "WEBP", lossless=True)
    yield "orientation_6.webp", encode(smooth(9, 5), "WEBP", exif=exif)
    yield "icc.webp", encode(smooth(9, 5), "WEBP", icc_profile=b"x" * 11)
    frames = [smooth(16, 12), smooth(16, 12)]
    yield "animated.webp", encode(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "animated_alpha.webp", encode(transparent(16, 12), "WEBP", save_all=True, append_images=[transparent(16, 12)], lossless=True)
    yield "animated_offset.webp", film(transparent(8, 6), 20, 14, 6, 4)


def film(frame, w, h, left, top):
    """A film of one frame that does not fill the canvas."""
    still = encode(frame, "WEBP", lossless=True, exact=True)[12:]
    le24 = lambda v: struct.pack("<I", v)[:3]
    still = still[18:] if still.startswith(b"VP8X") else still
    payload = le24(left // 2) + le24(top // 2) + le24(frame.width - 1) + le24(frame.height - 1) + le24(100) + b"\0" + still
    chunks = (b"VP8X" + struct.pack("<II", 10, 0x12) + le24(w - 1) + le24(h - 1) + b"ANIM" + struct.pack("<IIH", 6, 0xFF8040C0, 0)
              + b"ANMF" + struct.pack("<I", len(payload)) + payload)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


# ---------------------------------------------------------------------- TIFF ---------------


def tiff(array, **options):
    b = io.BytesIO()
    tifffile.imwrite(b, array, metadata=None, software=None, **options)
    return b.getvalue()


def patched(data, tag, value):
    """A little-endian TIFF with another value of a tag that holds one short."""
    d, at = bytearray(data), int.from_bytes(data[4:8], "little")
    for i in range(int.from_bytes(data[at : at + 2], "little")):
        entry = at + 2 + 12 * i
        if int.from_bytes(d[entry : entry + 2], "little") == tag:
            struct.pack_into("<HHIHH", d, entry, tag, 3, 1, value, 0)
    return bytes(d)


def tiffs():
    rgb = np.array(smooth(37, 25))
    grey = np.array(smooth(37, 25).convert("L"))
    for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"rgb_{name}.tif", encode(smooth(37, 25), "TIFF", compression=name)
    yield "grey_jpeg.tif", encode(smooth(37, 25).convert("L"), "TIFF", compression="jpeg")
    yield "grey_lzw.tif", encode(smooth(37, 25).convert("L"), "TIFF", compression="tiff_lzw")
    for name in ("raw", "group3", "group4", "tiff_ccitt", "packbits"):
        yield f"bits_{name}.tif", encode(smooth(37, 25).convert("1"), "TIFF", compression=name)
    yield "white_is_zero.tif", tiff(grey, photometric="miniswhite")
    yield "bits_white_is_zero.tif", patched(encode(smooth(37, 25).convert("1"), "TIFF"), 262, 0)
    for bits in (2, 4):
        yield f"grey_{bits}.tif", packed_tiff(bits)
    yield "palette.tif", encode(smooth(21, 13).quantize(200), "TIFF")
    yield "palette_4.tif", packed_tiff(4, palette=True)
    yield "grey_alpha.tif", encode(transparent(13, 9).convert("LA"), "TIFF")
    yield "rgba.tif", encode(transparent(13, 9), "TIFF", compression="tiff_lzw")
    yield "premultiplied.tif", tiff(np.array(transparent(13, 9)), photometric="rgb", extrasamples=["assocalpha"])
    yield "five_channels.tif", tiff(rng.integers(0, 256, (9, 7, 5), dtype=np.uint8), photometric="rgb", extrasamples=["unspecified"] * 2)
    yield "cmyk.tif", encode(smooth(21, 13).convert("CMYK"), "TIFF")
    yield "cmyk_deflate.tif", encode(Image.fromarray(rng.integers(0, 256, (9, 7, 4), dtype=np.uint8), "CMYK"), "TIFF", compression="tiff_adobe_deflate")
    yield "ycbcr_jpeg.tif", encode(smooth(37, 25).convert("YCbCr"), "TIFF", compression="jpeg")
    yield "ycbcr.tif", encode(smooth(37, 25).convert("YCbCr"), "TIFF", compression="tiff_lzw")
    yield "strips.tif", tiff(rgb, rowsperstrip=4, photometric="rgb")
    yield "planes.tif", tiff(np.moveaxis(rgb, -1, 0), planarconfig="separate", photometric="rgb", rowsperstrip=7)
    yield "tiles.tif", tiff(rgb, tile=(16, 16), photometric="rgb")
    yield "tiles_planes.tif", tiff(np.moveaxis(rgb, -1, 0), tile=(16, 32), planarconfig="separate", photometric="rgb", compression="zlib")
    yield "tiles_grey.tif", tiff(grey, tile=(16, 16), compression="zlib", predictor=True)
    yield "big_endian.tif", tiff(rgb, byteorder=">", photometric="rgb")
    yield "bigtiff.tif", tiff(rgb, bigtiff=True, photometric="rgb")
    yield "rgb_16.tif", tiff(rng.integers(0, 65536, (9, 7, 3), dtype=np.uint16), photometric="rgb")
    yield "rgb_16_big.tif", tiff(rng.integers(0, 65536, (9, 7, 3), dtype=np.uint16), photometric="rgb", byteorder=">", tile=(16, 16))
    yield "rgba_16.tif", tiff(rng.integers(0, 65536, (9, 7, 4), dtype=np.uint16), photometric="rgb", extrasamples=["unassalpha"])
    yield "cmyk_16.tif", tiff(rng.integers(0, 65536, (9, 7, 4), dtype=np.uint16), photometric="separated")
    for n in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = n
        yield f"orientation_{n}.tif", encode(smooth(9, 5), "TIFF", exif=exif, compression="tiff_lzw" if n % 2 else "raw")
    yield "icc.tif", encode(smooth(9, 5), "TIFF", icc_profile=b"x" * 40)
    yield "1x1.tif", encode(smooth(1, 1), "TIFF")


def packed_tiff(bits, palette=False):
    """Samples of less than 8 bits, which no writer at hand makes."""
    w, h = 11, 6
    values = rng.integers(0, 1 << bits, (h, w))
    rows = b"".join(int("".join(format(int(v), f"0{bits}b") for v in row).ljust(-(-w * bits // 8) * 8, "0"), 2).to_bytes(-(-w * bits // 8), "big") for row in values)
    tags = [(256, 3, 1, w), (257, 3, 1, h), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 3 if palette else 1),
            (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, h), (279, 4, 1, len(rows))]
    after = b""
    if palette:
        after = rng.integers(0, 65536, 3 << bits, dtype=np.uint16).astype("<u2").tobytes()
        tags.append((320, 3, 3 << bits, 8 + len(rows)))
    body = rows + after + bytes(len(rows) % 2)
    return (b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags))
            + b"".join(struct.pack("<HHII", *t) for t in tags) + bytes(4))


def wide_tiffs():
    """Name, data, samples as stored."""
    for name, a in (("grey_16.tif", rng.integers(0, 65536, (9, 7), dtype=np.uint16)),
                    ("grey_i16.tif", rng.integers(-1500, 3000, (9, 7)).astype(np.int16)),
                    ("grey_f32.tif", rng.normal(0.5, 0.2, (9, 7)).astype(np.float32))):
        data = tiff(a)
        assert (np.array(Image.open(io.BytesIO(data))) == a).all()
        yield name, data, a
    for name, a in (("grey_u32.tif", rng.integers(0, 1 << 32, (9, 7), dtype=np.uint32)), ("grey_i32.tif", rng.integers(-9, 99, (9, 7)).astype(np.int32)),
                    ("grey_f64.tif", rng.normal(0, 1e9, (9, 7))), ("rgb_f32.tif", rng.normal(0.5, 0.2, (9, 7, 3)).astype(np.float32))):
        yield name, tiff(a, photometric="rgb" if a.ndim == 3 else "minisblack", tile=(16, 16) if name == "grey_i32.tif" else None), a
    white = rng.integers(0, 65536, (9, 7), dtype=np.uint16)
    yield "white_is_zero_16.tif", tiff(white, photometric="miniswhite"), white


def late_tiffs():
    """Kinds of samples that are read since later: a generator of their own leaves the others as they are."""
    r = np.random.default_rng(15)
    halves = r.normal(0.5, 0.2, (9, 7)).astype(np.float16)
    halves[0, :3] = 6e-8, -3e-5, np.nan
    for name, a in (("grey_f16.tif", halves), ("rgb_f16.tif", r.normal(9, 5, (9, 7, 3)).astype(np.float16)),
                    ("rgb_i16.tif", r.integers(-1500, 3000, (9, 7, 3)).astype(np.int16)), ("rgb_f64.tif", r.normal(0, 1e9, (9, 7, 3)))):
        yield name, tiff(a, photometric="rgb" if a.ndim == 3 else "minisblack", compression="zlib"), a


def pages():
    b = io.BytesIO()
    kinds = [smooth(12, 9), smooth(7, 11).convert("L"), smooth(5, 5).convert("1")]
    kinds[0].save(b, "TIFF", save_all=True, append_images=kinds[1:], compression="tiff_lzw")
    return b.getvalue()


# ---------------------------------------------------------------------- AVIF, HEIC ---------


def heifs():
    pillow_heif.register_heif_opener()
    for s in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
        yield f"{s.replace(':', '')}.avif", encode(smooth(32, 24), "AVIF", subsampling=s, quality=80)
    yield "odd.avif", encode(smooth(23, 17), "AVIF")
    yield "limited.avif", encode(smooth(20, 16), "AVIF", range="limited")
    yield "lossless.avif", encode(smooth(20, 16), "AVIF", quality=100, subsampling="4:4:4")
    yield "alpha.avif", encode(transparent(20, 16), "AVIF")
    yield "animated.avif", encode(smooth(20, 16), "AVIF", save_all=True, append_images=[smooth(20, 16)])
    for n in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = n
        yield f"orientation_{n}.avif", encode(smooth(20, 12), "AVIF", exif=exif, subsampling="4:4:4")
    for chroma in (444, 422, 420):
        yield f"{chroma}.heic", encode(smooth(32, 24), "HEIF", chroma=chroma, quality=80)
    yield "alpha.heic", encode(transparent(32, 24), "HEIF")
    yield "odd.heic", encode(smooth(23, 17), "HEIF")
    yield "grey.heic", encode(smooth(32, 24).convert("L"), "HEIF")


# ---------------------------------------------------------------------- tables -------------


def narrow(samples, window=None, bits=16):
    """Samples of more than 8 bits as vitx makes them: see lib/image/wide.c."""
    if window is None and samples.dtype.kind in "ui" and samples.min() >= 0 and samples.max() < 1 << bits and bits < 32:
        return (samples >> bits - 8).astype(np.uint8)
    s = samples.astype(np.float64)
    low, high = window or (np.nanmin(s), np.nanmax(s))
    s = np.nan_to_num(s, nan=low)
    return np.floor(((s - low) * (255 / (high - low))).clip(0, 255) + 0.5).clip(0, 255).astype(np.uint8)


def line(name, rgb, page=1, window="-"):
    rgb = np.repeat(rgb[..., None], 3, -1) if rgb.ndim == 2 else rgb
    return f"{name} {page} {window} {rgb.shape[1]} {rgb.shape[0]} {fnv(rgb.tobytes())}"


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, data in [*gifs(), *pnms(), *webps(), *tiffs()]:
        (out / name).write_bytes(data)
        lines.append(line(name, rgb_of(data)))
    for name, data, samples in wide_pnms():
        (out / name).write_bytes(data)
        lines.append(line(name, narrow(samples)))
        if samples.dtype == np.float32:
            lines.append(line(name, narrow(samples, (-50.5, 60)), window="-50.5,60"))
        if name == "raw_65535.pgm":
            lines.append(line(name, narrow(samples, (1000, 30000)), window="1000,30000"))
    for name, data, samples in [*wide_tiffs(), *late_tiffs()]:
        (out / name).write_bytes(data)
        flip = 255 if name.startswith("white") else 0
        s = samples.astype(np.float64)
        window = tuple(float(v) for v in np.round(np.nanquantile(s, (0.2, 0.7)), 3))
        lines.append(line(name, narrow(samples) ^ flip))
        lines.append(line(name, narrow(samples, window) ^ flip, window=f"{window[0]!r},{window[1]!r}"))
    data = packed_tiff(12)
    samples = np.array(Image.open(io.BytesIO(data)))
    (out / "grey_12.tif").write_bytes(data)
    lines.append(line("grey_12.tif", narrow(samples, bits=12)))
    lines.append(line("grey_12.tif", narrow(samples, (100, 900)), window="100,900"))
    data = pages()
    (out / "pages.tif").write_bytes(data)
    for page in (1, 2, 3):
        lines.append(line("pages.tif", rgb_of(data, page), page))
    (out / "kinds.txt").write_text("\n".join(lines) + "\n")
    heif = Path(sys.argv[2])
    heif.mkdir(parents=True, exist_ok=True)
    for name, data in heifs():
        (heif / name).write_bytes(data)
        Image.fromarray(rgb_of(data)).save(heif / f"{name}.ppm")
    print(f"pillow-heif {pillow_heif.__version__}, Pillow {PIL.__version__} with " + ", ".join(f"{n} {features.version(n)}" for n in ("webp", "libtiff", "avif")) + f", numpy {np.__version__}")


if __name__ == "__main__":
    main()
