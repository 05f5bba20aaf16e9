"""Pages of every kind of model and picture: what each says of itself is true and can be used."""

import os
import subprocess

import make
import numpy as np


def used(lab, name, **options):
    """Opens a page, which lives and has the patches that its picture has."""
    page = lab.open(name, **options)
    p = page.report.picture()
    grid = page.locator("#vx-patches")
    assert grid.is_visible(), name
    cells = grid.locator("button").count()
    assert cells == p["grid"][0] * p["grid"][1] or cells == 0, (
        f"{name}: {cells} patches, grid {p['grid']}"
    )
    return page, p


def check_no_class_token(lab):
    for name in ("siglip", "no-class"):
        page, p = used(lab, name)
        assert p["prefix"] == 0
        text = page.locator("body").inner_text().lower()
        assert "class token" not in text, f"{name}: speaks of a class token, and there is none"


def check_units(lab):
    """Towers without classes: no table of classes, no word of a class."""
    for name in ("clip", "siglip", "like"):
        page, p = used(lab, name)
        assert (
            page.report.manifest["model"]["units"]
            and p["predictions"] == []
            and p["vector"]["norm"] > 0
        )
        text = page.locator("main").inner_text().lower()
        assert "unit" in text or "similar" in text, name
        assert "probability" not in text, f"{name}: a probability of what?"


def check_registers(lab):
    """Class token and registers are buttons, named as such; pressing one asks for its row."""
    page, p = used(lab, "registers")
    assert p["prefix"] == 5 and page.report.manifest["model"]["registers"] == 4
    for i in range(4):
        button = page.get_by_role("button", name=f"register {i}")
        assert button.count() >= 1 and button.first.is_visible(), f"register {i}"
    page.get_by_role("button", name="register 2").first.click()
    assert page.state()["q"] == 3, page.state()


def check_distillation_token(lab):
    page, p = used(lab, "distilled")
    assert p["prefix"] == 2
    assert page.get_by_role("button", name="distillation").count() >= 1


def check_pooling_head(lab):
    """SigLIP's own row, that of the head that pools, is there."""
    page, p = used(lab, "siglip")
    assert p["attention"]["pool"]
    truth = np.load(make.GOLDEN / "siglip-hf/attention_pool.npy")[0].reshape(3, -1)
    found = page.report.attention(p, "pool")[:, 0]
    assert np.abs(found - truth).max() < 0.01


def check_not_square(lab):
    """A grid of 3 by 10: rows are rows, and the picture keeps its shape."""
    page, p = used(lab, "oblong")
    gh, gw = p["grid"]
    assert gh != gw
    box = page.locator("#vx-patches").bounding_box()
    x0, y0, x1, y1 = p["seen"]
    assert abs(box["width"] / box["height"] - (x1 - x0) / (y1 - y0)) < 0.05, (box, p["seen"])
    first = page.locator("#vx-patches button").nth(0).bounding_box()
    last = page.locator("#vx-patches button").nth(gw - 1).bounding_box()
    below = page.locator("#vx-patches button").nth(gw).bounding_box()
    assert last["y"] == first["y"] and below["y"] > first["y"] + 2 and below["x"] == first["x"]


def check_fit_keep(lab):
    """A picture of 61 x 47 in patches of 8: the whole of it is an input of 64 x 48."""
    page, p = used(lab, "keep")
    assert p["input"] == [48, 64] and p["grid"] == [6, 8] and p["seen"] == [0, 0, 61, 47], p
    assert p["tokens"] == 49 != page.report.manifest["model"]["tokens"]
    a = page.report.attention(p, 2)
    row = np.array(page.call("row", 2, 1, 48))
    assert np.abs(row - a[1, 48]).max() < 1e-6


def check_photo(lab):
    """A photo of 768 x 576 of which the model saw a square: the grid lies on that square."""
    if lab.page("deit") is None:  # the real model is not here
        return
    page, p = used(lab, "deit")
    grid = page.locator("#vx-patches").bounding_box()
    photo = page.locator("svg image, img, canvas").filter(visible=True).first.bounding_box()
    x0, _, x1, _ = p["seen"]
    assert photo["width"] > grid["width"] - 2
    assert abs(grid["width"] / photo["width"] - (x1 - x0) / p["size"][0]) < 0.02, (grid, photo)
    assert abs((grid["x"] - photo["x"]) / photo["width"] - x0 / p["size"][0]) < 0.02, (grid, photo)


def check_twenty_pictures(lab):
    """Within the budget; each can be chosen, and has its own numbers."""
    page, _ = used(lab, "many")
    pictures = page.report.manifest["pictures"]
    assert len(pictures) == 20
    assert page.report.path.stat().st_size <= 4e6 * 1.02, page.report.path.stat().st_size
    for i in (0, 7, 19):
        other = lab.open("many", f"#p={i}")
        assert pictures[i]["name"] in other.locator("main").inner_text(), i
        held = next(l for l in range(6) if pictures[i]["attention"]["layers"][l]["class"])
        a = page.report.attention(pictures[i], held, "class")
        row = other.call("row", held, 0, "class")
        assert np.abs(np.array(row) - a[0, 0]).max() < 1e-6, i


def check_memory_of_twenty_pictures(lab):
    """A report of 20 pictures takes no more memory than one of 3, but for what the file holds."""
    recipe, peaks = make.RECIPES["many"](lab), []
    for count in (3, 20):
        path = lab.folder / f"memory-{count}.html"
        arguments = [*recipe.model, *recipe.more, "--quiet", "-o", path, *recipe.pictures[:count]]
        program = subprocess.Popen([lab.program, "explain", *map(str, arguments)])
        _, status, used_by_it = os.wait4(program.pid, 0)
        assert status == 0
        peaks.append(used_by_it.ru_maxrss / 1000)
    assert peaks[1] - peaks[0] < 8, f"peak memory {peaks} MB"


def check_1374_tokens(lab):
    """DINOv2 with registers at 518 px: under the budget, and the page says what is left out."""
    page, p = used(lab, "dinov2")
    assert p["tokens"] == 1374 and p["grid"] == [37, 37]
    assert page.report.path.stat().st_size <= 16e6 * 1.01, page.report.path.stat().st_size
    level = p["attention"]["level"]
    assert level in ("mean", "class") and p["attention"]["left_out"]
    assert "fit" in page.locator("body").inner_text(), "the page does not say what it lacks"
    for layer in (0, 11):
        for kind, head in (("mean", "mean"), ("class", 3)):
            a = page.report.attention(p, layer, kind)
            if a is None:
                continue
            query = 700 if kind == "mean" else "class"
            found = np.array(page.call("row", layer, head, query))
            assert np.abs(found - (a[0, 700] if kind == "mean" else a[3, 0])).max() < 1e-6, (
                layer,
                kind,
            )
    first = [l["all"] for l in p["attention"]["layers"]].index(None)
    assert page.call("row", first, 1, 700) is None, "a row that the file does not hold"


def check_left_out(lab):
    """What the budget left out is said in the reader's language, from the same facts."""
    found = set()
    for budget in ("0.3", "0.4", "0.7", "0.8"):
        recipe = make.scenes("two.png", "--method", "rollout", "--embed-budget", budget)
        r = lab.make(f"left-{budget}", *recipe.all())
        attention = r.picture()["attention"]
        layers, level = attention["layers"], attention["level"]
        means = [i for i, layer in enumerate(layers) if layer["mean"] is not None]
        full = level == "mean" and layers[-1]["all"] is not None
        some = len(means) if level == "class" else 0
        found.add((level, full or min(some, 2)))
        for locale, fit, last, many, one in (
            (
                "en-US",
                "do not fit",
                "Of the last layer it holds all heads",
                "of layers {} to {}",
                "of layer {1}.",
            ),
            (
                "zh-CN",
                "超出了文件的大小限额",
                "最后一层包含所有头",
                "第 {} 至 {} 层各头的平均",
                "第 {1} 层各头的平均",
            ),
        ):
            text = lab.open(r, locale=locale).locator("#vx-level").inner_text()
            ends = means[0] if means else 0, len(layers) - 1
            assert fit in text, text
            assert (last in text) == full, (budget, text)
            assert (many.format(*ends) in text) == (some > 1), (budget, text)
            assert (one.format(*ends) in text) == (some == 1), (budget, text)
            assert locale == "en-US" or "The" not in text, text
    assert found == {("class", 1), ("class", 2), ("mean", False), ("mean", True)}, found


def check_embed_none(lab):
    """Without attention the page is still one of maps."""
    r = lab.make("none", *make.golden("vit-timm", "--method", "generic", "--embed", "none").all())
    assert r.picture()["attention"] is None or r.picture()["attention"]["level"] == "none"
    page = lab.open(r)
    assert page.locator("#vx-patches").is_visible()


def check_chinese(lab):
    """By --lang, whatever the browser speaks; the names of the classes are Chinese, too."""
    r = lab.make("zh", *make.scenes("two.png", "--method", "generic,rollout", "--lang", "zh").all())
    assert r.manifest["lang"] == "zh"
    page = lab.open(r)  # an English browser
    assert page.tab.evaluate("document.documentElement.lang").startswith("zh")
    text = page.locator("body").inner_text()
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    assert han > 150, han
    assert any("\u4e00" <= c <= "\u9fff" for c in r.picture()["predictions"][0]["label"])
