#!/usr/bin/env python3
"""Compares vitx's pixels with Pillow's over thousands of random small pictures of every kind.

    venv/bin/pip install pillow pillow-heif tifffile numpy
    venv/bin/python tools/golden/sweep_pictures.py build/libvitx.so [ROUNDS]

Prints a line for each way of writing (kind, samples, layout) in which the two do not agree, and at the end how many pictures were equal,
refused by both, by one, or different. Nothing is kept but what differs, in ./sweep_pictures/. By intent vitx and Pillow differ where
samples of more than 8 bits become 8 (docs/pictures.md); there the samples are compared through narrow() of make_pictures.py.
"""
import ctypes
import io
import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms, ImageOps

sys.path.insert(0, str(Path(__file__).parent))
import make_pictures as mp

warnings.filterwarnings("ignore")
rng = np.random.default_rng(77)
mp.rng = rng
lib = ctypes.CDLL(sys.argv[1])
lib.vitx_last_error.restype = ctypes.c_char_p
lib.vitx_image_pixels.restype = ctypes.POINTER(ctypes.c_uint8)
for f in (lib.vitx_image_pixels, lib.vitx_image_width, lib.vitx_image_height, lib.vitx_image_free):
    f.argtypes = [ctypes.c_void_p]
OUT = Path("sweep_pictures")
counts, told = {}, {}


def vitx(data):
    """RGB as [h, w, 3], or the message."""
    image = ctypes.c_void_p()
    if lib.vitx_image_open_memory(ctypes.byref(image), data, ctypes.c_size_t(len(data)), b"p", None) != 0:
        return lib.vitx_last_error().decode()
    h, w = lib.vitx_image_height(image), lib.vitx_image_width(image)
    a = np.ctypeslib.as_array(lib.vitx_image_pixels(image), (h, w, 3)).copy()
    lib.vitx_image_free(image)
    return a


def pillow(data):
    try:
        return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    except Exception as e:
        return f"{type(e).__name__}: {e}"


def compare(name, data, expected=None):
    want, is_ = pillow(data) if expected is None else expected, vitx(data)
    if isinstance(is_, str):
        result = "refused by both" if isinstance(want, str) else "refused by vitx"
    elif isinstance(want, str):
        result = "refused by Pillow"
    elif want.shape != is_.shape:
        result = "another size"
    else:
        most = int(np.abs(want.astype(int) - is_).max()) if want.size else 0
        result = "equal" if most == 0 else "different"
    counts[result] = counts.get(result, 0) + 1
    if result in ("equal", "refused by both"):
        return
    key = (name, result)
    told[key] = told.get(key, 0) + 1
    if told[key] == 1:
        note = is_ if isinstance(is_, str) else want if isinstance(want, str) else f"{want.shape} {is_.shape} by {np.abs(want.astype(int) - is_).max() if want.shape == is_.shape else ''}"
        print(f"{name}: {result}: {note}")
        OUT.mkdir(exist_ok=True)
        (OUT / f"{name.replace(' ', '_').replace('/', '-')}.bin").write_bytes(data)


def size():
    return tuple(int(v) for v in rng.integers(1, 70, 2))


def rgb(value):
    return np.repeat(value[..., None], 3, -1) if value.ndim == 2 else value


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def exif(n):
    e = Image.Exif()
    e[0x0112] = int(n)
    return e


# ---------------------------------------------------------------------- what Pillow writes -


def by_pillow():
    w, h = size()
    base = mp.smooth(w, h)
    for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F", "RGBX", "RGBa", "La", "HSV"):
        if mode == "LAB":
            image = Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8), "LAB")
        elif mode == "P":
            image = base.quantize(int(rng.integers(2, 257)))
        elif mode == "PA":
            image = base.quantize(16).convert("PA")
        elif mode in ("LA", "RGBA"):
            image = mp.transparent(w, h).convert(mode)
        elif mode in ("La", "RGBa"):
            image = mp.transparent(w, h).convert("LA" if mode == "La" else "RGBA").convert(mode)
        elif mode in ("I;16", "I", "F"):
            a = rng.integers(0, 65536, (h, w))
            image = Image.fromarray(a.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
        else:
            image = base.convert("RGB").convert(mode) if mode != "HSV" else base.convert("HSV")
        wide = mode in ("I;16", "I", "F")
        for kind, options in (("PNG", [{}, {"optimize": True}, {"compress_level": 0}, {"exif": exif(rng.integers(1, 9))}, {"icc_profile": PROFILE}]),
                              ("TIFF", [{"compression": c} for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "jpeg", "group3", "group4",
                                                                    "tiff_ccitt", "zstd", "lzma", "webp", "tiff_thunderscan", "tiff_raw_16")]
                               + [{"exif": exif(rng.integers(1, 9)), "compression": "tiff_lzw"}, {"big_tiff": True}, {"tiffinfo": {317: 2}, "compression": "tiff_lzw"},
                                  {"tiffinfo": {278: 3}}, {"tiffinfo": {266: 2}}]),
                              ("WEBP", [{}, {"quality": 30}, {"lossless": True}, {"exact": True, "lossless": True}, {"exif": exif(rng.integers(1, 9))},
                                        {"save_all": True, "append_images": [base]}, {"method": 6, "alpha_quality": 20}, {"icc_profile": PROFILE}]),
                              ("GIF", [{}, {"interlace": 0}, {"interlace": 1}, {"save_all": True, "append_images": [base, base.rotate(90)]}, {"optimize": True},
                                       {"transparency": 0}, {"save_all": True, "append_images": [mp.transparent(w, h)], "disposal": 2}]),
                              ("PPM", [{}]), ("BMP", [{}]), ("DIB", [{}]), ("TGA", [{}]), ("PCX", [{}]),
                              ("JPEG", [{"quality": int(rng.integers(1, 101)), "subsampling": s, "progressive": p, "optimize": o}
                                        for s in (0, 1, 2) for p in (False, True) for o in (False, True)]
                               + [{"exif": exif(rng.integers(1, 9))}, {"icc_profile": PROFILE}, {"keep_rgb": True}, {"restart_marker_blocks": 2}])):
            if kind in ("DIB", "TGA", "PCX"):
                continue  # of no kind that vitx reads
            for option in options:
                try:
                    data = mp.encode(image, kind, **option)
                except Exception:
                    continue
                name = f"{kind} {mode} " + " ".join(f"{k}={v if isinstance(v, (int, str)) else '..'}" for k, v in option.items() if k not in ("quality",))
                if not wide or kind in ("JPEG", "GIF", "WEBP"):
                    compare(name, data)
                    continue
                try:
                    samples = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
                except Exception as e:
                    compare(name, data)
                    continue
                if samples.dtype == bool or samples.dtype == np.uint8:
                    compare(name, data)
                else:
                    compare(name, data, rgb(mp.narrow(samples.astype(np.uint16)) if mode == "I;16" or mode == "I" and kind != "TIFF" else mp.narrow(samples, bits=32)))


# ---------------------------------------------------------------------- what tifffile writes


def by_tifffile():
    w, h = size()
    for dtype, colour in itertools.product(("u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"), ("minisblack", "miniswhite", "rgb", "separated", "ycbcr", "cielab", "alpha", "grey+a", "5")):
        channels = {"rgb": 3, "separated": 4, "ycbcr": 3, "cielab": 3, "alpha": 4, "grey+a": 2, "5": 5}.get(colour, 1)
        shape = (h, w, channels) if channels > 1 else (h, w)
        if dtype[0] == "f":
            a = rng.normal(0.5, 0.3, shape).astype(dtype)
        else:
            info = np.iinfo(dtype)
            a = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        for byteorder, big, tile, planar, compression, predictor in (
                ("<", False, None, False, None, False), (">", False, None, False, None, False), ("<", True, None, False, None, False), (">", True, (16, 32), False, "zlib", False),
                ("<", False, (32, 16), False, None, False), ("<", False, None, True, None, False), (">", False, (16, 16), True, None, False), ("<", False, None, False, "zlib", False),
                ("<", False, None, False, "zlib", True), (">", False, (16, 16), True, "zlib", True), ("<", False, 3, False, "zlib", True), ("<", False, 5, True, None, False)):
            if planar and channels == 1:
                continue
            options = dict(byteorder=byteorder, bigtiff=big, compression=compression)
            if predictor:
                options["predictor"] = True
            if isinstance(tile, tuple):
                options["tile"] = tile
            elif tile:
                options["rowsperstrip"] = tile
            if colour == "alpha":
                options.update(photometric="rgb", extrasamples=["unassalpha"])
            elif colour == "grey+a":
                options.update(photometric="minisblack", extrasamples=["unassalpha"])
            elif colour == "5":
                options.update(photometric="rgb", extrasamples=["unspecified"] * 2)
            else:
                options["photometric"] = colour
            if channels > 1:
                options["planarconfig"] = "separate" if planar else "contig"
            try:
                data = mp.tiff(np.moveaxis(a, -1, 0) if planar else a, **options)
            except Exception:
                continue
            name = f"tifffile {dtype} {colour} {byteorder}{' big' if big else ''} tile={tile} planar={planar} {compression} predictor={predictor}"
            expected = None
            if dtype not in ("u1", "i1") and colour in ("minisblack", "miniswhite"):
                samples = a
                expected = rgb(mp.narrow(samples) ^ (255 if colour == "miniswhite" else 0)) if len(np.unique(samples)) > 1 else None
                if expected is None:
                    continue
            elif dtype == "u2" and planar and compression is None and colour in ("rgb", "alpha", "separated"):
                expected = pillow(mp.tiff(a, **{**options, "planarconfig": "contig"}))  # Pillow takes the bytes of planes apart for samples
            elif dtype in ("u4", "i4", "f4", "f8", "i2") and colour == "rgb" or dtype == "f2" and colour == "rgb":
                expected = rgb(mp.narrow(a)) if a.min() != a.max() else None
                if expected is None:
                    continue
            compare(name, data, expected)


# ---------------------------------------------------------------------- by hand ------------


def by_hand():
    w, h = size()
    n = int(rng.integers(2, 257))
    colours = rng.integers(0, 256, 3 * (1 << int(n - 1).bit_length()), dtype=np.uint8).tobytes()
    local = rng.integers(0, 256, 3 * 8, dtype=np.uint8).tobytes()
    for interlaced, fill, own, trans in itertools.product((False, True), (False, True), (False, True), (None, 0, 3, 255)):
        k = 8 if own else n
        pixels = rng.integers(0, k, (h, w))
        left, top = (int(v) for v in rng.integers(0, 9, 2))
        frame = mp.gif_frame(pixels, left, top, local if own else b"", interlaced, fill=fill)
        data = mp.gif(*(int(v) for v in rng.integers(1, 80, 2)), frame, colours, mp.control(trans) if trans is not None else b"", int(rng.integers(0, n)))
        compare(f"gif by hand interlaced={interlaced} fill={fill} own={own} transparent={trans}", data)
    for kind, channels in ((1, 1), (2, 1), (3, 3), (4, 1), (5, 1), (6, 3)):
        for greatest in (1, 2, 7, 100, 255, 256, 1000, 65535):
            data = (mp.plain if kind < 4 else mp.raw)(kind, w, h, greatest if kind not in (1, 4) else 1, channels)
            expected = None
            if channels == 1 and greatest > 255 and kind in (2, 5):
                samples = np.array(Image.open(io.BytesIO(data)))
                expected = rgb(mp.narrow(samples.astype(np.uint16)))
            compare(f"P{kind} greatest={greatest}", data, expected)
    for bits, palette in itertools.product((1, 2, 4), (False, True)):
        compare(f"TIFF {bits} bits palette={palette}", mp.packed_tiff(bits, palette))


def main():
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        by_pillow()
        by_tifffile()
        by_hand()
    print(", ".join(f"{n} {k}" for k, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
