"""Texts that were explained: their words with what each carried, what was set against them, and
whether what they name is there at all."""


def sentences(page):
    """The boxes of the texts, in the order of the maps."""
    page.settle()
    boxes = page.locator(".sentence")
    return [boxes.nth(i) for i in range(boxes.count())]


def texts_of(page):
    """The maps' texts, each once, with the numbers beside them."""
    seen = {}
    for m in page.report.picture()["maps"]:
        seen.setdefault(m["text"], m)
    return list(seen.values())


def colours(box):
    """(word, what it carried by the page's own share, its background) of each word."""
    return box.locator(".word").evaluate_all(
        """nodes => nodes.map(n => [n.textContent, Number(n.style.getPropertyValue('--part')),
            n.classList.contains('against'), getComputedStyle(n).backgroundColor])"""
    )


def check_how_many_numbers_the_vector_has(lab):
    """Those of the embedding that texts are compared with, not those of a token."""
    page = lab.open("texts")
    model = page.report.manifest["model"]
    assert model["width"] != model["classes"], model
    page.settle()
    assert f"a vector of {model['classes']} numbers" in page.locator("#vx-targets").text_content()


def check_words_have_colours(lab):
    """As strong as what they carried, red for it, blue against it."""
    for name in ("texts", "texts-zh"):
        page = lab.open(name)
        found = {s["text"]: s for s in page.report.picture()["sentences"]}
        boxes, maps = sentences(page), texts_of(page)
        assert len(boxes) == len(maps) == len(found), (len(boxes), len(maps))
        for box, m in zip(boxes, maps):
            parts = found[m["text"]]["parts"]
            shown = colours(box)
            assert box.locator(".words").text_content() == m["text"], m["text"]
            assert [w for w, *_ in shown] == [word for _, word, _ in parts], shown
            most = max(abs(r) for *_, r in parts)
            for (word, part, against, background), (*_, r) in zip(shown, parts):
                assert abs(part - abs(r) / most) < 0.001, (word, part, r)
                assert against == (r < 0), (word, r)
            strongest = max(shown, key=lambda w: w[1])
            weakest = min(shown, key=lambda w: w[1])
            assert strongest[1] == 1 and "rgba(0, 0, 0, 0)" not in strongest[3], strongest
            assert len(shown) == 1 or strongest[3] != weakest[3], shown


def check_not_here(lab):
    """Said of a text that fits no better than no text, and of no other."""
    said = set()
    page = lab.open("texts")
    for box, m in zip(sentences(page), texts_of(page)):
        absent = m["probability"] < 0.5
        assert ("Not here" in box.inner_text()) == absent, (m["text"], m["probability"])
        assert box.locator(".absent").count() == int(absent)
        said.add(absent)
    assert said == {True, False}, "the recipe has one of each"


def check_not_here_by_itself(lab):
    """A text that beats the empty one is not said to fit no better."""
    said = set()
    page = lab.open("texts-siglip")
    for box, m in zip(sentences(page), texts_of(page)):
        beats, text = m["text_value"] > m["empty_value"], box.inner_text()
        assert m["probability"] < 0.5 and "Not here" in text, text
        assert ("no better than no text" in text) != beats, text
        said.add(beats)
    assert said == {True, False}, "the recipe has one of each"


def check_against(lab):
    page = lab.open("texts-zh")
    for box in sentences(page):
        assert "and not: \u725b" in box.inner_text(), box.inner_text()


def check_number_has_its_name(lab):
    """A text set against another is explained by a difference, one alone by its cosine."""
    for name, locale, right in (
        ("texts", "en-US", "cosine "),
        ("texts-zh", "en-US", "difference of two cosines "),
        ("texts", "zh-CN", "\u4f59\u5f26 "),
        ("texts-zh", "zh-CN", "\u4e24\u4e2a\u4f59\u5f26\u4e4b\u5dee "),
    ):
        page = lab.open(name, locale=locale)
        page.settle()
        facts = page.locator("#vx-facts").evaluate(
            "node => Array.from(node.querySelectorAll('dd'), (dd) => dd.textContent)"
        )
        assert any(f.startswith(right) for f in facts), (name, right, facts)


def check_chinese(lab):
    """The page's own words are Chinese; the texts stay as they are."""
    page = lab.open("texts-zh", locale="zh-CN")
    for box, m in zip(sentences(page), texts_of(page)):
        text = box.inner_text()
        assert m["text"] in text and "\u4f59\u5f26" in text, text
        assert "\u800c\u4e0d\u662f\uff1a\u725b" in text, text
        assert ("\u4e0d\u5728\u56fe\u4e2d" in text) == (m["probability"] < 0.5), text
        assert "Not here" not in text and "cosine" not in text, text


def check_on_a_phone(lab):
    """A long sentence wraps; nothing is wider than the page."""
    page = lab.open("texts", size="phone")
    assert len(sentences(page)) == 3
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, width
