"""What the file holds, read without a browser: against what the models' own libraries answer
(test/golden/models), and against the .npy that vitx-cli writes."""

import base64
import hashlib
import re

import make
import numpy as np
from report import step

# Every way of pooling, prefix tokens from none to five, patches and inputs that are not square.
GOLDEN = [
    "vit-timm",
    "clip-hf",
    "siglip-hf",
    "siglip-big-vision",
    "vit-timm-map-class",
    "vit-timm-map-registers",
    "dinov2-hf-registers-swiglu",
    "dinov2-hf-bare",
    "vit-timm-oblong",
    "vit-timm-no-class-token",
    "deit-timm-distilled",
    "vit-npz",
]


def within(found, truth, prefix, what):
    over = np.abs(found - truth) / step(truth, prefix)
    assert over.max() <= 1, (
        f"{what}: {over.max():.2f} of the coding's step at {over.argmax()} of {over.shape}"
    )


def check_attention_is_the_librarys(lab):
    for name in GOLDEN:
        r = lab.make(f"golden-{name}", *make.golden(name).all())
        p, folder = r.picture(), make.GOLDEN / name
        layers = r.manifest["model"]["layers"]
        for layer in range(layers):
            truth = np.load(folder / f"attention_{layer}.npy")[0].astype(np.float64)
            within(r.attention(p, layer), truth, p["prefix"], f"{name}, layer {layer}")
        pool = folder / "attention_pool.npy"
        assert (r.attention(p, "pool") is not None) == pool.exists(), f"{name}: pooling head"
        if pool.exists():
            truth = np.load(pool)[0].astype(np.float64).reshape(r.manifest["model"]["heads"], 1, -1)
            within(r.attention(p, "pool"), truth, p["prefix"], f"{name}, pooling head")


def check_attention_is_the_clis(lab):
    """Every layer and head, several queries, of the bundled model; DeiT-tiny if it is there."""
    for name in ("scenes", "deit"):
        r = lab.page(name)
        if r is None:  # the real model is not here
            continue
        p, (gh, gw) = r.picture(), r.picture()["grid"]
        for query in ("cls", "0,0", "3,9", f"{gh - 1},{gw - 1}"):
            maps = lab.array(
                *r.recipe.source(),
                "--method",
                "attention",
                "--layer",
                "all",
                "--head",
                "all",
                "--query",
                query,
            )
            token = (
                0
                if query == "cls"
                else p["prefix"] + int(query.split(",")[0]) * gw + int(query.split(",")[1])
            )
            for layer, heads in enumerate(maps):
                found = r.attention(p, layer)[:, token, p["prefix"] :]
                within(
                    found, heads.reshape(len(heads), -1), 0, f"{name}, query {query}, layer {layer}"
                )


def check_maps_are_the_clis(lab):
    for name in ("scenes", "plain", "oblong", "clip", "siglip"):
        r = lab.page(name)
        p = r.picture()
        assert p["maps"], name
        for i, m in enumerate(p["maps"]):
            if m["method"] == "features":
                continue
            which = {"class": "--target", "unit": "--unit"}[m["explains"]]
            target = [] if m["target"] is None else [which, m["target"]]
            truth = lab.array(*r.recipe.source(), "--method", m["method"], *target)
            if truth.ndim > len(m["shape"]):
                truth = truth.reshape(m["shape"])
            found, bound = r.map(p, i), np.abs(truth).max() * 1e-5
            if m["code"] == "f16":
                bound += np.abs(truth) * 2.0**-11 + 2.0**-25
            assert found.shape == truth.shape, (name, m["method"], found.shape, truth.shape)
            assert (np.abs(found - truth) <= bound).all(), (
                f"{name}, {m['method']}: {np.abs(found - truth).max()}"
            )
            assert np.isclose(m["max"], truth.max(), rtol=1e-4) and np.isclose(
                m["min"], truth.min(), rtol=1e-4, atol=1e-9
            )


def check_rollout_from_the_coded_attention(lab):
    """What report.py computes from the file, as the page does, is near the method."""
    r = lab.page("scenes")
    p = r.picture()
    for start, fuse, discard in make.ROLLOUTS:
        settings = [f"start={start}", f"fuse={fuse}", f"discard={discard}"]
        given = [word for s in settings for word in ("--set", s)]
        truth = lab.array(*r.recipe.source(), "--method", "rollout", *given).reshape(-1)
        found = r.rollout(p, slice(0, 1), start, fuse, discard)
        error = np.abs(found - truth).max() / truth.max()
        assert error <= make.ROLLOUT_BOUND, f"{' '.join(settings)}: {error:.4%}"


def check_two_runs_give_the_same_bytes(lab):
    one, two = lab.folder / "same-1.html", lab.folder / "same-2.html"
    for path in (one, two):
        lab.cli(
            "explain",
            "--quiet",
            "--threads",
            1 + (path == two),
            "-o",
            path,
            *make.RECIPES["plain"](lab).all(),
        )
    a, b = one.read_bytes(), two.read_bytes()
    # The command that makes the page names the file; the rest must not differ.
    a, b = (re.sub(rb"same-[12]|--threads [12] ?", b"", x) for x in (a, b))
    assert a == b


def check_policy_is_that_of_the_bytes(lab):
    """The hashes of the policy are those of the style and the script that stand in the file."""
    r = lab.page("plain")
    policy = dict((d.split(" ", 1) + [""])[:2] for d in re.split(r"; *", r.outline.policy))
    assert policy.keys() >= {
        "default-src",
        "script-src",
        "style-src",
        "img-src",
        "base-uri",
        "form-action",
    }
    for what in ("default-src", "base-uri", "form-action"):
        assert policy[what].strip() == "'none'", policy
    assert policy["img-src"].strip() == "data:", policy
    for tag, what in (("script", "script-src"), ("style", "style-src")):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>".encode(), r.bytes, re.S)
        assert len(body) == 1, f"{len(body)} <{tag}> without attributes"
        digest = base64.b64encode(hashlib.sha256(body[0]).digest()).decode()
        assert policy[what].strip() == f"'sha256-{digest}'", (what, policy)


def check_nothing_is_inline(lab):
    """No handler, no style, no frame, no address other than data: and fragments."""
    for tag, attrs in lab.page("scenes").outline.tags:
        assert not [a for a in attrs if a.startswith("on") or a in ("style", "srcdoc")], (
            tag,
            attrs,
        )
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, name, value[:80])
        assert tag not in ("iframe", "object", "embed", "base", "link"), tag
