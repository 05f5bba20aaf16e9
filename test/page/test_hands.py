"""Used by hand: keys alone, a finger, the pointer, and a link that says what is on the screen."""

import json

import numpy as np


def grid(page):
    return page.locator("#vx-patches")


def at_grid(page):
    page.locator("#vx-patches button[tabindex='0']").focus()


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

    def press(key):
        return lambda: page.keyboard.press(key)

    at_grid(page)
    for key, place in (("ArrowRight", "row 0, column 1"), ("ArrowDown", "row 1, column 1")):
        page.keyboard.press(key)
        page.settle()
        assert page.locator("#vx-tip").inner_text().startswith(place), page.locator(
            "#vx-tip"
        ).inner_text()
    p = page.report.picture()
    pinned = changed(page, press("Space"), "q")
    assert pinned["q"] == p["prefix"] + p["grid"][1] + 1, pinned
    changed(page, press("["), "l")
    changed(page, press("]"), "l")
    changed(page, press("."), "h")
    changed(page, press("."), "h")
    changed(page, press(","), "h")
    changed(page, press("d"), "d")
    changed(page, press("0"), "q")
    changed(page, press("m"), "map")
    changed(page, press("-"), "a")
    changed(page, press("+"), "a")
    changed(page, press("o"), "on")
    changed(page, press("o"), "on")
    after = changed(page, press("2"), "c")
    assert after["c"] == str(p["predictions"][1]["index"])
    pressed = page.locator("#vx-targets button[aria-pressed=true]")
    assert p["predictions"][1]["label"] in pressed.inner_text()


def check_facts_say_what_they_are(lab):
    """What a head's second figure is follows the direction, and so does its explanation."""
    page = lab.open("scenes")
    line = page.locator("#vx-cards .fact").nth(1)
    at_grid(page)
    for direction, name, tip in (("to", "entropy", "Entropy of"), ("by", "receives", "Sum over")):
        if page.state()["d"] != direction:
            page.keyboard.press("d")
            page.settle()
        said = line.locator(".key").text_content(), line.get_attribute("title")
        assert said[0] == name and said[1].startswith(tip), said


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
    assert (first, last) == ("row 0, column 0", "row 4, column 4"), (first, last)


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
    page.until("scrollY > 100")


# -------------------------------------------------------------------- pointer ----------------
def patch(page, row, column):
    p = page.report.picture()
    box = grid(page).bounding_box()
    gh, gw = p["grid"]
    return box["x"] + box["width"] * (column + 0.5) / gw, box["y"] + box["height"] * (
        row + 0.5
    ) / gh


def check_hover_and_pin(lab):
    """The pointer previews, a click pins, another frees: caption, legend and heads follow."""
    page = lab.open("scenes", "#map=live&l=3&h=1")
    p = page.report.picture()
    caption = page.locator("#vx-caption")
    for row, column in ((3, 4), (5, 6)):
        page.mouse.move(*patch(page, row, column))
        page.settle()
        assert f"row {row}, column {column}" in caption.inner_text(), caption.inner_text()
        heads_say(page, p["prefix"] + row * p["grid"][1] + column, 3)
    page.mouse.click(*patch(page, 5, 6))
    page.mouse.move(5, 5)
    page.settle()
    assert "row 5, column 6" in caption.inner_text(), "the pin does not hold"
    assert page.state()["q"] == p["prefix"] + 5 * p["grid"][1] + 6
    heads_say(page, page.state()["q"], 3)
    page.mouse.click(*patch(page, 5, 6))
    page.mouse.move(5, 5)
    page.settle()
    assert page.state()["q"] == "class"
    heads_say(page, 0, 3)


def heads_say(page, query, layer):
    """Largest weight, entropy and share of prefix tokens under each head are those of its row."""
    p = page.report.picture()
    a = page.report.attention(p, layer)[:, query]
    figures = page.locator("#vx-cards .card").all()
    assert len(figures) == len(a) + 1
    for card, row in zip(figures, [*a, a.mean(axis=0)]):
        most, entropy, prefix = (
            float(t.split()[0]) for t in card.locator(".figure").all_inner_texts()
        )
        assert abs(most - 100 * row[p["prefix"] :].max()) < 0.06, (most, row[p["prefix"] :].max())
        assert abs(prefix - 100 * row[: p["prefix"]].sum()) < 0.06, (prefix, row[: p["prefix"]])
        nats = -(row[row > 0] * np.log(row[row > 0])).sum()
        assert abs(entropy - 100 * nats / np.log(len(row))) < 0.51, (entropy, nats)


def check_a_head_is_shown(lab):
    """A head of the overview, pressed, is on the picture, with its own numbers in the legend."""
    page = lab.open("scenes")
    p = page.report.picture()
    heads, layers = page.report.manifest["model"]["heads"], page.report.manifest["model"]["layers"]
    cells = page.locator("#vx-heads button")
    assert cells.count() == (heads + 1) * layers
    cells.nth(2 * layers + 4).click()
    page.mouse.move(5, 5)
    page.settle()
    state = page.state()
    assert (state["map"], state["l"], state["h"]) == ("live", 4, 2), state
    top = page.report.attention(p, 4)[2, 0, p["prefix"] :].max()
    assert abs(high(page) - top) < 0.0006, (high(page), top)


def check_overlay_is_where_the_values_are(lab):
    """The pixels of the overlay: the strongest patch has the strongest colour, rows are rows."""
    for name in ("scenes", "oblong"):
        page = lab.open(name, "#map=live&l=1&h=1&cm=grey")
        p = page.report.picture()
        gh, gw = p["grid"]
        row = page.report.attention(p, 1)[1, 0, p["prefix"] :].reshape(gh, gw)
        drawn = page.evaluate("""() => {
            const c = document.getElementById('vx-over');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height);
            return [d.width, d.height, Array.from(d.data).filter((_, i) => i % 4 === 0)];
        }""")
        assert drawn[:2] == [gw, gh], drawn[:2]
        red = np.array(drawn[2]).reshape(gh, gw)
        order = np.argsort(row.reshape(-1))
        assert red.reshape(-1)[order[-1]] == red.max() > red.min(), name
        assert (np.diff(red.reshape(-1)[order]) >= 0).all(), f"{name}: brighter is not larger"


def check_every_head_is_drawn_right(lab):
    """The overview, a pixel in the middle of each patch of each head: brighter where more is."""
    for name in ("scenes", "oblong"):
        page = lab.open(name, "#cm=grey")
        page.settle()
        p, model = page.report.picture(), page.report.manifest["model"]
        gh, gw = p["grid"]
        width, height, red = page.evaluate("""() => {
            const c = document.getElementById('vx-atlas');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height);
            return [c.width, c.height, Array.from(d.data).filter((_, i) => i % 4 === 0)];
        }""")
        red = np.array(red).reshape(height, width)
        rows, columns = model["heads"] + 1, model["layers"]
        for layer in range(columns):
            a = page.report.attention(p, layer)[:, 0, p["prefix"] :]
            for h, row in enumerate([*a, a.mean(axis=0)]):
                y = ((h + (np.arange(gh) + 0.5) / gh * 0.98) * height / rows).astype(int)
                x = ((layer + (np.arange(gw) + 0.5) / gw * 0.98) * width / columns).astype(int)
                drawn = red[np.ix_(y, x)].reshape(-1)[np.argsort(row)]
                assert (np.diff(drawn) >= 0).all(), f"{name}, layer {layer}, head {h}"
                assert drawn[-1] > drawn[0], f"{name}, layer {layer}, head {h}: one colour"


def check_all_is_drawn(lab):
    """When the page says that it is ready, nothing waits for a touch to be drawn."""
    for name in ("scenes", "siglip", "registers", "like", "many"):
        page = lab.open(name)
        page.settle()
        empty = page.probe("emptyCanvases")
        assert not empty, f"{name}: {empty}"
        figures = page.locator("#vx-cards .figure").all_inner_texts()
        assert figures and not any("\u2013" in f for f in figures if f), (name, figures)


def check_second_map(lab):
    """Beside and wipe: the other map's own numbers in a legend of its own; the wipe has keys."""
    page = lab.open("scenes")
    p = page.report.picture()
    page.locator("#vx-methods button[data-view=gradcam]").click(modifiers=["Shift"])
    page.settle()
    assert page.state()["b"].startswith("gradcam"), page.state()["b"]
    assert page.locator("#vx-right").is_visible()
    signed = next(m for m in p["maps"] if m["method"] == "gradcam")
    most = 100 * high(page, "#vx-legend-b")
    assert abs(most - max(abs(signed["min"]), abs(signed["max"]))) < 0.01 * most, most
    page.locator("#vx-more > summary").click()
    page.locator("#vx-compare-how").select_option("wipe")
    page.locator("#vx-wipe").focus()
    changed(page, lambda: page.keyboard.press("ArrowRight"), "w")


def check_statistics_navigate(lab):
    """A cell of the statistics says the number of that head, and shows the head."""
    page = lab.open("scenes")
    page.locator("#vx-stats > summary").click()
    stats = page.report.manifest["stats"]
    cell = page.locator("#vx-statgrid button").nth(1 * stats["layers"] + 3)
    cell.hover()
    said = page.locator("#vx-stat-now").inner_text()
    value = stats["statistics"]["entropy"]["mean"][3][1]
    assert "layer 3" in said and "head 1" in said and f"{value:.3g}" in said, (said, value)
    cell.click()
    page.settle()
    state = page.state()
    assert (state["map"], state["l"], state["h"]) == ("live", 3, 1), state


def high(page, legend="#vx-legend"):
    """What the colours end at, as a share; of a map that is no attention, the hundredth of it."""
    return float(page.locator(f"{legend} .ends span").nth(2).inner_text().split()[0]) / 100


def check_scales(lab):
    """The choice of scale: this head, the heads of its layer, all layers, a fixed number."""
    page = lab.open("scenes", "#map=live&l=2&h=3")
    p, layers = page.report.picture(), page.report.manifest["model"]["layers"]
    a = np.stack([page.report.attention(p, k)[:, 0, p["prefix"] :] for k in range(layers)])
    for scale, most in (("map", a[2, 3]), ("layer", a[2]), ("model", a)):
        page.locator("#vx-scale").select_option(scale)
        page.settle()
        assert abs(high(page) - most.max()) < 0.006 * most.max(), (scale, high(page), most.max())
    page.locator("#vx-scale").select_option("fixed")
    page.locator("#vx-top").fill("0.5")
    page.settle()
    assert high(page) == 0.5 and page.state()["top"] == 0.5


def check_outline(lab):
    """The outline goes round the fewest patches that hold the share of the mass asked for."""
    page = lab.open("scenes", "#map=generic&mode=outline&x=50")
    p = page.report.picture()
    values = page.report.map(p, 0)
    flat = np.maximum(values, 0).reshape(-1)
    order = np.argsort(-flat, kind="stable")
    count = np.searchsorted(np.cumsum(flat[order]), 0.5 * flat.sum()) + 1
    inside = np.zeros(np.array(values.shape) + 2, bool)
    inside[1:-1, 1:-1] = np.isin(np.arange(flat.size), order[:count]).reshape(values.shape)
    edges = (inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum()
    path = page.locator("#vx-outline path").first.get_attribute("d")
    assert path.count("M") == edges, (path.count("M"), edges)


def check_copy(lab):
    """The command and the link, by their buttons."""
    page = lab.open("scenes", "#map=live&l=2")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for button, text in (
        (page.locator("#vx-link"), page.evaluate("location.href")),
        (page.locator("#vx-command button"), page.report.manifest["command"]),
    ):
        button.click()
        page.rest()
        found = page.evaluate("navigator.clipboard.readText()")
        assert found == text, (found, text)
        assert "opied" in button.inner_text()


def check_strongest_patches(lab):
    """The table's rows, columns and values are those of the map's largest values."""
    page = lab.open("scenes")
    p = page.report.picture()
    page.locator("#vx-strongest > summary").click()
    page.settle()
    truth = page.report.map(p, 0)
    order = np.argsort(-truth.reshape(-1), kind="stable")[:10]
    rows = page.locator("#vx-ten tr").all()
    assert len(rows) == 10
    for line, i in zip(rows, order):
        _, r, c, value, _ = line.locator("td").all_inner_texts()
        assert (int(r), int(c)) == divmod(int(i), p["grid"][1]), (r, c, i)
        assert abs(float(value) - truth.reshape(-1)[i]) < 0.01 * truth.max(), (
            value,
            truth.reshape(-1)[i],
        )


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
    assert pinned != before and pinned["q"] == p["prefix"] + 3 * p["grid"][1] + 4, pinned
    page.touchscreen.tap(*patch(page, 3, 4))
    page.settle()
    freed = page.state()
    assert freed["q"] == before["q"], (before, freed)


def check_finger_scrolls_the_page(lab):
    """A finger that moves over the picture scrolls the page and pins nothing."""
    page = phone(lab)
    before = page.state()
    x, y = patch(page, 9, 7)
    cdp = page.context.new_cdp_session(page.tab)
    for kind, up in (
        ("touchStart", 0),
        *(("touchMove", 15 * k) for k in range(1, 11)),
        ("touchEnd", None),
    ):
        points = [] if up is None else [{"x": x, "y": y - up}]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.until("scrollY > 100")
    assert page.state() == before
    assert not page.probe("heldFast", "#vx-patches button")


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
    page.rest()
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
    page.rest()
    assert page.evaluate("history.length") == length


def check_fragment_of_another_hand(lab):
    """A change of the address alone is followed, as by a link."""
    page = lab.open("scenes", "#l=2&h=1")
    assert (str(page.state()["l"]), str(page.state()["h"])) == ("2", "1"), page.state()
    page.evaluate("location.hash = '#l=4&h=3'")
    page.rest()
    assert (str(page.state()["l"]), str(page.state()["h"])) == ("4", "3"), page.state()


# -------------------------------------------------------------------- export -----------------
def check_export(lab):
    """PNG and JSON of the view: the numbers are those of the map."""
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
