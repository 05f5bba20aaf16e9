"""Sizes of window, dark, motion: nothing scrolls sideways, nothing lies over another thing, what is
to be tapped is large enough."""

import itertools

PAGES = ["scenes", "clip", "registers", "many", "oblong"]


def overlaps(page):
    pieces = page.probe("pieces")
    assert len(pieces) > 10
    for a, b in itertools.combinations(pieces, 2):
        if (
            a["path"].startswith(b["path"])
            or b["path"].startswith(a["path"])
            or a["floats"] != b["floats"]
        ):
            continue
        w = min(a["x1"], b["x1"]) - max(a["x0"], b["x0"])
        h = min(a["y1"], b["y1"]) - max(a["y0"], b["y0"])
        if w > 2 and h > 2:
            yield f"{a['html']} and {b['html']} by {w:.0f} x {h:.0f}"


def fits(page, what):
    wide = page.tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"{what}: scrolls sideways, {wide[0]} in {wide[1]}"
    over = list(overlaps(page))
    assert not over, f"{what}: {len(over)} overlap: {over[:3]}"


def check_widths(lab):
    for name in PAGES:
        for width, height in ((360, 740), (768, 1024), (1440, 900)):
            for locale in ("en-US", "zh-CN") if name == "scenes" else ("en-US",):
                page = lab.open(name, size=(width, height), locale=locale)
                fits(page, f"{name} at {width}, {locale}")
                page.unfold()
                fits(page, f"{name} at {width}, {locale}, unfolded")


def check_narrowest_and_widest(lab):
    """320 is what 1280 is at a zoom of 400 % (WCAG 1.4.10)."""
    for width in (320, 2560):
        page = lab.open("scenes", size=(width, 800))
        page.unfold()
        fits(page, f"at {width}")


def check_turned_phone(lab):
    page = lab.open("scenes", size=(740, 360), has_touch=True, is_mobile=True)
    fits(page, "turned phone")


def check_tap_targets(lab):
    """At least 24 by 24 (WCAG 2.5.8) for all but the patches, which the picture makes."""
    page = lab.open("scenes", size="phone", has_touch=True, is_mobile=True)
    page.unfold()
    small = page.probe("small", 24)
    assert not small, small


def check_picture_is_in_sight(lab):
    """What the page is about can be seen without scrolling."""
    for size in ("phone", "tablet", "wide"):
        page = lab.open("scenes", size=size)
        box = page.locator("#vx-patches").bounding_box()
        assert box["y"] < page.tab.viewport_size["height"] * 0.5, (size, box)
        assert box["width"] > 250, (size, box)


def check_dark(lab):
    assert lab.open("scenes", color_scheme="light").probe("luminance") > 0.8
    assert lab.open("scenes", color_scheme="dark").probe("luminance") < 0.2


def check_reduced_motion(lab):
    page = lab.open("scenes", reduced_motion="reduce")
    moving = page.probe("moving")
    assert not moving, moving[:3]
    page.locator("#vx-patches button[tabindex='0']").focus()
    for key in ("ArrowRight", "]", "m"):
        page.keyboard.press(key)
    assert page.tab.evaluate("document.getAnimations().length") == 0


def check_large_letters(lab):
    """Letters of twice the size, as a reader may set them."""
    page = lab.open("scenes", size=(1440, 900))
    page.context.new_cdp_session(page.tab).send(
        "Emulation.setDeviceMetricsOverride",
        {"width": 720, "height": 450, "deviceScaleFactor": 2, "mobile": False},
    )
    page.settle()
    fits(page, "zoom of 200 %")
