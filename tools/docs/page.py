"""page.py FOLDER PAGE: screenshots of the demo's page. Run by tools/docs/page.sh.

A shot is a size of the window, what the address says behind its #, and the part of the page that is
taken (None: what the window shows).
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER, PAGE = Path(sys.argv[1]), Path(sys.argv[2]).resolve()

# The classes of two.png: 10 is the cactus, 8 the fir tree.
SHOTS = {
    "report": dict(size=(1280, 800), at="p=1&map=hirescam&c=10"),
    "report.compare": dict(size=(1280, 900), at="p=1&map=hirescam&c=10&b=hirescam:8", part=".stage"),
    "report.heads": dict(size=(1280, 1200), at="p=1&q=57&l=3", part="#vx-attention"),
    "report.statistics": dict(size=(1280, 1200), at="st=distance", part="#vx-stats", open="#vx-stats"),
    "report.phone": dict(size=(360, 740), at="p=2&map=generic", dark=True, touch=True),
}


def shoot(browser, name, size, at, part=None, open=None, dark=False, touch=False):
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en",
        has_touch=touch,
        offline=True,
    )
    page = context.new_page()
    page.goto(f"{PAGE.as_uri()}#{at}")
    page.evaluate("() => window.vitx.ready")
    if open:
        page.locator(f"{open} > summary").click()
    page.wait_for_timeout(300)
    file = FOLDER / f"{name}.png"
    (page.locator(part) if part else page).screenshot(path=file)
    context.close()
    print(file, file.stat().st_size)


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["PAGE_BROWSER"])
        for name, shot in SHOTS.items():
            shoot(browser, name, **shot)
        browser.close()


main()
