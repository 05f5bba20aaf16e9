"""Everybody can use it: axe-core in every state, and what axe-core does not see: native controls,
order and visibility of the focus, the live region, names in the screen reader's tree."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
from axe_playwright_python.sync_playwright import Axe

NAMED = {"button", "slider", "combobox", "checkbox", "radio", "gridcell", "img", "dialog"}
PAGES = ["scenes", "clip", "siglip", "registers"]


def axe(page, what):
    found = Axe().run(page.tab).response["violations"]
    said = [
        f"{v['id']}: {v['nodes'][0]['html'][:160]} {v['nodes'][0].get('failureSummary', '')[:200]}"
        for v in found
    ]
    assert not found, f"{what}: {said}"


def check_axe(lab):
    """As a page opens, and with all of it unfolded."""
    for scheme, locale in itertools.product(("light", "dark"), ("en-US", "zh-CN")):
        for name in PAGES if (scheme, locale) == ("light", "en-US") else PAGES[:1]:
            page = lab.open(name, color_scheme=scheme, locale=locale)
            axe(page, f"{name} {scheme} {locale}")
            page.unfold()
            axe(page, f"{name} {scheme} {locale}, unfolded")


def check_axe_with_the_help_open(lab):
    for scheme in ("light", "dark"):
        page = lab.open("scenes", color_scheme=scheme)
        page.locator("#vx-patches button").first.focus()
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        axe(page, f"help, {scheme}")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0


def check_axe_on_a_phone(lab):
    axe(lab.open("scenes", size="phone", has_touch=True, is_mobile=True), "phone")


def check_axe_without_script(lab):
    page = lab.open("scenes", java_script_enabled=False)
    del page  # axe is a script; the still's rules are these:
    outline = lab.page("scenes").outline
    assert outline.lang == "en"
    viewport = [
        a["content"] for t, a in outline.tags if t == "meta" and a.get("name") == "viewport"
    ]
    assert (
        len(viewport) == 1 and "user-scalable" not in viewport[0] and "maximum" not in viewport[0]
    )
    for tag, attrs in outline.tags:
        assert (
            tag != "svg"
            or attrs.get("aria-label")
            or attrs.get("aria-hidden") == "true"
            or "class" in attrs
            and attrs["class"] != "photo"
        ), attrs
        assert tag != "img" or "alt" in attrs, attrs


# -------------------------------------------------------------------- controls ---------------
def listeners(page):
    """Elements that hear the pointer: what probes.js says of each, and the names of the events."""
    cdp = page.context.new_cdp_session(page.tab)
    found = cdp.send("Runtime.evaluate", {"expression": "[...document.body.querySelectorAll('*')]"})
    found = {"objectId": found["result"]["objectId"], "ownProperties": True}
    for one in cdp.send("Runtime.getProperties", found)["result"]:
        if not one["name"].isdigit():
            continue
        at = {"objectId": one["value"]["objectId"]}
        types = {h["type"] for h in cdp.send("DOMDebugger.getEventListeners", at)["listeners"]}
        if types & {"click", "dblclick", "mousedown", "pointerdown", "touchstart"}:
            call = "function() { return window.probes.control(this); }"
            said = cdp.send(
                "Runtime.callFunctionOn", {**at, "returnByValue": True, "functionDeclaration": call}
            )
            yield said["result"]["value"], sorted(types)


def check_every_control_is_native(lab):
    page = lab.open("scenes")
    for said, types in listeners(page):
        assert said["control"], f"hears {types} and is no control, nor holds one: {said['html']}"
    bad = page.probe("strangeTabStops")
    assert not bad, bad


def tree(page):
    cdp = page.context.new_cdp_session(page.tab)
    return [n for n in cdp.send("Accessibility.getFullAXTree")["nodes"] if not n.get("ignored")]


def check_screen_readers_tree(lab):
    """Every control has a name there; one h1, no level of heading left out, a landmark."""
    for name, locale in (
        ("scenes", "en-US"),
        ("scenes", "zh-CN"),
        ("clip", "en-US"),
        ("registers", "en-US"),
    ):
        page = lab.open(name, locale=locale)
        nodes = tree(page)
        for n in nodes:
            focusable = any(
                p["name"] == "focusable" and p["value"].get("value")
                for p in n.get("properties", [])
            )
            role = n["role"]["value"]
            if role in ("RootWebArea", "WebArea", "Iframe"):
                continue
            if focusable or role in NAMED:
                said = n.get("name", {}).get("value", "").strip()
                assert said, f"{name} {locale}: a {role} has no name: {n.get('properties')}"
        roles = [n["role"]["value"] for n in nodes]
        assert "main" in roles and "heading" in roles, set(roles)
        assert page.locator("h1:visible").count() == 1
        levels = page.probe("headings")
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), f"heading levels {levels}"


def check_nothing_is_left_in_english(lab):
    """What stands on both pages, in English and in Chinese, comes from the model or the picture."""
    texts = []
    for locale in ("en-US", "zh-CN"):
        page = lab.open("scenes", locale=locale)
        page.unfold()
        page.locator("#vx-help").click()
        texts.append(set(page.probe("texts")))
    data = json.dumps(page.report.manifest, ensure_ascii=False)
    may = {"Esc", "Space", *page.probe("colours")}
    words = {w for t in texts[0] & texts[1] - may for w in re.findall("[A-Za-z]{3,}", t)}
    left = [w for w in words if w not in data]
    assert not left, left


def check_language_and_theme_by_hand(lab):
    page = lab.open("scenes", "#map=live&l=2")
    before = page.state()
    page.locator("#vx-language").click()
    page.settle()
    assert page.evaluate("document.documentElement.lang").startswith("zh")
    names = [n["name"]["value"] for n in tree(page) if n["role"]["value"] == "slider"]
    assert names and all(any("\u4e00" <= c <= "\u9fff" for c in n) for n in names), names
    assert page.state() == before
    seen = set()
    for _ in range(3):
        page.locator("#vx-theme").click()
        seen.add(page.probe("luminance") > 0.5)
    assert seen == {True, False}


def check_language_of_the_page(lab):
    for locale, lang in (("en-US", "en"), ("de-DE", "en"), ("zh-CN", "zh"), ("zh-TW", "zh")):
        page = lab.open("plain", locale=locale)
        assert page.tab.evaluate("document.documentElement.lang").split("-")[0] == lang, locale


# -------------------------------------------------------------------- focus ------------------
def walk(page, limit=200):
    """The stops of the Tab key, from the top of the page until it leaves or comes round."""
    page.tab.evaluate(
        "() => { document.activeElement && document.activeElement.blur(); window.scrollTo(0, 0); }"
    )
    stops = []
    for _ in range(limit):
        page.keyboard.press("Tab")
        at = page.probe("focused")
        if at is None or at["path"] in [s["path"] for s in stops]:
            return stops
        stops.append(at)
    raise AssertionError(f"more than {limit} stops of the Tab key")


def check_focus(lab):
    for size, scheme in (("wide", "light"), ("wide", "dark"), ("phone", "light")):
        page = lab.open("scenes", size=size, color_scheme=scheme)
        stops = walk(page)
        assert 8 <= len(stops) <= 80, f"{len(stops)} stops: {[s['html'][:40] for s in stops]}"
        for s in stops:
            assert s["inside"], f"{size}: focus goes out of sight: {s['html']}"
            assert s["hit"], f"{size}: focus is covered: {s['html']}"
            assert s["ring"], f"{size} {scheme}: focus cannot be seen: {s['html']}"
        if size == "phone":  # one column: the order of the keys is that of the eyes
            for a, b in itertools.pairwise(stops):
                assert b["bottom"] > a["top"] - 8, f"focus jumps up from {a['html']} to {b['html']}"


def check_all_controls_are_reached(lab):
    """By Tab, or by arrows within a group that has one stop (the grid, radio buttons)."""
    page = lab.open("scenes")
    stops = {s["path"] for s in walk(page)}
    left = [m["html"] for m in page.probe("stops") if m["path"] not in stops]
    assert not left, left


def check_live_region(lab):
    """The patch under the keys is said: its place, and the share of attention that it gets."""
    page = lab.open("scenes")
    page.locator("#vx-patches button[tabindex='0']").focus()
    said = set()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
        page.rest()
        text = " ".join(
            page.locator("[aria-live]:not([aria-live=off]), [role=status]").all_inner_texts()
        )
        assert (
            "row" in text.lower() and "column" in text.lower() and any(c.isdigit() for c in text)
        ), text
        said.add(text)
    assert len(said) == 3, said


def check_heads_have_their_numbers_in_the_tree(lab):
    """A cell of layers x heads is called by its numbers; they are those of the query that is kept."""
    for name, locale, pattern in (
        ("scenes", "en-US", r"layer (\d+), (?:head (\d+)|mean): max (.+) %, entropy (\d+) %, prefix "),
        ("scenes", "zh-CN", r"第 (\d+) 层，(?:头 (\d+)|平均)：最大 (.+) %，熵 (\d+) %，前缀 "),
    ):
        page = lab.open(name, "#q=30", locale=locale)
        page.rest()
        p, m = page.report.picture(), page.report.manifest["model"]
        cells = [n for n in tree(page) if n["role"]["value"] == "gridcell"]
        found = [re.match(pattern, n["name"]["value"]) for n in cells]
        found = [match for match in found if match]
        assert len(found) == m["layers"] * (m["heads"] + 1), (name, locale, len(found))
        for match in found:
            layer, head, most, entropy = match.groups()
            rows = page.report.attention(p, int(layer))[:, 30]
            row = rows.mean(axis=0) if head is None else rows[int(head)]
            largest = 100 * row[p["prefix"] :].max()
            part = 100 * -(row[row > 0] * np.log(row[row > 0])).sum() / np.log(len(row))
            assert abs(float(most) - largest) <= 0.006 * largest + 0.005, (match[0], largest)
            assert abs(int(entropy) - part) <= 0.6, (match[0], part)


# -------------------------------------------------------------------- words ------------------
def check_words_are_explained(lab):
    """Each part has a fold that explains its words, by keys alone, in the reader's language."""
    for name, locale in (("scenes", "en-US"), ("scenes", "zh-CN"), ("clip", "en-US")):
        page = lab.open(name, locale=locale)
        page.locator("#vx-bench > summary").click()
        folds = page.locator("details.terms").all()
        assert len(folds) == 7
        for fold in folds:
            part = fold.get_attribute("data-terms")
            if not fold.is_visible():
                assert part in ("picture", "stats"), part  # in a fold that is closed
                continue
            fold.locator("summary").focus()
            page.keyboard.press("Enter")
            text = fold.locator("dd").first.inner_text()
            assert text and fold.locator("dd").count() == fold.locator("dt").count()
            assert bool(re.search("[一-鿿]", text)) == (locale == "zh-CN"), text
        said = page.locator("details.terms[data-terms=methods] dd").all_inner_texts()
        assert said and all(said)
        english = [m["summary"] for m in page.report.picture()["maps"]]
        assert all((text in english) == (locale == "en-US") for text in said), said


def check_all_texts_are_in_both_languages(lab):
    page = lab.open("scenes")
    lacking = page.evaluate("""() => {
        const {en, zh} = words.all;
        const keys = (a, b) => Object.keys(a).filter((key) => !(key in b));
        return [...keys(zh, en), ...keys(en, zh),
            ...Object.entries(terms.all)
                .filter(([, text]) => text.length !== 4 || !text.every((t) => t.length > 0))
                .map(([key]) => key)];
    }""")
    assert not lacking, lacking


def check_a_finger_does_not_click(lab):
    for locale in ("en-US", "zh-CN"):
        page = lab.open("scenes", size="phone", has_touch=True, is_mobile=True, locale=locale)
        page.unfold()
        text = page.locator("main").inner_text().lower()
        assert "click" not in text and "点击" not in text and "shift" not in text
        assert ("tap a map" if locale == "en-US" else "轻触") in text


def check_warnings_in_chinese(lab):
    """Each kind of warning that lib/measure/verdict.c writes, by its own words."""
    source = Path("lib/measure/verdict.c").read_text(encoding="utf-8")
    calls = re.findall(r"warn\(s,\s*((?:\"[^\"]*\"\s*)+)", source)
    texts = ["".join(re.findall(r'"([^"]*)"', call)) for call in calls]
    assert len(texts) == 5, texts
    page = lab.open("scenes", locale="zh-CN")
    for text in texts:
        count = itertools.count(3)
        text = re.sub(r"%s%s", "block 0, head 1 as 2 with 0.98; ...", text)
        text = re.sub(r"%(?:lld|d)", lambda _, count=count: str(next(count)), text)
        said = page.evaluate("text => terms.warning(text)", text.replace("%%", "%"))
        assert not re.search("[A-Za-z{}]", said), (text, said)
        numbers = re.sub(r"第 0 层头 1 与头 2：0.98; \.\.\.", "", said)
        assert len(re.findall(r"\d+", numbers)) >= (3 if "alike" in text else 5), (text, said)
