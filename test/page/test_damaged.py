"""Files that were damaged on their way, and contents beyond what anybody would make."""

import json
import re

import make
import numpy as np
from report import Report


def rewritten(lab, name, change, source="scenes"):
    """A copy of a page: change(manifest, blocks) may alter both; blocks are the texts by id."""
    r = lab.page(source)
    manifest = json.loads(r.outline.scripts["vx-report"])
    blocks = {k: v for k, v in r.outline.scripts.items() if k.startswith("vx-b")}
    change(manifest, blocks)
    text = json.dumps(manifest).replace("<", "\\u003c")
    page = re.sub(
        r'(id="(vx-b\d+|vx-report)">)[^<]*',
        lambda m: m[1] + (text if m[2] == "vx-report" else blocks[m[2]]),
        r.text,
    )
    path = lab.folder / f"{name}.html"
    path.write_text(page, encoding="utf-8")
    return path


def opened(lab, path, **options):
    report = lab.page("scenes")
    page = lab.open(report, size=(1440, 900), **options)
    page.url0 = path.resolve().as_uri()
    page.tab.goto(page.url0)
    page.ready()
    page.requests = [u for u in page.requests if u == page.url0]
    return page


def failed(page):
    line = page.locator("#vx-failed")
    return line.inner_text() if line.is_visible() else ""


def still_usable(page):
    """Another class, another map, the keys."""
    page.locator("#vx-targets button:enabled").nth(1).click()
    page.locator("#vx-methods button:enabled").first.click()
    page.locator("#vx-patches button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.settle()
    assert page.locator("#vx-legend canvas").count() == 1


def check_damaged_blocks_are_named(lab):
    def flip(text):  # one character of base64, so that the length is what it was
        at = len(text) * 2 // 3
        return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]

    ways = {
        "flip": flip,
        "cut": lambda text: text[: len(text) // 2 // 4 * 4],
        "no-base64": lambda text: "!" + text[1:],
        "empty": lambda text: "",
    }
    for way, damage in ways.items():

        def change(manifest, blocks, damage=damage):
            p = manifest["pictures"][0]
            for block in (p["maps"][2]["block"], p["attention"]["layers"][2]["all"]):
                blocks[block] = damage(blocks[block])

        page = opened(lab, rewritten(lab, f"damaged-{way}", change))
        said = failed(page)
        name = page.report.picture()["maps"][2]["method"]
        assert name in said and "layer 2" in said and "layer 3" not in said, (way, said)
        still_usable(page)
        assert page.call("row", 2, 0, 5) is None, way
        assert page.call("row", 3, 0, 5) is not None, way
        assert page.call("rollout", {}) is None, way
        zh = opened(lab, rewritten(lab, f"damaged-{way}", change), locale="zh-CN")
        assert "已损坏" in failed(zh), failed(zh)


def check_every_flip_is_found(lab):
    """Wherever a block is damaged: never other numbers without a word."""
    rng = np.random.default_rng(5)
    whole = lab.page("scenes").outline.scripts
    block = lab.page("scenes").picture()["attention"]["layers"][5]["all"]
    for i in range(8):
        at = int(rng.integers(0, len(whole[block]) - 4))

        def change(manifest, blocks, at=at):
            text = blocks[block]
            blocks[block] = text[:at] + ("z" if text[at] != "z" else "y") + text[at + 1 :]

        page = opened(lab, rewritten(lab, f"flip-{i}", change))
        assert "layer 5" in failed(page), (at, failed(page))


def check_damaged_manifest_leaves_the_still(lab):
    r = lab.page("scenes")
    path = lab.folder / "manifest.html"
    path.write_text(r.text.replace('id="vx-report">{', 'id="vx-report">{{'), encoding="utf-8")
    page = lab.open(r)
    page.tab.goto(path.resolve().as_uri())
    assert page.locator("#vx-damaged").is_visible() and page.locator("#vx-viewer").is_hidden()
    assert page.locator(".still table.predictions").first.is_visible()
    page.requests = [u for u in page.requests if u == page.url0]


def check_no_maps_and_no_attention(lab):
    def bare(manifest, blocks):
        manifest["pictures"][0]["maps"] = []

    def nothing(manifest, blocks):
        bare(manifest, blocks)
        manifest["pictures"][0]["attention"] = manifest["stats"] = None

    for name, change in (("bare", bare), ("nothing", nothing)):
        page = opened(lab, rewritten(lab, name, change))
        assert failed(page) == ""
        assert page.locator("#vx-photo").is_visible()
        assert page.locator("#vx-targets button.answer").count() == 5
        page.unfold()
        page.locator("#vx-patches button[tabindex='0']").focus()
        for key in ("ArrowRight", "m", "[", "]", ",", ".", "0", "d", "o", "1", "Space", "Escape"):
            page.keyboard.press(key)
            page.settle()


def check_names_of_any_length(lab):
    """Class names of 50 kB, a title of 100 kB, names alike, right to left, and emoji."""
    name = "مرحبا \U0001f436\u202e gpj.日本 " * 2000

    def change(manifest, blocks):
        manifest["title"] = "A title " * 12500
        p = manifest["pictures"][0]
        p["name"] = name
        for t in p["predictions"]:
            t["label"] = name
        for m in p["maps"]:
            m["label"] = name

    page = opened(lab, rewritten(lab, "long-names", change))
    page.unfold()
    for size in ((360, 740), (1440, 900)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.settle()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{wide} pixels of {size[0]}"
        assert page.evaluate("document.documentElement.scrollHeight") < 20000
        assert page.locator("h1").bounding_box()["height"] < 400
    loose = page.probe("loose", "\u202e")
    assert not loose, loose
    still_usable(page)


def check_a_thousand_maps(lab):
    """As many maps as --target top100 with ten kinds: one class at a time is shown."""

    def change(manifest, blocks):
        p = manifest["pictures"][0]
        one = next(m for m in p["maps"] if m["method"] == "gradcam")
        p["maps"] = [
            {**one, "target": t, "label": f"class {t}", "layer": layer}
            for t in range(100)
            for layer in range(10)
        ]

    page = opened(lab, rewritten(lab, "thousand", change))
    assert page.locator("#vx-methods button").count() == 11
    start = page.evaluate("performance.now()")
    page.locator("#vx-targets button:enabled").nth(60).click()
    page.keyboard.press("m")
    page.settle()
    assert page.evaluate("performance.now()") - start < 3000


def check_extreme_pictures(lab):
    """A picture of one row, and of one column: all of it can be seen and pointed at."""
    for name, size in (("row", (65535, 1)), ("column", (1, 65535))):
        path = lab.folder / f"{name}.ppm"
        path.write_bytes(b"P6 %d %d 255\n" % size + bytes(range(255)) * (65535 // 85))
        page = lab.open(lab.make(f"extreme-{name}", "--fit", "pad", "--method", "rollout", path))
        box = page.locator("#vx-frame").bounding_box()
        assert min(box["width"], box["height"]) >= 40, box
        assert max(box["width"], box["height"]) <= 1440, box
        with page.expect_download() as got:
            page.locator("#vx-png").click()
        assert got.value.path().stat().st_size > 1000
        page.requests = [u for u in page.requests if not u.startswith("blob:")]


def check_back_and_forward(lab):
    """Fragments that were opened by hand are in the history; back shows them again."""
    page = lab.open("scenes", "#l=2&h=1")
    page.evaluate("location.hash = '#l=4&h=3'")
    page.rest()
    page.locator("#vx-opacity").focus()
    page.keyboard.press("ArrowLeft")
    page.rest()
    page.go_back()
    page.rest()
    assert (page.state()["l"], page.state()["h"]) == (2, 1), page.state()
    page.go_forward()
    page.rest()
    state = page.state()
    assert (state["l"], state["h"], state["a"]) == (4, 3, 60), state


def check_pictures_of_one_name(lab):
    """Two pictures that are called alike are two."""
    picture = make.SCENES / "one.png"
    other = lab.folder / "other"
    other.mkdir(exist_ok=True)
    (other / "one.png").write_bytes((make.SCENES / "two.png").read_bytes())
    page = lab.open(lab.make("twins", "--method", "generic", picture, other / "one.png"))
    buttons = page.locator("#vx-strip button")
    assert buttons.count() == 2
    first = page.call("map", 0)
    buttons.nth(1).click()
    page.ready()
    page.settle()
    assert page.state()["p"] == 1 and page.call("map", 0) != first
    assert isinstance(page.report, Report)
