#!/usr/bin/env python3
"""Random models under the configurations that the hub has, in vitx and in their own library.

    python3 -m venv venv && venv/bin/pip install torch torchvision timm transformers open_clip_torch pillow numpy
    HF_HUB_OFFLINE=1 venv/bin/python tools/golden/sweep_hub.py build/libvitx.so PICTURE PICTURE [PART...] > sweep.txt

Two blocks deep, but as wide and with the fields of config.json, preprocessor_config.json and
open_clip_config.json as checkpoints have them, old spellings among them. Hugging Face: each model is
saved by save_pretrained and read back by from_pretrained from the same folder, pictures by
AutoImageProcessor with backend "pil". open_clip: every configuration that the package brings, saved by its
save_for_hf and loaded by create_model_from_pretrained("local-dir:..."); the text tower is a small one.
PART: of the names of cases, those that contain it.

One line a case: its name; "ok" with the largest difference of the answer (over the answer's largest) and
of the pixels (over theirs) on both pictures, "differs", "refused" with vitx's sentence, or
"fails" where the library itself has no answer. Then how many there were of each. Exits 1 where a case
differs, or is refused that should run, or runs that should be refused.
"""
import copy
import ctypes
import glob
import json
import os
import re
import shutil
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import numpy as np
import open_clip
import timm
import torch
import transformers
from make_models import randomise
from open_clip.push_to_hf_hub import save_for_hf
from PIL import Image
from safetensors.torch import load_file, save_file

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

TOLERANCE = 2e-5  # of the largest, so that one GELU is not taken for another; pixels: 1e-6
DEPTH = 2


# ---------------------------------------------------------------------------- vitx

class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int),
                ("shape", ctypes.c_int64 * 4), ("stride", ctypes.c_int64 * 4)]

    def array(self):
        shape = [self.shape[i] for i in range(self.rank)]
        strides = [4 * self.stride[i] for i in range(self.rank)]
        flat = (ctypes.c_float * (sum((n - 1) * s for n, s in zip(shape, strides)) // 4 + 1)).from_address(self.data)
        return np.lib.stride_tricks.as_strided(np.frombuffer(flat, np.float32), shape, strides).copy()


class Refused(Exception):
    pass


class Vitx:
    """Through the library's C functions: pixels and answers of a folder's model."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.vitx_last_error.restype = self.lib.vitx_model_label.restype = ctypes.c_char_p

    def call(self, name, *args):
        if getattr(self.lib, name)(*args):
            raise Refused(self.lib.vitx_last_error().decode())

    def run(self, folder, pictures):
        model, context = ctypes.c_void_p(), ctypes.c_void_p()
        out = []
        try:
            self.call("vitx_model_open", ctypes.byref(model), folder.encode(), None)
            self.call("vitx_context_create", ctypes.byref(context), model, None)
            for path in pictures:
                image, view = ctypes.c_void_p(), View()
                self.call("vitx_image_open", ctypes.byref(image), path.encode())
                self.call("vitx_forward", context, ctypes.byref(image), 1)
                self.call("vitx_logits", ctypes.byref(view), context)
                answer = view.array()
                self.call("vitx_input", ctypes.byref(view), context)
                out.append((view.array(), answer))
                self.lib.vitx_image_free(image)
            names = [self.lib.vitx_model_label(model, i) for i in range(answer.shape[1])]
            return out, [n.decode() if n else None for n in names]
        finally:
            self.lib.vitx_context_free(context)
            self.lib.vitx_model_free(model)


def fill(model, dtype):
    """Random weights. What enters the first norm is small, so that its eps matters."""
    randomise(model, 7, dtype)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if re.search(r"embed|cls_token|token$|conv1|positional", name) and "text" not in name:
                p.mul_(0.003)


# ---------------------------------------------------------------------------- Hugging Face

OLD = dict(do_normalize=True, do_resize=True)  # of feature extractors, which had no do_rescale
NEW = dict(OLD, do_rescale=True, rescale_factor=0.00392156862745098)
HALF = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
CLIP = dict(image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711])
square = lambda n: {"height": n, "width": n}
NOTHING = dict(crop_size=None, data_format="channels_first", default_to_square=True, device=None, do_center_crop=None,
               do_convert_rgb=None, input_data_format=None, return_tensors=None)  # of the first Fast processors

VIT = dict(model_type="vit", hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.02,
           layer_norm_eps=1e-12, image_size=224, patch_size=16, num_channels=3, qkv_bias=True)
SIZES = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12), "large": (1024, 16), "huge": (1280, 16), "giant": (1408, 16)}


def vit(size, **fields):
    width, heads = SIZES[size]
    return dict(VIT, hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width, **fields)


def dino(size, **fields):
    config = vit(size, **dict(dict(model_type="dinov2", layer_norm_eps=1e-6, image_size=518, patch_size=14, mlp_ratio=4, layerscale_value=1.0,
                                   drop_path_rate=0.0, use_swiglu_ffn=False, apply_layernorm=True, reshape_hidden_states=True), **fields))
    del config["intermediate_size"]
    return config


def tower(width, heads, hidden, image, patch, **fields):
    return dict(hidden_size=width, num_attention_heads=heads, intermediate_size=hidden, image_size=image, patch_size=patch, **fields)


def clip(vision, top={}, **fields):
    """config.json of a whole CLIP or SigLIP."""
    return dict(dict(model_type="clip", projection_dim=64, vision_config=dict(vision, num_hidden_layers=DEPTH), text_config=dict(TEXT)), **top, **fields)


TEXT = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, vocab_size=100, max_position_embeddings=16,
            eos_token_id=2, bos_token_id=1, pad_token_id=1)
CROP = dict(NEW, do_center_crop=True, do_convert_rgb=True, resample=3)
BIT = dict(CROP, **IMAGENET, crop_size=square(224), image_processor_type="BitImageProcessor", size={"shortest_edge": 256})
CLIP_OLD = dict(OLD, **CLIP, crop_size=224, do_center_crop=True, feature_extractor_type="CLIPFeatureExtractor", resample=3, size=224)
CLIP_NEW = dict(CROP, **CLIP, crop_size=square(224), image_processor_type="CLIPImageProcessor", size={"shortest_edge": 224})
SIGLIP = dict(NEW, **HALF, image_processor_type="SiglipImageProcessor", processor_class="SiglipProcessor", resample=3, size=square(224))
VIT_NEW = dict(NEW, **HALF, image_processor_type="ViTImageProcessor", resample=2, size=square(224))
VIT_OLD = dict(OLD, **HALF, feature_extractor_type="ViTFeatureExtractor", resample=2, size=224)
B16 = tower(768, 12, 3072, 224, 16)
NAMES = {"id2label": {"0": "normal", "1": "nsfw"}, "label2id": {"normal": 0, "nsfw": 1}}


# Of these transformers 5.24 writes other names than 4.x did and the hub has; it reads both.
MSN_4 = dict(renamed={r"^encoder\.": "vit.encoder."})
ALT_4 = dict(renamed={r"^vision_model\.encoder\.layer\.": "vision_model.encoder.layers."})


def labels(n):
    return {"id2label": {str(i): f"LABEL_{i}" for i in range(n)}, "label2id": {f"LABEL_{i}": i for i in range(n)}}


def hf_cases():
    """name -> (class, config.json, preprocessor_config.json, more)."""
    seven = labels(7)
    cases = {
        # ViT
        "google/vit-base-patch16-224": ("ViTForImageClassification", dict(vit("base"), **labels(11)), dict(OLD, **HALF, size=224)),
        "google/vit-base-patch16-384": ("ViTForImageClassification", dict(vit("base", image_size=384), **seven), dict(OLD, **HALF, size=384)),
        "google/vit-large-patch32-384": ("ViTForImageClassification", dict(vit("large", image_size=384, patch_size=32), **seven), dict(VIT_OLD, size=384)),
        "google/vit-base-patch16-224-in21k": ("ViTModel", vit("base"), VIT_OLD),
        "google/vit-huge-patch14-224-in21k": ("ViTModel", vit("huge", patch_size=14), VIT_OLD),
        "Falconsai/nsfw_image_detection": ("ViTForImageClassification", dict(vit("base", encoder_stride=16, problem_type="single_label_classification",
                                           torch_dtype="float32"), **NAMES), VIT_NEW),
        "AdamCodd/vit-base-nsfw-detector": ("ViTForImageClassification", dict(vit("base", image_size=384), **NAMES), dict(VIT_NEW, size=square(384))),
        "nateraw/vit-age-classifier": ("ViTForImageClassification", dict(vit("base"), **labels(9)), dict(VIT_OLD)),
        "trpakov/vit-face-expression": ("ViTForImageClassification", dict(vit("base"), **seven), dict(VIT_NEW, do_convert_rgb=None)),
        "dima806/fast": ("ViTForImageClassification", dict(vit("base"), **seven), dict(VIT_NEW, **NOTHING, image_processor_type="ViTImageProcessorFast")),
        "umm-maybe/AI-image-detector-like": ("ViTForImageClassification", dict(vit("base"), **NAMES), dict(VIT_NEW, feature_extractor_type="ViTFeatureExtractor")),
        "WinKawaks/vit-tiny-patch16-224": ("ViTForImageClassification", dict(vit("tiny"), **seven), VIT_OLD),
        "WinKawaks/vit-small-patch16-224": ("ViTForImageClassification", dict(vit("small"), **seven), VIT_OLD),
        "facebook/dino-vitb16": ("ViTModel", vit("base"), dict(VIT_OLD, **IMAGENET)),
        "facebook/dino-vits8": ("ViTModel", vit("small", patch_size=8), dict(VIT_OLD, **IMAGENET)),
        "owkin/phikon": ("ViTModel", vit("base", layer_norm_eps=1e-6), dict(VIT_NEW, **IMAGENET)),
        "kaiko-like vit-b8": ("ViTModel", vit("base", patch_size=8, layer_norm_eps=1e-6), VIT_NEW),
        "facebook/vit-msn-base": ("ViTMSNModel", vit("base", model_type="vit_msn", layer_norm_eps=1e-6), dict(VIT_OLD, **IMAGENET)),
        "facebook/vit-msn-small": ("ViTMSNForImageClassification", dict(vit("small", model_type="vit_msn", layer_norm_eps=1e-6), **seven), dict(VIT_OLD, **IMAGENET), MSN_4),
        "facebook/vit-msn-base-4, eps of the class": ("ViTMSNForImageClassification", dict(vit("tiny", model_type="vit_msn", patch_size=4, image_size=64), **seven),
                                                      dict(VIT_OLD, size=64), dict(MSN_4, drop=["layer_norm_eps"])),
        "facebook/ijepa_vith14_1k": ("IJepaModel", vit("huge", model_type="ijepa", patch_size=14, layer_norm_eps=1e-6, pooler_act="tanh", pooler_output_size=1280),
                                     dict(VIT_NEW, **IMAGENET, do_convert_rgb=None)),
        "ijepa classifier": ("IJepaForImageClassification", dict(vit("small", model_type="ijepa", patch_size=16), **seven), dict(VIT_NEW, **IMAGENET)),
        "facebook/vit-mae-base, encoder": ("ViTMAEModel", vit("base", model_type="vit_mae", mask_ratio=0.0), dict(VIT_OLD, **IMAGENET)),
        "facebook/vit-mae-base": ("ViTMAEForPreTraining", vit("small", model_type="vit_mae", decoder_num_attention_heads=2, decoder_hidden_size=32,
                                  decoder_num_hidden_layers=1, decoder_intermediate_size=64, mask_ratio=0.0), dict(VIT_OLD, **IMAGENET)),
        # DeiT
        "facebook/deit-base-distilled-patch16-224": ("DeiTForImageClassificationWithTeacher", dict(vit("base", model_type="deit"), **seven),
            dict(OLD, **IMAGENET, crop_size=224, do_center_crop=True, feature_extractor_type="DeiTFeatureExtractor", resample=3, size=256)),
        "facebook/deit-base-distilled-patch16-384": ("DeiTForImageClassificationWithTeacher", dict(vit("base", model_type="deit", image_size=384), **seven),
            dict(OLD, **IMAGENET, crop_size=384, do_center_crop=True, feature_extractor_type="DeiTFeatureExtractor", resample=3, size=438)),
        "facebook/deit-base-patch16-224": ("ViTForImageClassification", dict(vit("base"), **seven),
            dict(OLD, **IMAGENET, crop_size=224, do_center_crop=True, feature_extractor_type="DeiTFeatureExtractor", resample=3, size=256)),
        "facebook/deit-tiny-patch16-224": ("ViTForImageClassification", dict(vit("tiny"), **seven),
            dict(OLD, **IMAGENET, crop_size=square(224), do_center_crop=True, do_rescale=True, image_processor_type="DeiTImageProcessor", resample=3, size=square(256))),
        "deit fast": ("DeiTForImageClassification", dict(vit("tiny", model_type="deit"), **seven),
            dict(NEW, **IMAGENET, **dict(NOTHING, crop_size=square(224), do_center_crop=True), image_processor_type="DeiTImageProcessorFast", resample=3, size=square(256))),
        # DINOv2
        "facebook/dinov2-small": ("Dinov2Model", dino("small"), BIT),
        "facebook/dinov2-large": ("Dinov2Model", dino("large", stage_names=["stem", "stage1", "stage2"], out_features=["stage2"], out_indices=[2]), BIT),
        "facebook/dinov2-giant": ("Dinov2Model", dict(dino("base", use_swiglu_ffn=True), hidden_size=1536, num_attention_heads=24), BIT),
        "facebook/dinov2-base-imagenet1k-1-layer": ("Dinov2ForImageClassification", dict(dino("base"), **labels(13)), BIT),
        "facebook/dinov2-with-registers-base": ("Dinov2WithRegistersModel", dino("base", model_type="dinov2_with_registers", num_register_tokens=4, interpolate_antialias=True,
                                                interpolate_offset=0.0), BIT),
        "facebook/dinov2-with-registers-giant-imagenet1k-1-layer": ("Dinov2WithRegistersForImageClassification",
            dict(dino("base", model_type="dinov2_with_registers", num_register_tokens=4, use_swiglu_ffn=True), hidden_size=1536, num_attention_heads=24, **seven), BIT),
        "microsoft/rad-dino": ("Dinov2Model", dino("base"), dict(BIT, image_mean=[0.5307] * 3, image_std=[0.2583] * 3, crop_size=square(518), size={"shortest_edge": 518})),
        "owkin/phikon-v2": ("Dinov2Model", dino("large", image_size=224, patch_size=16), dict(BIT, size={"shortest_edge": 224})),
        "dinov2 fine-tuned, squashed by ViT's processor": ("Dinov2ForImageClassification", dict(dino("small"), **seven), dict(VIT_NEW, **IMAGENET)),
        "dinov2, processor of no name": ("Dinov2Model", dino("small"), {k: v for k, v in BIT.items() if k not in ("image_processor_type", "image_mean", "image_std", "size", "crop_size")}),
        # CLIP
        "openai/clip-vit-base-patch32": ("CLIPModel", clip(tower(768, 12, 3072, 224, 32, hidden_act="quick_gelu", layer_norm_eps=1e-5), vision_config_dict=None, text_config_dict=None), CLIP_OLD),
        "openai/clip-vit-large-patch14": ("CLIPModel", clip(tower(1024, 16, 4096, 224, 14), vision_config_dict=tower(1024, 16, 4096, 224, 14, num_hidden_layers=DEPTH, projection_dim=64)),
                                          CLIP_NEW),
        "openai/clip-vit-large-patch14-336": ("CLIPModel", clip(tower(1024, 16, 4096, 336, 14)), dict(CLIP_OLD, crop_size=336, size=336)),
        "openai/clip-vit-base-patch16, defaults left out": ("CLIPModel", clip(dict(patch_size=16)), CLIP_OLD),
        "laion/CLIP-ViT-H-14": ("CLIPModel", clip(tower(1280, 16, 5120, 224, 14, hidden_act="gelu"), vision_config_dict=tower(1280, 16, 5120, 224, 14, hidden_act="gelu", num_hidden_layers=DEPTH)), CLIP_NEW),
        "laion/CLIP-ViT-L-14, vision_config_dict wins": ("CLIPModel", clip(dict(tower(1024, 12, 4096, 224, 14)), vision_config_dict=tower(1024, 16, 4096, 224, 14, hidden_act="gelu", num_hidden_layers=DEPTH)), CLIP_NEW),
        "laion/CLIP-ViT-bigG-14": ("CLIPVisionModelWithProjection", dict(model_type="clip_vision_model", projection_dim=64, hidden_act="gelu", **tower(1664, 16, 8192, 224, 14)), CLIP_NEW),
        "apple/DFN5B-CLIP-ViT-H-14-378": ("CLIPModel", clip(tower(1280, 16, 5120, 378, 14, hidden_act="quick_gelu")), dict(CLIP_NEW, crop_size=square(378), size=square(378))),
        "apple-like, size as a pair": ("CLIPModel", clip(tower(256, 4, 1024, 224, 16)), dict(CLIP_NEW, size=[224, 224])),
        "patrickjohncyl/fashion-clip": ("CLIPModel", clip(tower(768, 12, 3072, 224, 32)), dict(CLIP_NEW, feature_extractor_type="CLIPFeatureExtractor")),
        "clip vision model": ("CLIPVisionModel", dict(model_type="clip_vision_model", **tower(1024, 16, 4096, 224, 14)), CLIP_NEW),
        "clip fast": ("CLIPModel", clip(tower(256, 4, 1024, 224, 16)), dict(CLIP_NEW, **dict(NOTHING, default_to_square=False, crop_size=square(224), do_center_crop=True, do_convert_rgb=True), image_processor_type="CLIPImageProcessorFast")),
        "facebook/metaclip-h14": ("CLIPModel", clip(tower(1280, 16, 5120, 224, 14, hidden_act="quick_gelu")), CLIP_NEW),
        "wkcn/TinyCLIP": ("CLIPModel", clip(tower(256, 4, 1024, 224, 16)), CLIP_OLD),
        "clip classifier": ("CLIPForImageClassification", clip(tower(768, 12, 3072, 224, 32), **labels(7)), CLIP_NEW),
        "clip classifier, gelu": ("CLIPForImageClassification", clip(tower(1024, 16, 4096, 224, 14, hidden_act="gelu"), **NAMES), CLIP_NEW),
        "OFA-Sys/chinese-clip-vit-base-patch16": ("ChineseCLIPModel", clip(dict(B16), dict(model_type="chinese_clip")), dict(OLD, **CLIP, do_center_crop=False, crop_size=224, feature_extractor_type="ChineseCLIPFeatureExtractor", resample=3, size=square(224))),
        "BAAI/AltCLIP": ("AltCLIPModel", clip(tower(1024, 16, 4096, 224, 14), dict(model_type="altclip")), CLIP_OLD, ALT_4),
        "facebook/metaclip-2": ("MetaClip2Model", clip(tower(768, 12, 3072, 224, 32), dict(model_type="metaclip_2")), CLIP_NEW),
        "facebook/metaclip-2, vision": ("MetaClip2VisionModel", dict(model_type="metaclip_2_vision_model", **tower(384, 6, 1536, 224, 16)), CLIP_NEW),
        "CIDAS/clipseg": ("CLIPSegModel", clip(tower(768, 12, 3072, 224, 32), dict(model_type="clipseg")), VIT_NEW, dict(refused=True)),
        # SigLIP
        "google/siglip-base-patch16-224": ("SiglipModel", clip(dict(model_type="siglip_vision_model", patch_size=16), dict(model_type="siglip", initializer_factor=1.0)), SIGLIP),
        "google/siglip-so400m-patch14-384": ("SiglipModel", clip(tower(1152, 16, 4304, 384, 14), dict(model_type="siglip")), dict(SIGLIP, size=square(384))),
        "google/siglip-large-patch16-256": ("SiglipModel", clip(tower(1024, 16, 4096, 256, 16), dict(model_type="siglip")), dict(SIGLIP, size=square(256))),
        "google/siglip-base-patch16-256-multilingual": ("SiglipModel", clip(tower(768, 12, 3072, 256, 16), dict(model_type="siglip")), dict(SIGLIP, size=square(256))),
        "google/siglip2-base-patch16-224": ("SiglipModel", clip(dict(model_type="siglip_vision_model", patch_size=16, image_size=224, vision_use_head=True), dict(model_type="siglip")),
                                            dict(SIGLIP, resample=2, do_convert_rgb=None)),
        "google/siglip2-giant-opt-patch16-384": ("SiglipModel", clip(tower(1536, 16, 6144, 384, 16), dict(model_type="siglip")), dict(SIGLIP, resample=2, size=square(384))),
        "google/siglip2-so400m-patch14-224, fast": ("SiglipModel", clip(tower(1152, 16, 4304, 224, 14), dict(model_type="siglip")),
            dict(SIGLIP, **dict(NOTHING, default_to_square=False), image_processor_type="SiglipImageProcessorFast", resample=2)),
        "siglip vision model": ("SiglipVisionModel", dict(model_type="siglip_vision_model", **tower(768, 12, 3072, 224, 16)), SIGLIP),
        "siglip classifier": ("SiglipForImageClassification", clip(dict(B16, model_type="siglip_vision_model"), dict(model_type="siglip", problem_type="single_label_classification"), **NAMES), dict(SIGLIP, resample=2)),
        "siglip2 classifier": ("SiglipForImageClassification", clip(dict(model_type="siglip_vision_model", patch_size=16), dict(model_type="siglip"), **seven), dict(SIGLIP, resample=2)),
        "siglip without a head": ("SiglipVisionModel", dict(model_type="siglip_vision_model", vision_use_head=False, **tower(384, 6, 1536, 224, 16)), SIGLIP, dict(refused=True)),
        "google/siglip2-base-patch16-naflex": ("Siglip2VisionModel", dict(model_type="siglip2_vision_model", hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_patches=256, patch_size=16),
                                               dict(SIGLIP, image_processor_type="Siglip2ImageProcessor", max_num_patches=256, patch_size=16)),
        "siglip2 naflex classifier": ("Siglip2ForImageClassification", clip(dict(hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_patches=256, patch_size=16), dict(model_type="siglip2"), **seven),
                                      dict(SIGLIP, image_processor_type="Siglip2ImageProcessor", max_num_patches=256, patch_size=16)),
    }
    cases.update(todays(seven))
    # spellings, on a small ViT, DeiT, CLIP and SigLIP
    tiny = dict(vit("tiny"), **seven)
    spellings = {
        "no size": {k: v for k, v in VIT_NEW.items() if k != "size"},
        "no mean and std": dict(NEW, resample=2, size=224, image_processor_type="ViTImageProcessor"),
        "nothing but a type": dict(image_processor_type="ViTImageProcessor"),
        "default_to_square false": dict(VIT_NEW, default_to_square=False, size=256, do_center_crop=True, crop_size=224),
        "no type at all": dict(VIT_NEW, image_processor_type=None),
        "size as a list": dict(VIT_NEW, size=[224, 224]),
        "resample 0": dict(VIT_NEW, resample=0), "resample 1": dict(VIT_NEW, resample=1), "resample 3": dict(VIT_NEW, resample=3), "resample 4": dict(VIT_NEW, resample=4),
        "do_normalize false": dict(VIT_NEW, do_normalize=False),
        "do_rescale false": dict(VIT_NEW, do_rescale=False),
        "rescale_factor 1/127.5": dict(VIT_NEW, rescale_factor=1 / 127.5),
        "mean as a number": dict(VIT_NEW, image_mean=0.45, image_std=0.22),
        "crop_size without do_center_crop": dict(VIT_NEW, crop_size=200),
        "do_center_crop of a ViT": dict(VIT_NEW, size={"shortest_edge": 256}, do_center_crop=True, crop_size=square(224)),
        "shortest edge, odd": dict(VIT_NEW, size={"shortest_edge": 231}, do_center_crop=True, crop_size=224),
        "shortest edge below the crop": dict(VIT_NEW, size={"shortest_edge": 201}, do_center_crop=True, crop_size=224),
        "squash below the crop": dict(VIT_NEW, size=square(201), do_center_crop=True, crop_size=square(224)),
        "processor of CLIP": CLIP_NEW, "processor of DINOv2": BIT, "processor of DeiT": dict(image_processor_type="DeiTImageProcessor"),
        "processor of BEiT": dict(NEW, **HALF, image_processor_type="BeitImageProcessor", crop_size=square(224), do_center_crop=False, do_reduce_labels=False, resample=2, size=square(224)),
        "processor of BEiT, nothing else": dict(feature_extractor_type="BeitFeatureExtractor"),
        "the model's config.json in its place": dict(VIT, id2label={"0": "a"}, architectures=["ViTForImageClassification"]),
        "processor of SigLIP": dict(image_processor_type="SiglipImageProcessor"),
        "processor of CLIP, size a number": dict(image_processor_type="CLIPImageProcessor", size=240),
        "do_resize false": dict(VIT_NEW, do_resize=False, do_center_crop=True, crop_size=224),
        "do_pad": dict(VIT_NEW, do_pad=True, pad_size=None),
        "valid keys listed": dict(VIT_NEW, _valid_processor_keys=["images", "do_resize"]),
    }
    for name, processor in spellings.items():
        cases["spelling: " + name] = ("ViTForImageClassification", tiny, processor)
    for name, kind in {"ConvNext": "ConvNextImageProcessor", "MobileViT": "MobileViTImageProcessor", "Vilt": "ViltImageProcessor",
                       "own": "MyImageProcessor"}.items():
        cases["processor of another family: " + name] = ("ViTForImageClassification", tiny, dict(NEW, **HALF, image_processor_type=kind, size=square(224)), dict(refused=True))
    cases["spelling: size without a crop"] = ("ViTForImageClassification", tiny, dict(VIT_NEW, size={"shortest_edge": 224}), dict(refused=True))
    cases["spelling: SigLIP, size a number"] = ("SiglipVisionModel", dict(model_type="siglip_vision_model", **tower(192, 3, 768, 224, 16)), dict(SIGLIP, size=224), dict(refused=True))
    cases["spelling: pad_size"] = ("ViTForImageClassification", tiny, dict(VIT_NEW, do_pad=True, pad_size=square(256)), dict(refused=True))
    cases["spelling: hamming"] = ("ViTForImageClassification", tiny, dict(VIT_NEW, resample=5), dict(refused=True))
    for act in ("gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate", "quick_gelu", "relu"):
        cases["activation " + act] = ("ViTForImageClassification", dict(tiny, hidden_act=act), VIT_NEW)
    for act in ("silu", "swish", "gelu_10", "mish"):
        cases["activation " + act] = ("ViTForImageClassification", dict(tiny, hidden_act=act), VIT_NEW, dict(refused=True))
    for form, more in {"processor_config alone": dict(nested="alone"), "processor_config and preprocessor_config": dict(nested="both"),
                       "old processor_config beside": dict(nested="old")}.items():
        cases["files: CLIP, " + form] = ("CLIPModel", clip(tower(256, 4, 1024, 224, 16)), dict(CLIP_NEW, size={"shortest_edge": 256}), more)
        cases["files: SigLIP, " + form] = ("SiglipModel", clip(tower(192, 3, 768, 224, 16), dict(model_type="siglip")), SIGLIP, more)
    for dtype in ("float16", "bfloat16"):
        cases["dtype: " + dtype] = ("ViTForImageClassification", dict(tiny, torch_dtype=dtype), VIT_NEW, dict(dtype=dtype))
        cases["dtype: CLIP, " + dtype] = ("CLIPModel", clip(tower(256, 4, 1024, 224, 16), dtype=dtype), CLIP_NEW, dict(dtype=dtype))
    cases["shards"] = ("ViTForImageClassification", tiny, VIT_NEW, dict(shards="1MB"))
    cases["no qkv bias"] = ("ViTForImageClassification", dict(tiny, qkv_bias=False), VIT_NEW)
    cases["architectures left out"] = ("ViTForImageClassification", tiny, VIT_NEW, dict(drop=["architectures"]))
    cases["heads and eps of the class"] = ("ViTForImageClassification", tiny | dict(hidden_size=192, num_attention_heads=12), VIT_NEW, dict(drop=["num_attention_heads", "layer_norm_eps", "patch_size", "image_size"]))
    cases["oblong"] = ("ViTForImageClassification", dict(tiny, image_size=[128, 256]), dict(VIT_NEW, size={"height": 128, "width": 256}))
    cases["input of another size than the model's"] = ("ViTForImageClassification", dict(tiny, image_size=224), dict(VIT_NEW, size=square(384)))
    cases["position_ids in the file"] = ("CLIPModel", clip(tower(256, 4, 1024, 224, 16)), CLIP_NEW, dict(extra={"vision_model.embeddings.position_ids": (1, 197)}))
    for name in ("vit_base_patch16_224.augreg2_in21k_ft_in1k", "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224", "vit_small_patch14_dinov2", "vit_giant_patch14_reg4_dinov2",
                 "vit_base_patch16_clip_224.openai_ft_in1k", "vit_base_patch16_siglip_224", "vit_small_patch16_384"):
        cases["wrapped: " + name] = ("TimmWrapperForImageClassification", dict(architecture=name, model_args=dict(depth=DEPTH), num_labels=7), None)
    cases["wrapped, no classifier: vit_tiny_patch16_224"] = ("TimmWrapperModel", dict(architecture="vit_tiny_patch16_224", model_args=dict(depth=DEPTH), num_labels=0), None)
    cases["wrapped: convnext_atto"] = ("TimmWrapperForImageClassification", dict(architecture="convnext_atto", num_labels=7), None, dict(refused=True))
    for name, kind in {"BeitForImageClassification": "beit", "Data2VecVisionForImageClassification": "data2vec-vision", "SwinForImageClassification": "swin", "Dinov3": None,
                       "YolosModel": "yolos", "DPTModel": "dpt", "Owlv2Model": "owlv2", "ViTForMaskedImageModeling": "vit", "MLCDVisionModel": "mlcd_vision_model", "PixioModel": "pixio"}.items():
        cls = "DINOv3ViTModel" if kind is None else name
        kind = kind or "dinov3_vit"
        if hasattr(transformers, cls):
            cases["another network: " + cls] = (cls, dict(model_type=kind), VIT_NEW, dict(refused=True))
    return cases


def todays(seven):
    """Families that came after ViT, DeiT, DINOv2, CLIP and SigLIP."""
    beit = lambda size, **fields: vit(size, **dict(dict(model_type="beit", use_relative_position_bias=True, use_shared_relative_position_bias=False, use_mask_token=False,
                                                        use_absolute_position_embeddings=False, layer_scale_init_value=0.1, use_mean_pooling=True, drop_path_rate=0.1), **fields))
    data2vec = lambda size, **fields: beit(size, **dict(dict(model_type="data2vec-vision"), **fields))
    dino3 = lambda size, **fields: dict(vit(size, **dict(dict(model_type="dinov3_vit", layer_norm_eps=1e-5, rope_theta=100.0, num_register_tokens=4, use_gated_mlp=False,
                                                              layerscale_value=1.0, query_bias=True, key_bias=False, value_bias=True, proj_bias=True, mlp_bias=True), **fields)))
    aim = dict(model_type="aimv2_vision_model", hidden_size=1024, num_attention_heads=8, intermediate_size=2816, image_size=224, patch_size=14, rms_norm_eps=1e-5,
               hidden_act="silu", qkv_bias=False, mlp_bias=False)
    intern = dict(model_type="internvl_vision", hidden_size=1024, num_attention_heads=16, intermediate_size=4096, image_size=[448, 448], patch_size=[14, 14], layer_norm_eps=1e-6,
                  attention_bias=True, use_qk_norm=False, norm_type="layer_norm", use_absolute_position_embeddings=True, use_mean_pooling=True, layer_scale_init_value=0.1, hidden_act="gelu")
    beits = dict(OLD, **HALF, crop_size=224, do_center_crop=False, feature_extractor_type="BeitFeatureExtractor", resample=2, size=224)
    dinos = dict(NEW, **IMAGENET, image_processor_type="DINOv3ViTImageProcessorFast", resample=2, size=square(224))
    return {
        "microsoft/beit-base-patch16-224": ("BeitForImageClassification", dict(beit("base"), **seven), beits),
        "microsoft/beit-large-patch16-384": ("BeitForImageClassification", dict(beit("large", image_size=384), **seven), dict(beits, crop_size=384, size=384)),
        "microsoft/beit-base-patch16-224-pt22k": ("BeitModel", beit("base", use_mean_pooling=False), beits),
        "facebook/data2vec-vision-base-ft1k": ("Data2VecVisionForImageClassification", dict(data2vec("base"), **seven), beits),
        "facebook/data2vec-vision-base": ("Data2VecVisionModel", data2vec("base"), beits),
        "facebook/dinov3-vits16-pretrain-lvd1689m": ("DINOv3ViTModel", dino3("small"), dinos),
        "facebook/dinov3-vitl16-pretrain-lvd1689m": ("DINOv3ViTModel", dino3("large"), dinos),
        "facebook/dinov3-vith16plus-pretrain-lvd1689m": ("DINOv3ViTModel", dino3("huge", use_gated_mlp=True, hidden_act="silu"), dinos),
        "facebook/dinov3-vits16plus, another size": ("DINOv3ViTModel", dino3("small", use_gated_mlp=True, hidden_act="silu"), dict(dinos, size=square(256))),
        "apple/aimv2-large-patch14-224": ("Aimv2VisionModel", dict(aim, use_head=True), CLIP_NEW),
        "OpenGVLab/InternVL3-1B-hf": ("InternVLVisionModel", intern, dict(NEW, **IMAGENET, image_processor_type="ViTImageProcessor", resample=3, size=square(448))),
    }


def hf_save(folder, kind, config, processor, more):
    """The model as save_pretrained writes it, under the spellings of the case."""
    cls = getattr(transformers, kind)
    if "architecture" in config:
        config = dict(config, pretrained_cfg=timm.get_pretrained_cfg(config["architecture"]).to_dict())
    if len(config) == 1:
        config = dict(small_config(cls), **config)
    raw = copy.deepcopy(config)
    if "vision_config" not in raw and "architecture" not in raw:
        raw.setdefault("num_hidden_layers", DEPTH)
    raw["architectures"] = [kind]
    with_class = copy.deepcopy(raw)
    for key in more.get("drop", ()):
        with_class.pop(key, None)
    for key in ("dtype", "torch_dtype"):
        with_class.pop(key, None)
    torch.manual_seed(1)
    model = cls(cls.config_class(**copy.deepcopy(with_class)))
    dtype = getattr(torch, more.get("dtype", "float32"))
    fill(model, dtype)
    model.to(dtype).save_pretrained(folder, **({"max_shard_size": more["shards"]} if "shards" in more else {}))
    if "extra" in more or "renamed" in more:
        path = os.path.join(folder, "model.safetensors")
        tensors = load_file(path)
        tensors.update({k: torch.arange(shape[1]).expand(shape).contiguous() for k, shape in more.get("extra", {}).items()})
        for pattern, text in more.get("renamed", {}).items():
            tensors = {re.sub(pattern, text, k): v for k, v in tensors.items()}
        save_file(tensors, path, {"format": "pt"})
    if "architecture" in config:
        return  # its own config.json is that of the pictures, too
    if len(config) > 1:
        for key in more.get("drop", ()):
            raw.pop(key, None)
        write(folder, "config.json", raw)
    hf_save_processor(folder, processor, more.get("nested"))


def small_config(cls):
    if "Swin" in cls.__name__:
        return {}
    size = [32, 32] if "Yolos" in cls.__name__ else 32
    return dict(hidden_size=48, num_attention_heads=3, intermediate_size=96, num_hidden_layers=DEPTH, image_size=size, patch_size=8)


def hf_save_processor(folder, processor, nested):
    whole = {"image_processor": processor, "processor_class": "CLIPProcessor"}
    if nested == "alone":
        write(folder, "processor_config.json", whole)
    elif nested == "both":  # the nested one wins
        write(folder, "processor_config.json", whole)
        write(folder, "preprocessor_config.json", dict(processor, image_mean=[0.1, 0.2, 0.3], resample=1))
    else:
        if nested == "old":
            write(folder, "processor_config.json", {"processor_class": "CLIPProcessor"})
        write(folder, "preprocessor_config.json", processor)


def write(folder, name, value):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, indent=2)


def hf_answer(folder, kind, pictures):
    cls = getattr(transformers, kind)
    eager = {} if "Wrapper" in kind else {"attn_implementation": "eager"}
    model = cls.from_pretrained(folder, dtype=torch.float32, **eager).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    out = []
    for path in pictures:
        made = processor(Image.open(path).convert("RGB"), return_tensors="pt")
        pixels = made["pixel_values"].float()
        more = {} if kind.startswith(("Dinov2", "TimmWrapper", "DINOv3", "Aimv2", "Beit", "Data2Vec", "InternVL")) or "ForImageClassification" in kind and kind.startswith("CLIP") else {"interpolate_pos_encoding": True}
        size = getattr(getattr(model.config, "vision_config", model.config), "image_size", None)
        if size in (pixels.shape[-1], list(pixels.shape[-2:])):
            more = {}
        with torch.no_grad():
            if "spatial_shapes" in made:
                answer = pick(model(**made), kind)
                pixels = from_patches(pixels, made["spatial_shapes"][0].tolist(), processor.patch_size)
            elif kind.endswith("ForPreTraining"):
                answer = model.vit(pixel_values=pixels, **more).last_hidden_state[:, 0]
            elif hasattr(model, "get_image_features"):
                o = model.get_image_features(pixel_values=pixels, **more)
                answer = o if isinstance(o, torch.Tensor) else o.pooler_output
            else:
                o = model(pixel_values=pixels, **more)
                answer = pick(o, kind)
        out.append((pixels.numpy(), answer.numpy()))
    names = [model.config.id2label[i] for i in range(answer.shape[1])] if "ForImage" in kind else None
    return out, [None if n.startswith("LABEL_") else n for n in names] if names else None  # which is no name


def from_patches(patches, shape, size):
    """The picture that NaFlex's patches make."""
    (h, w), count = shape, shape[0] * shape[1]
    return patches[0, :count].reshape(h, w, size, size, 3).permute(4, 0, 2, 1, 3).reshape(1, 3, h * size, w * size)


def pick(o, kind):
    if kind == "DeiTForImageClassificationWithTeacher" or "ForImageClassification" in kind:
        return o.logits
    if "Wrapper" in kind:
        return o.pooler_output
    if "WithProjection" in kind:
        return o.image_embeds
    if "CLIPVision" in kind or "Clip2Vision" in kind or "SiglipVision" in kind or "Siglip2Vision" in kind:
        return o.pooler_output
    if kind.startswith(("DINOv3", "Aimv2", "Beit", "Data2Vec")) and o.pooler_output is not None:
        return o.pooler_output
    if kind.startswith("Data2Vec"):
        return o.last_hidden_state[:, 1:].mean(1)  # without a pooler; what the classifiers' pooler reads
    return o.last_hidden_state.mean(1) if kind.startswith("IJepa") else o.last_hidden_state[:, 0]


# ---------------------------------------------------------------------------- open_clip

class NoTokenizer:
    def save_pretrained(self, folder):
        pass


def shallow(create):
    """timm.create_model, two blocks deep where the blocks are alike."""
    def build(name, *args, **kwargs):
        transformer = re.match(r"(vit|deit|eva|naflex)", name) and "relpos" not in name
        return create(name, *args, **(dict(kwargs, depth=DEPTH) if transformer else kwargs))
    return build


SMALL_TEXT = dict(context_length=8, vocab_size=64, width=32, heads=2, layers=1)


def open_clip_cases():
    cases = {}
    for path in sorted(glob.glob(os.path.join(os.path.dirname(open_clip.__file__), "model_configs", "*.json"))):
        config = json.load(open(path))
        name = os.path.splitext(os.path.basename(path))[0]
        vision = config["vision_cfg"]
        if "xxlarge" in name:  # two ConvNeXts of 3 GB
            continue
        own = not vision.get("timm_model_name") and isinstance(vision.get("layers", 12), int)
        trunk = re.match(r"(vit|deit|eva_giant|eva02)_(?!.*(mci_|hybrid))", vision.get("timm_model_name") or "")
        cases["open_clip: " + name] = (config, {}, bool(own or trunk) and not vision.get("attentional_pool"))
    b = {"embed_dim": 64, "vision_cfg": {"image_size": 224, "layers": 2, "width": 256, "patch_size": 16}, "text_cfg": {}}
    mine = lambda **v: dict(b, vision_cfg=dict(b["vision_cfg"], **v))
    for name, cfg in {"longest": dict(resize_mode="longest"), "longest, colour": dict(resize_mode="longest", fill_color=127), "squash": dict(resize_mode="squash", interpolation="bilinear"),
                      "bilinear": dict(interpolation="bilinear"), "random": dict(interpolation="random"), "size of preprocess_cfg": dict(size=256), "nulls": dict(mean=None, std=None, interpolation=None, resize_mode=None),
                      "mean 0.5": dict(mean=[0.5] * 3, std=[0.5] * 3), "longest, bilinear": dict(resize_mode="longest", interpolation="bilinear", fill_color=255)}.items():
        cases["open_clip preprocess: " + name] = (b, cfg, True)
    cases["open_clip preprocess: oblong"] = (mine(image_size=[224, 160]), {}, True)
    cases["open_clip preprocess: oblong, longest"] = (mine(image_size=[160, 224]), dict(resize_mode="longest", fill_color=9), True)
    cases["open_clip preprocess: oblong, squash"] = (mine(image_size=[160, 224]), dict(resize_mode="squash"), True)
    cases["open_clip: defaults of the tower"] = (dict(b, vision_cfg=dict(layers=2)), {}, True)
    trunk = dict(timm_model_name="vit_tiny_patch16_224", timm_model_pretrained=False, image_size=224)
    for name, v in {"timm_pool left out": {}, "avg": dict(timm_pool="avg"), "token": dict(timm_pool="token"), "pool of the network": dict(timm_pool=""),
                    "bias": dict(timm_pool="", timm_proj="linear", timm_proj_bias=True), "head of the network": dict(timm_pool="token", timm_proj=""),
                    "none": dict(timm_pool="token", timm_proj="none"), "avg, head of the network": dict(timm_pool="avg", timm_proj="")}.items():
        cases["open_clip trunk: " + name] = (dict(b, vision_cfg=dict(trunk, **v)), {}, True)
    cases["open_clip trunk: name with a tag"] = (dict(b, vision_cfg=dict(trunk, timm_model_name="vit_base_patch32_clip_quickgelu_224.openai", timm_pool="token")), {}, True)
    cases["open_clip trunk: mlp"] = (dict(b, vision_cfg=dict(trunk, timm_proj="mlp")), {}, False)
    cases["open_clip: microsoft/BiomedCLIP"] = (dict(b, vision_cfg=dict(timm_model_name="vit_base_patch16_224", timm_model_pretrained=False, timm_pool="", timm_proj="linear", image_size=224)), {}, True)
    cases["open_clip: quick_gelu with a trunk"] = (dict(b, quick_gelu=True, vision_cfg=dict(trunk, timm_pool="token")), {}, True)
    return cases


def open_clip_save(folder, config, preprocess, runs):
    config = copy.deepcopy(config)
    if "hf_model_name" in config["text_cfg"]:  # which implies it
        config["custom_text"] = True
    config["text_cfg"] = dict(SMALL_TEXT)
    if "multimodal_cfg" in config:
        config["multimodal_cfg"] = dict(SMALL_TEXT)
    if isinstance(config["vision_cfg"].get("layers"), int):
        config["vision_cfg"]["layers"] = DEPTH
    args = {k: v for k, v in config.items() if k in ("embed_dim", "vision_cfg", "text_cfg", "multimodal_cfg", "quick_gelu", "init_logit_bias")}
    torch.manual_seed(1)
    cls = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    model = cls(**copy.deepcopy(args))
    if runs:
        fill(model, torch.float32)
    open_clip.factory.set_model_preprocess_cfg(model, dict(vars(open_clip.transform.PreprocessCfg()), size=model.visual.image_size))
    save_for_hf(model, NoTokenizer(), config, folder, safe_serialization=True)
    path = os.path.join(folder, "open_clip_config.json")
    whole = json.load(open(path))
    whole["preprocess_cfg"].update(preprocess)
    write(folder, "open_clip_config.json", whole)


def open_clip_answer(folder, config, preprocess, pictures):
    model, transform = open_clip.create_model_from_pretrained("local-dir:" + folder)
    model.eval()
    out = []
    for path in pictures:
        pixels = transform(Image.open(path).convert("RGB"))[None]
        with torch.no_grad():
            answer = model.encode_image(pixels, normalize=False)
            unit = model.encode_image(pixels, normalize=True)
        assert torch.allclose(answer / answer.norm(dim=-1, keepdim=True), unit, atol=1e-6)
        out.append((pixels.numpy(), answer.numpy()))
    return out, None


# ---------------------------------------------------------------------------- the sweep

def difference(a, b):
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a.astype(np.float64) - b).max() / np.abs(b).max())


def judge(name, save, answer, runs, vitx, pictures):
    """"ok", "differs", "refused", "fails" and what there is to say; and whether that is as it should be."""
    folder = tempfile.mkdtemp()
    try:
        save(folder)
        try:
            got, names = vitx.run(folder, pictures)
        except Refused as e:
            return "refused", str(e).replace(folder + "/", ""), not runs
        try:
            expected, classes = answer(folder)
        except Exception as e:
            return "fails", f"{type(e).__name__}: {str(e)[:150]}", False
        pixels = max(difference(g[0], e[0]) for g, e in zip(got, expected))
        answers = max(difference(g[1], e[1]) for g, e in zip(got, expected))
        floats = 2e-5 if "dinov3" in name else 1e-6  # its processor resizes floats, in PyTorch
        same = answers <= TOLERANCE and pixels <= floats and names == (classes or [None] * len(names))
        return "ok" if same else "differs", f"answer {answers:.1e}, pixels {pixels:.1e}", same and runs
    finally:
        shutil.rmtree(folder)


def main():
    vitx, pictures, parts = Vitx(sys.argv[1]), sys.argv[2:4], sys.argv[4:]
    wanted = lambda name: not parts or any(p in name for p in parts)
    timm.create_model = shallow(timm.create_model)
    counts, wrong = {}, []
    todo = []
    for name, (kind, config, processor, *more) in hf_cases().items():
        more = more[0] if more else {}
        todo.append((name, lambda f, k=kind, c=config, p=processor, m=more: hf_save(f, k, c, p, m),
                     lambda f, k=kind: hf_answer(f, k, pictures), not more.get("refused")))
    for name, (config, preprocess, runs) in open_clip_cases().items():
        todo.append((name, lambda f, c=config, p=preprocess, r=runs: open_clip_save(f, c, p, r),
                     lambda f, c=config, p=preprocess: open_clip_answer(f, c, p, pictures), runs))
    for name, save, answer, runs in todo:
        if not wanted(name):
            continue
        try:
            verdict, text, good = judge(name, save, answer, runs, vitx, pictures)
        except Exception as e:
            verdict, text, good = "fails", f"not saved: {type(e).__name__}: {str(e)[:150]}", False
        counts[verdict] = counts.get(verdict, 0) + 1
        wrong += [] if good else [name]
        print(f"{'  ' if good else '! '}{name}: {verdict}: {text}", flush=True)
    print(counts, "not as it should be:", len(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
