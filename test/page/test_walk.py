"""A walk at random over pages of every kind and every level of what is embedded: keys, pointer,
controls, addresses. Nothing may fail on the way (lab.py sees what the console says), the page never
scrolls sideways, and the address says what is on the screen."""

import random

import make

KEYS = [
    "ArrowLeft",
    "ArrowRight",
    "ArrowUp",
    "ArrowDown",
    "Space",
    "[",
    "]",
    ",",
    ".",
    "0",
    "d",
    "o",
]
KEYS += ["-", "+", "m", "M", "1", "2", "3", "4", "5", "Escape", "Tab", "Enter", "Home", "End"]


def step(page, chance):
    kind = chance.choice(
        ("key", "key", "key", "patch", "head", "button", "select", "slide", "address")
    )
    if kind == "key":
        page.keyboard.press(chance.choice(KEYS))
    elif kind in ("patch", "head"):
        box = page.locator("#vx-patches" if kind == "patch" else "#vx-heads").bounding_box()
        if box:
            x, y = (
                box["x"] + box["width"] * chance.random(),
                box["y"] + box["height"] * chance.random(),
            )
            act = chance.choice((page.mouse.move, page.mouse.click, page.mouse.dblclick))
            act(x, y)
    elif kind == "button":
        page.probe("press", chance.random())
    elif kind == "select":
        page.probe("choose", chance.random(), chance.random())
    elif kind == "slide":
        page.probe("slide", chance.random(), chance.random())
    else:
        names = list(page.state())
        value = chance.choice((0, 1, 2, "mean", "class", "live", "bench", "wipe", 99))
        page.evaluate("f => { location.hash = f; }", f"#{chance.choice(names)}={value}")


def wander(lab, report, seed, steps):
    chance = random.Random(seed)
    page = lab.open(report, size=chance.choice(("phone", "tablet", "wide")))
    page.may_say = []
    page.locator("#vx-patches button").first.focus()
    done = 0
    for done in range(steps):
        step(page, chance)
        if page.said:
            break
        if done % 10 == 9:
            page.settle()
            wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], f"step {done}: scrolls sideways, {wide}, {page.state()}"
    assert not page.said, f"step {done}: {page.said[:2]}"
    page.keyboard.press("Escape")
    page.rest()
    state, fragment = page.state(), page.evaluate("location.hash")
    page.go(fragment)
    assert page.state() == state, (fragment, state, page.state())


def check_all_kinds(lab):
    for seed, name in enumerate(
        ("scenes", "siglip", "registers", "like", "oblong", "distilled", "map-class", "features")
    ):
        wander(lab, lab.page(name), seed, 60)


def check_all_levels(lab):
    for seed, level in enumerate(("mean", "class", "none")):
        more = ("--method", "generic,gradcam,saliency", "--target", "top2", "--embed", level)
        report = lab.make(f"level-{level}", *make.scenes("two.png", *more).all())
        wander(lab, report, 20 + seed, 80)


def check_many_pictures(lab):
    for seed in (30, 31):
        wander(lab, lab.page("many"), seed, 80)
