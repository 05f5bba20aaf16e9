"""Used by hand: keys alone, a finger, the pointer, and a link that says what is on the screen."""


def grid(page):
    return page.locator("[role=grid]").first


def at_grid(page):
    page.locator("[role=grid] button[tabindex='0']").first.focus()


def changed(page, act, *keys):
    """The keys of the state that act changes; those in `keys` must be among them."""
    before = page.state()
    act()
    page.settle()
    after = page.state()
    names = {k for k in after if after[k] != before[k]}
    assert names >= set(keys), f"changed {names or 'nothing'}, expected {keys}"
    return after


# -------------------------------------------------------------------- keys -------------------
def check_keys(lab):
    """The whole tour without a pointer: patch, layer, head, pin, map, overlay, query, class."""
    page = lab.open("scenes")
    press = lambda key: lambda: page.keyboard.press(key)
    at_grid(page)
    changed(page, press("ArrowRight"), "t")
    changed(page, press("ArrowDown"), "t")
    changed(page, press("["), "l")
    changed(page, press("]"), "l")
    changed(page, press("."), "h")
    changed(page, press(","), "h")
    changed(page, press("Space"))
    changed(page, press("m"), "map")
    changed(page, press("-"), "a")
    changed(page, press("+"), "a")
    changed(page, press("o"), "o")
    changed(page, press("0"), "q")
    label = page.report.picture()["predictions"][1]["label"]
    page.keyboard.press("2")
    page.settle()
    pressed = page.locator(
        "[aria-pressed=true], [aria-current=true], [aria-checked=true], [aria-selected=true]"
    )
    assert label in " ".join(pressed.all_inner_texts()), f"class 2 ({label}) is not chosen"


def check_arrows_stay_inside(lab):
    page = lab.open("plain")
    at_grid(page)
    for key, cell in (("ArrowLeft", 0), ("ArrowUp", 0)):
        for _ in range(9):
            page.keyboard.press(key)
    first = page.evaluate(
        "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
    )
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(9):
            page.keyboard.press(key)
    last = page.evaluate(
        "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
    )
    assert "1" in first and "5" in last and first != last, (first, last)


def check_keys_only_where_the_viewer_has_the_focus(lab):
    """One letter outside of the viewer does nothing (WCAG 2.1.4)."""
    page = lab.open("scenes")
    before = page.state()
    page.evaluate("document.activeElement.blur()")
    for key in ("m", "]", "o", "2", "."):
        page.keyboard.press(key)
    page.settle()
    assert page.state() == before, (before, page.state())


def check_page_scrolls_by_keys(lab):
    page = lab.open("scenes", size="phone")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") > 100


# -------------------------------------------------------------------- pointer ----------------
def patch(page, row, column):
    p = page.report.picture()
    box = grid(page).bounding_box()
    gh, gw = p["grid"]
    return box["x"] + box["width"] * (column + 0.5) / gw, box["y"] + box["height"] * (
        row + 0.5
    ) / gh


def check_hover_and_lock(lab):
    """The pointer previews, a click pins: the pin stays when the pointer goes on."""
    page = lab.open("scenes")
    p = page.report.picture()
    token = lambda r, c: p["prefix"] + r * p["grid"][1] + c
    page.mouse.move(*patch(page, 3, 4))
    page.settle()
    assert page.evaluate("window.vitx.shown().query") == token(3, 4)
    page.mouse.move(*patch(page, 5, 6))
    page.settle()
    assert page.evaluate("window.vitx.shown().query") == token(5, 6)
    page.mouse.click(*patch(page, 5, 6))
    page.mouse.move(*patch(page, 9, 9))
    page.settle()
    assert page.evaluate("window.vitx.shown().query") == token(5, 6), "the pin does not hold"


# -------------------------------------------------------------------- touch ------------------
def phone(lab, name="scenes", fragment=""):
    return lab.open(name, fragment, size="phone", has_touch=True, is_mobile=True)


def check_tap_pins_and_frees(lab):
    page = phone(lab)
    p = page.report.picture()
    before = page.state()
    page.touchscreen.tap(*patch(page, 3, 4))
    page.settle()
    pinned = page.state()
    assert pinned != before and int(pinned["t"]) == p["prefix"] + 3 * p["grid"][1] + 4, pinned
    page.touchscreen.tap(*patch(page, 3, 4))
    page.settle()
    freed = page.state()
    assert freed["t"] == before["t"], (before, freed)


def check_finger_scrolls_the_page(lab):
    """A finger that moves over the picture scrolls the page and pins nothing."""
    page = phone(lab)
    before = page.state()
    x, y = patch(page, 9, 7)
    cdp = page.context.new_cdp_session(page.tab)
    cdp.send(
        "Input.synthesizeScrollGesture",
        {"x": x, "y": y, "yDistance": -200, "gestureSourceType": "touch"},
    )
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") > 100, page.evaluate("scrollY")
    assert page.state() == before
    assert not page.probe("noTouch"), page.probe("noTouch")


def check_zoom_is_allowed(lab):
    viewport = lab.open("plain").locator("meta[name=viewport]").get_attribute("content")
    assert "user-scalable" not in viewport and "maximum-scale" not in viewport


# -------------------------------------------------------------------- fragment ---------------
def check_fragment_round_trip(lab):
    """What was done by hand comes back from the address."""
    page = lab.open("scenes")
    at_grid(page)
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Space", "[", "[", ".", "m", "-", "-"):
        page.keyboard.press(key)
        page.settle()
    page.wait_for_timeout(400)
    state, fragment = page.state(), page.evaluate("location.hash")
    assert len(fragment) > 5
    again = lab.open("scenes", fragment)
    assert again.state() == state, (fragment, state, again.state())


def check_history_is_not_filled(lab):
    page = lab.open("scenes")
    length = page.evaluate("history.length")
    at_grid(page)
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert page.evaluate("history.length") == length


def check_fragment_of_another_hand(lab):
    """A change of the address alone is followed, as by a link."""
    page = lab.open("scenes", "#l=2&h=1")
    assert (str(page.state()["l"]), str(page.state()["h"])) == ("2", "1"), page.state()
    page.evaluate("location.hash = '#l=4&h=3'")
    page.wait_for_timeout(200)
    assert (str(page.state()["l"]), str(page.state()["h"])) == ("4", "3"), page.state()


# -------------------------------------------------------------------- export -----------------
def check_export(lab):
    """PNG and JSON of the view: the numbers are those of the map."""
    import json

    page = lab.open("scenes")
    for what, head in (("PNG", b"\x89PNG"), ("JSON", b"{")):
        with page.expect_download() as got:
            page.get_by_role("button", name=what).first.click()
        path = lab.folder / f"export-{what}"
        got.value.save_as(path)
        content = path.read_bytes()
        assert content.startswith(head), (what, content[:20])
        if what == "JSON":
            values = json.loads(content)
            flat = [
                v for row in values["values"] for v in (row if isinstance(row, list) else [row])
            ]
            truth = page.report.map(page.report.picture(), 0).reshape(-1)
            assert len(flat) == len(truth) and max(abs(a - b) for a, b in zip(flat, truth)) < 1e-5
    page.requests = [u for u in page.requests if not u.startswith("blob:")]
