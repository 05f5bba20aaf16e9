"""The pages that the tests look at: what vitx-cli explain makes them of."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np

GOLDEN = Path("test/golden/models")
WORDS = Path("test/golden/words")
PICTURE = GOLDEN / "picture.png"
SCENES = Path("docs/images/scenes")
SHARED = Path("../shared/data")  # the developers' real model and photos; often not there


class Recipe:
    """model, pictures, and what is to be made of them: arguments of vitx-cli explain."""

    def __init__(self, model, pictures, *more):
        self.model, self.pictures, self.more = list(model), list(pictures), list(more)

    def source(self):
        return [*self.model, *self.pictures]

    def all(self):
        return [*self.model, *self.more, *self.pictures]


def golden(name, *more):
    """A tiny random model and its library's picture."""
    return Recipe(["-m", GOLDEN / name], [PICTURE], *(more or ("--method", "rollout")))


def texts(name, *list, versus=None):
    """A tiny random pair of a picture and a text tower."""
    more = [word for text in list for word in ("--text", text)]
    more += ["--versus", versus] if versus else []
    return Recipe(
        ["-m", WORDS / name],
        [Path("test/golden/texts/picture.png")],
        "--method",
        "gradcam,generic",
        *more,
    )


def scenes(picture, *more):
    """The bundled model: 6 blocks of 4 heads, 197 tokens, 28 classes with names."""
    return Recipe([], [SCENES / picture], *more)


def deit(picture, *more):
    model = SHARED / "models/deit_tiny_patch16_224"
    return Recipe(["-m", model], [SHARED / "images" / picture], *more) if model.exists() else None


def many(folder):
    """20 pictures of the bundled model, three of them with another name each time."""
    folder.mkdir(exist_ok=True)
    names = []
    for i in range(20):
        to = folder / f"picture {i + 1}.png"
        shutil.copyfile(SCENES / ("one.png", "two.png", "wrong.png")[i % 3], to)
        names.append(to)
    return Recipe([], names, "--method", "generic", "--embed-budget", "4")


def dinov2(folder):
    """DINOv2 with registers at 518 px, 1,374 tokens, as ViT-S has it but narrow; random weights."""
    if not folder.exists():
        folder.mkdir()
        _write_dinov2(
            folder, size=518, patch=14, layers=12, heads=6, width=96, registers=4, classes=10
        )
    return Recipe(["-m", folder], [SCENES / "two.png"], "--method", "attention,rollout")


RECIPES = {
    "scenes": lambda lab: scenes(
        "two.png", "--method", "generic,gradcam,rollout,saliency", "--target", "top2"
    ),
    "features": lambda lab: scenes("two.png", "--method", "features,rollout"),
    "fast": lambda lab: scenes("one.png", "--method", "all-fast"),
    "plain": lambda lab: golden(
        "vit-timm", "--method", "attention,rollout,generic,gradcam,saliency", "--target", "top2"
    ),
    "clip": lambda lab: golden("clip-hf", "--method", "attention,rollout,gradcam", "--unit", "3"),
    "siglip": lambda lab: golden("siglip-hf", "--method", "attention,rollout", "--unit", "0"),
    "map-class": lambda lab: golden("vit-timm-map-class"),
    "registers": lambda lab: golden(
        "dinov2-hf-registers-swiglu", "--method", "attention,rollout,generic"
    ),
    "oblong": lambda lab: golden("vit-timm-oblong", "--method", "attention,rollout,generic"),
    "no-class": lambda lab: golden("vit-timm-no-class-token"),
    "distilled": lambda lab: golden("deit-timm-distilled"),
    "like": lambda lab: Recipe(
        ["-m", GOLDEN / "clip-hf"],
        [SCENES / "two.png"],
        "--method",
        "gradcam,rollout",
        "--like",
        SCENES / "one.png",
    ),
    # The random model finds the first two no better than no text, the third better.
    "texts": lambda lab: texts(
        "clip", "a photo of a cat", "\u4e00\u5f20\u72d7\u7684\u7167\u7247", "The red car, at night!"
    ),
    "texts-zh": lambda lab: texts(
        "chinese-clip", "a photo of a cat", "\u4e00\u5f20\u72d7\u7684\u7167\u7247", versus="\u725b"
    ),
    # Each text by itself: the first beats the empty text, and gets little all the same.
    "texts-siglip": lambda lab: texts("siglip", "The The The", "a photo of a cat"),
    "many": lambda lab: many(lab.folder / "many"),
    "dinov2": lambda lab: dinov2(lab.folder / "dinov2"),
    "deit": lambda lab: deit("dog.jpg", "--method", "generic,gradcam,rollout", "--target", "top2"),
    "keep": lambda lab: Recipe(
        ["-m", GOLDEN / "vit-timm", "--fit", "keep"],
        [PICTURE],
        "--method",
        "attention,rollout,generic",
    ),
}

# start, fuse, discard of method rollout, which the page holds within 0.2 % of the map's maximum.
ROLLOUTS = [
    (first, fuse, discard)
    for fuse in ("mean", "max", "min")
    for first, discard in ((0, 0), (2, 0), (5, 0), (0, 0.3), (1, 0.5), (0, 0.9), (5, 0.95))
]
ROLLOUT_BOUND = 0.002


# -------------------------------------------------------------------- a model ----------------
def _write_dinov2(folder, size, patch, layers, heads, width, registers, classes):
    """A folder in transformers' form (Dinov2WithRegistersForImageClassification)."""
    rng = np.random.default_rng(13)
    side, root = size // patch, "dinov2_with_registers."

    def random(*shape, scale):
        return (rng.standard_normal(shape) * scale).astype(np.float16)

    tensors = {
        "classifier.weight": random(classes, 2 * width, scale=0.1),
        "classifier.bias": random(classes, scale=0.1),
        root + "embeddings.cls_token": random(1, 1, width, scale=1),
        root + "embeddings.mask_token": random(1, width, scale=1),
        root + "embeddings.register_tokens": random(1, registers, width, scale=1),
        root + "embeddings.patch_embeddings.projection.weight": random(
            width, 3, patch, patch, scale=1 / patch
        ),
        root + "embeddings.patch_embeddings.projection.bias": random(width, scale=0.1),
        root + "embeddings.position_embeddings": random(1, side * side + 1, width, scale=0.5),
        root + "layernorm.weight": np.ones(width, np.float16),
        root + "layernorm.bias": np.zeros(width, np.float16),
    }
    for i in range(layers):
        block = f"{root}encoder.layer.{i}."
        for part in (
            "attention.attention.query",
            "attention.attention.key",
            "attention.attention.value",
            "attention.output.dense",
        ):
            tensors[block + part + ".weight"] = random(width, width, scale=1.5 / width**0.5)
            tensors[block + part + ".bias"] = random(width, scale=0.1)
        for norm in ("norm1", "norm2"):
            tensors[block + norm + ".weight"] = np.ones(width, np.float16)
            tensors[block + norm + ".bias"] = np.zeros(width, np.float16)
        for one in ("layer_scale1", "layer_scale2"):
            tensors[block + one + ".lambda1"] = np.full(width, 0.5, np.float16)
        for fc, (out, into) in {"fc1": (2 * width, width), "fc2": (width, 2 * width)}.items():
            tensors[f"{block}mlp.{fc}.weight"] = random(out, into, scale=1 / into**0.5)
            tensors[f"{block}mlp.{fc}.bias"] = random(out, scale=0.1)
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "dinov2_with_registers",
                "architectures": ["Dinov2WithRegistersForImageClassification"],
                "hidden_size": width,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "mlp_ratio": 2,
                "image_size": size,
                "patch_size": patch,
                "num_channels": 3,
                "num_register_tokens": registers,
                "hidden_act": "gelu",
                "layer_norm_eps": 1e-6,
                "qkv_bias": True,
                "use_swiglu_ffn": False,
                "id2label": {str(i): f"kind {i}" for i in range(classes)},
            }
        )
    )
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "BitImageProcessor",
                "do_resize": True,
                "do_center_crop": True,
                "do_rescale": True,
                "do_normalize": True,
                "do_convert_rgb": True,
                "resample": 3,
                "size": {"shortest_edge": size},
                "crop_size": {"height": size, "width": size},
                "image_mean": [0.485, 0.456, 0.406],
                "image_std": [0.229, 0.224, 0.225],
                "rescale_factor": 1 / 255,
            }
        )
    )


def write_safetensors(path, tensors):
    """F16 arrays in the safetensors format."""
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": "F16",
            "shape": array.shape,
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(array.tobytes())
