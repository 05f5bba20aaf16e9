"""page.py FOLDER NAME=PAGE...: screenshots of pages. Run by tools/docs/page.sh.

A shot is the name of a page, the size of the window, what the address says behind its #, and the
part of the page that is taken (None: what the window shows).
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(sys.argv[1])
PAGES = dict(word.split("=", 1) for word in sys.argv[2:])
MARGIN = 16  # pixels round a part

# The classes of two.png: 10 is the cactus, 8 the fir tree. Token 52 is a patch of the cactus.
CACTUS = "p=1&map=hirescam&c=10"
SHOTS = {
    "report": dict(page="en", size=(1280, 800), at=CACTUS),
    "report.zh": dict(page="zh", size=(1280, 800), at=CACTUS),
    "report.compare": dict(page="en", size=(1280, 900), at=CACTUS + "&b=hirescam:8", part=".stage"),
    "report.heads": dict(page="en", size=(1280, 900), at="p=1&q=52&l=3", part="#vx-attention"),
    "report.statistics": dict(
        page="en", size=(1280, 900), at="st=distance", part="#vx-stats", unfold="#vx-stats"
    ),
    "gallery": dict(page="gallery", size=(1120, 560), at="sort=unsurest&map=1&low=30"),
    "report.phone": dict(page="en", size=(360, 740), at="p=2&map=generic", dark=True, touch=True),
}


def clip_of(page, part):
    box = page.locator(part).bounding_box()
    scroll = page.evaluate("() => scrollY")
    return {
        "x": max(0, box["x"] - MARGIN),
        "y": max(0, box["y"] + scroll - MARGIN),
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }


def shoot(browser, name, page, size, at, part=None, unfold=None, dark=False, touch=False):
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en",
        has_touch=touch,
        offline=True,
    )
    tab = context.new_page()
    tab.goto(f"{Path(PAGES[page]).resolve().as_uri()}#{at}")
    tab.wait_for_timeout(300)
    tab.evaluate("() => window.vitx.ready")
    if unfold:
        tab.locator(f"{unfold} > summary").click()
    tab.mouse.move(0, 0)
    tab.wait_for_timeout(300)  # the last frame
    file = FOLDER / f"{name}.png"
    if part:
        tab.screenshot(path=file, full_page=True, clip=clip_of(tab, part))
    else:
        tab.screenshot(path=file)
    context.close()
    print(file, file.stat().st_size)


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["PAGE_BROWSER"])
        for name, shot in SHOTS.items():
            shoot(browser, name, **shot)
        browser.close()


main()
