"""The gallery of vitx-cli batch: what it shows is what the run said; filters, order, keys; ten
thousand pictures; hostile names; shards that are not there; sizes; axe-core."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import make
from test_reach import axe
from test_safe import EVIL, nothing_ran, put_foreign


class Gallery:
    """The files of a gallery, read without a browser."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / "index.html"

    def script(self, name):
        text = (self.folder / name).read_text(encoding="utf-8")
        call, data = re.fullmatch(r"gallery\.(?:list|sheet)\((\d+),(.*)\);\n", text, re.S).groups()
        assert int(call) == int(name[:5])
        return json.loads(data)

    @property
    def run(self):
        page = self.path.read_text(encoding="utf-8")
        return json.loads(re.search(r'id="vx-run">(.*?)</script>', page, re.S)[1])

    @property
    def beside(self):
        names = (f"{i:05}{end}" for i in range(self.run["shards"]) for end in (".list.js", ".js"))
        return [*(self.folder / n for n in names), *self.folder.parent.glob("pages/**/*.html")]

    def rows(self):
        return [r for i in range(self.run["shards"]) for r in self.script(f"{i:05}.list.js")]

    def sheets(self):
        return [r for i in range(self.run["shards"]) for r in self.script(f"{i:05}.js")]


def pictures(folder):
    """Pictures with names that are to be data, and one that is no picture."""
    folder.mkdir()
    names = [f"{n} {i}.png" for i in range(3) for n in ("one", "two", "wrong")]
    names += [e.replace("/", "\\") + ".png" for e in EVIL]
    for i, name in enumerate(names):
        source = ("one.png", "two.png", "wrong.png")[i % 3]
        shutil.copyfile(make.SCENES / source, folder / name)
    (folder / "broken <b>.png").write_text("no picture")
    return folder


def gallery(lab):
    """Made once: 20 pictures in shards of 8."""
    if "gallery" not in lab.made:
        out = lab.folder / "gallery run"
        lab.cli(
            "batch", "--do", "classify,explain", "--method", "rollout,gradcam,features",
            "--gallery", "--pages", "--shard-size", 8, "--out", out, pictures(lab.folder / "gallery in"),
            may_fail=1,
        )  # fmt: skip
        lab.made["gallery"] = Gallery(out / "gallery")
    return lab.made["gallery"]


def changed(lab, name, change=lambda folder: None):
    """A copy of the gallery, in which something is changed."""
    folder = lab.folder / name
    shutil.copytree(gallery(lab).folder, folder)
    change(folder)
    return Gallery(folder)


def many(lab, shards=40, size=256):
    """Ten thousand pictures, each of them one of those that there are."""
    one = gallery(lab)
    rows, sheets = one.rows(), one.sheets()
    folder = lab.folder / "gallery many"
    folder.mkdir()
    facts = one.run
    page = one.path.read_text(encoding="utf-8")
    page = page.replace(f'"shards":{facts["shards"]}', f'"shards":{shards}')
    (folder / "index.html").write_text(page, encoding="utf-8")
    good = [i for i, r in enumerate(rows) if r[1] is None]
    for shard in range(shards):
        chosen = [good[(shard * size + i) % len(good)] for i in range(size)]
        listed = [
            [f"{shard:02}/{i:03}.png", None, rows[k][2], (shard * size + i) * 7919 % 1000 / 1000,
             rows[k][4]]
            for i, k in enumerate(chosen)
        ]  # fmt: skip
        for call, ending, data in (
            ("list", ".list.js", listed),
            ("sheet", ".js", [sheets[k] for k in chosen]),
        ):
            text = f"gallery.{call}({shard},{json.dumps(data)});\n"
            (folder / f"{shard:05}{ending}").write_text(text)
    return Gallery(folder)


def shown(page):
    return page.tab.evaluate("window.vitx.shown()")


def put(page, **changes):
    page.tab.evaluate("c => window.vitx.set(c)", changes)
    page.settle()


def check_it_shows_the_run(lab):
    g = gallery(lab)
    rows = g.rows()
    assert len(rows) == 20 and sum(r[1] is not None for r in rows) == 1
    page = lab.open(g)
    assert shown(page) == [r[0] for r in rows]
    assert "20 pictures" in page.locator("#vx-count").inner_text()
    assert "1 failed" in page.locator("#vx-count").inner_text()
    page.until("!document.querySelector('#vx-wall .wait')")
    cards = page.tab.evaluate("""[...document.querySelectorAll('#vx-wall li')].map(li => ({
        at: Number(li.dataset.at), text: li.innerText, image: !!li.querySelector('img'),
        canvas: li.querySelector('canvas')?.width ?? 0}))""")
    assert len(cards) == 20
    for c in cards:
        key, error, _, value, label = rows[c["at"]]
        if error is None:
            assert label in c["text"] and c["image"] and c["canvas"] == 14, c
            assert f"{100 * value:.1f} %" in c["text"] or value < 0.1, (c, value)
        else:
            assert "failed" in c["text"] and not c["image"], c


def check_filters_and_order(lab):
    g = gallery(lab)
    rows = g.rows()
    keys = lambda some: [r[0] for r in some]  # noqa: E731
    page = lab.open(g)
    put(page, q="TWO")
    assert shown(page) == keys(r for r in rows if "two" in r[0].lower()) and shown(page)
    put(page, q="", show="failed")
    assert shown(page) == keys(r for r in rows if r[1] is not None)
    put(page, show="good")
    assert shown(page) == keys(r for r in rows if r[1] is None)
    put(page, show="all", **{"class": rows[1][2]})
    assert shown(page) == keys(r for r in rows if r[2] == rows[1][2]) and shown(page)
    values = sorted(r[3] for r in rows if r[3] is not None)
    cut = int(100 * values[len(values) // 2])
    put(page, **{"class": -1, "low": cut, "high": 100})
    assert shown(page) == keys(r for r in rows if r[3] is not None and r[3] >= cut / 100)
    assert 0 < len(shown(page)) < 20
    put(page, low=0, sort="surest")
    assert shown(page)[:-1] == keys(
        sorted((r for r in rows if r[1] is None), key=lambda r: -r[3])
    )
    put(page, sort="name")
    assert shown(page) == sorted(keys(rows), key=lambda k: k.encode("utf-16-be"))
    put(page, q="no such name")
    assert page.locator("#vx-none").is_visible()
    page.locator("#vx-clear").click()
    assert len(shown(page)) == 20


def check_controls(lab):
    """The same by hand: what the state says is what the controls set."""
    page = lab.open(gallery(lab))
    page.locator("#vx-search").fill("one")
    page.locator("#vx-show button[data-show=good]").click()
    page.locator("#vx-sort").select_option("unsurest")
    page.locator("#vx-map").select_option("1")
    page.locator("#vx-low").focus()
    page.keyboard.press("ArrowRight")
    s = page.state()
    assert (s["q"], s["show"], s["sort"], s["map"], s["low"]) == ("one", "good", "unsurest", 1, 1)
    # A copy of the address opens the same view.
    address = page.tab.evaluate("location.hash")
    seen = shown(page)
    page.go(address)
    assert page.state() == s and shown(page) == seen


def check_map_lies_where_the_model_looked(lab):
    """The pixels of a map are its values' colours: the largest value is the brightest."""
    g = gallery(lab)
    page = lab.open(g, "#map=0")
    page.until("!document.querySelector('#vx-wall .wait')")
    m = g.sheets()[0]["maps"][0]
    import base64

    values = list(base64.b64decode(m["values"]))
    pixels, box = page.tab.evaluate("""() => {
        const li = document.querySelector('#vx-wall li[data-at="0"]');
        const c = li.querySelector('canvas');
        const f = li.querySelector('.frame').getBoundingClientRect();
        const r = c.getBoundingClientRect();
        return [[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data],
            [(r.left - f.left) / f.width, (r.top - f.top) / f.height,
             (r.right - f.left) / f.width, (r.bottom - f.top) / f.height]];
    }""")
    alpha = pixels[3::4]
    assert len(alpha) == len(values) == m["width"] * m["height"]
    assert alpha[values.index(255)] == 255 and alpha[values.index(min(values))] == min(alpha)
    assert all(abs(a - b) < 0.02 for a, b in zip(box, m["box"], strict=True)), (box, m["box"])


def check_keys(lab):
    page = lab.open(gallery(lab))
    page.locator("#vx-wall button[tabindex='0']").focus()
    at = lambda: page.tab.evaluate("document.activeElement.closest('li')?.dataset.at")  # noqa: E731
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert at() == "2"
    page.keyboard.press("End")
    assert at() == "19"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    below = int(at())
    assert below > 2
    page.keyboard.press("Enter")
    assert page.locator("#vx-dialog").is_visible()
    first = page.locator("#vx-name").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#vx-name").inner_text() != first
    page.keyboard.press("m")
    assert page.state()["map"] == 1
    page.keyboard.press("Escape")
    assert not page.locator("#vx-dialog").is_visible()
    page.settle()
    assert at() == str(below + 1), "the focus comes back to the picture that was open"
    page.keyboard.press("/")
    page.keyboard.type("two")
    assert page.state()["q"] == "two" and page.state()["map"] == 1


def check_one_picture(lab):
    g = gallery(lab)
    page = lab.open(g)
    page.locator("#vx-wall li[data-at='1'] button").click()
    sheet = g.sheets()[1]
    text = page.locator("#vx-dialog").inner_text()
    for _, value, label in sheet["top"]:
        assert label in text
        assert value < 0.1 or f"{100 * value:.1f} %" in text
    assert page.locator("#vx-maps button").count() == 4
    page.locator("#vx-maps button").nth(2).click()
    assert page.state()["map"] == 1
    broken = [i for i, r in enumerate(g.rows()) if r[1] is not None][0]
    page.locator("#vx-close").click()
    page.locator(f"#vx-wall li[data-at='{broken}'] button").click()
    assert page.locator("#vx-error").is_visible()


TEXTS = ("a star", "<b>no such thing</b>")


def gallery_of_texts(lab, classes):
    """Maps of two texts, with or without classes that are texts."""
    key = f"gallery of texts {classes}"
    if key not in lab.made:
        out = lab.folder / key
        labels = ("--label", "a star", "--label", "a hat") if classes else ()
        lab.cli(
            "batch", "--do", "classify,explain" if classes else "explain", "--method", "legrad,rollout",
            *labels, "--text", TEXTS[0], "--text", TEXTS[1], "--name", "{path}.{method}.{target}.png",
            "--gallery", "--out", out, make.SCENES,
        )  # fmt: skip
        lab.made[key] = Gallery(out / "gallery")
    return lab.made[key]


def near(said, before, value):
    """Whether that number stands behind the words."""
    found = re.search(before + r" (−?[0-9]+(?:[.][0-9]+)?)", said)
    return found and abs(float(found[1].replace("−", "-")) - value) < 0.001


def check_texts(lab):
    """What is known of a text: the cosine, and whether it is here; on cards, as filter and order."""
    for classes in (False, True):
        g = gallery_of_texts(lab, classes)
        rows = g.rows()
        assert g.run["texts"] == list(TEXTS) and g.run["text_of"] == [0, 1, -1]
        page = lab.open(g)
        for lang, absent, cosine in (("en", "Not here", "cosine"), ("zh", "不在图中", "余弦")):
            for m, text in enumerate(TEXTS):
                put(page, map=m, lang=lang)
                page.until("!document.querySelector('#vx-wall .wait')")
                for i, row in enumerate(rows):
                    card = page.locator(f"#vx-wall li[data-at='{i}']")
                    said = card.inner_text()
                    value, empty, probability = row[5][m]
                    assert text in said and near(said, cosine, value), (said, row)
                    assert (absent in said) == (probability < 0.5), (said, row)
                    assert not classes or row[4] in said
                    title = card.locator(".of").get_attribute("title")
                    assert near(title, "the empty text has" if lang == "en" else "空文本为", empty)
                    # All lines lie within the card.
                    assert card.evaluate("li => li.scrollHeight <= li.clientHeight + 1")
            put(page, map=2)
            assert page.locator("#vx-wall .of:visible").count() == 0
            assert page.locator("#vx-wall .absent").count() == 0
        put(page, lang="en", map=0)
        seen = set()
        for n in range(4):
            put(page, text=n)
            wanted = [r[0] for r in rows if (r[5][n >> 1][2] < 0.5) == (n % 2 == 1)]
            assert shown(page) == wanted, (n, wanted)
            seen.add(len(wanted))
        assert len(seen) > 1, "no filter tells pictures apart"
        page.locator("#vx-clear").click()
        assert len(shown(page)) == len(rows)
        for m in (0, 1):
            put(page, sort="match", map=m)
            nearest = sorted(rows, key=lambda r: -r[5][m][0])
            assert shown(page) == [r[0] for r in nearest]
        page.locator("#vx-text").select_option("1")
        assert page.state()["text"] == 1
        address = page.tab.evaluate("location.hash")
        page.go(address)
        assert page.state()["text"] == 1
        page.locator("#vx-clear").click()
        put(page, sort="order", map=1)
        page.locator("#vx-wall li[data-at='0'] button").click()
        said = page.locator("#vx-verdict").inner_text()
        assert TEXTS[1] in said and "the empty text has" in said
        assert ("Not here" in said) == (rows[0][5][1][2] < 0.5)
        assert page.locator("#vx-maps button").nth(1).inner_text().count("cosine") == 1
        page.locator("#vx-close").click()
        axe(page, f"gallery of texts, {classes}")
    assert page.tab.evaluate("document.querySelectorAll('#vx-main b').length") == 0


def check_report_pages(lab):
    """Each picture that did not fail has its report, whatever its name is."""
    g = gallery(lab)
    page = lab.open(g)
    for i, (row, sheet) in enumerate(zip(g.rows(), g.sheets(), strict=True)):
        page.locator(f"#vx-wall li[data-at='{i}'] button").click()
        link = page.locator("#vx-report a")
        assert link.is_visible() == (row[1] is None), row
        if row[1] is None:
            file = (g.folder / sheet["report"]).resolve()
            href = urlsplit(link.evaluate("a => a.href"))
            assert file.is_file() and Path(unquote(href.path)) == file, (href, row)
            assert not href.query and not href.fragment, href
        page.locator("#vx-close").click()
    page.tab.goto((g.folder / g.sheets()[0]["report"]).resolve().as_uri())
    page.ready()
    assert page.locator("#vx-patches").is_visible()


def check_ten_thousand(lab):
    """Few elements, wherever one looks; every picture can be come to."""
    page = lab.open(many(lab))
    assert len(shown(page)) == 10240
    for y in (0, 100000, 250000, 1e9):
        page.tab.evaluate("y => scrollTo(0, y)", y)
        page.settle()
        assert 10 < page.tab.evaluate("window.vitx.elements()") < 120
    page.until("!document.querySelector('#vx-wall .wait')")
    last = page.tab.evaluate("Math.max(...[...document.querySelectorAll('#vx-wall li')]"
                             ".map(li => Number(li.dataset.at)))")  # fmt: skip
    assert last == 10239, last
    put(page, sort="surest")
    page.until("!document.querySelector('#vx-wall .wait')")
    assert page.locator("#vx-wall li").first.inner_text().find("99.9 %") >= 0
    put(page, q="39/255", sort="order")
    assert shown(page) == ["39/255.png"]


def check_hostile_names(lab):
    page = lab.open(gallery(lab))
    nothing_ran(page)
    loose = page.probe("loose", "\u202e")
    assert not loose, loose
    for i in range(9, 20):
        page.locator(f"#vx-wall li[data-at='{i}'] button").click()
        page.locator("#vx-close").click()
    nothing_ran(page)


def check_foreign_script_is_blocked(lab):
    page = lab.open(gallery(lab))
    page.may_say = ["Content Security Policy", "violates"]
    put_foreign(page, """
        const t = document.createElement('script');
        t.src = 'https://example.invalid/x.js';
        document.body.append(t);
    """)
    page.rest()
    assert page.tab.evaluate("window.evil === undefined")
    page.requests = [u for u in page.requests if "example.invalid" not in u]


def check_hostile_fragments(lab):
    page = lab.open(gallery(lab))
    plain = page.state()
    for fragment in ("#map=99&class=1e9&low=-5&high=1e9", "#low=90&high=10", "#sort=__proto__",
                     "#show=toString&size=0&opacity=NaN", "#%E0%A4%A", "#q=<img src=x>",
                     "#" + "q=a&" * 9000):  # fmt: skip
        page.go(fragment)
        state = page.state()
        assert state.keys() == plain.keys()
        assert 0 <= state["low"] <= state["high"] <= 100 and state["map"] <= 2, state
        nothing_ran(page)


def check_missing_and_damaged_shards(lab):
    def change(folder):
        (folder / "00001.list.js").unlink()
        (folder / "00001.js").unlink()
        (folder / "00002.list.js").write_text("gallery.list(2,[")
        (folder / "00000.js").write_text("nonsense(")

    page = lab.open(changed(lab, "gallery damaged", change))
    page.may_say = ["ERR_FILE_NOT_FOUND", "SyntaxError", "Unexpected end"]
    page.rest()
    assert len(shown(page)) == 8
    said = page.locator("#vx-trouble").inner_text()
    assert "1 of 3 shards are not done" in said and "cannot be read: 2" in said, said
    page.until("!document.querySelector('#vx-wall .wait')")
    assert "cannot be read" in page.locator("#vx-wall li").first.inner_text()


def check_sizes_of_window(lab):
    for width, height in ((320, 640), (360, 740), (768, 1024), (1440, 900), (2560, 1200)):
        for locale in ("en-US", "zh-CN"):
            page = lab.open(gallery(lab), size=(width, height), locale=locale)
            page.until("!document.querySelector('#vx-wall .wait')")
            wide = page.tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], f"{width}, {locale}: scrolls sideways, {wide}"
            page.locator("#vx-wall li button").first.click()
            page.settle()
            wide = page.tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1], f"{width}, {locale}, open: {wide}"


def check_everybody_can_use_it(lab):
    for options in ({}, {"color_scheme": "dark"}, {"locale": "zh-CN", "size": "phone"}):
        page = lab.open(gallery(lab), **options)
        page.until("!document.querySelector('#vx-wall .wait')")
        axe(page, f"gallery, {options}")
        page.locator("#vx-wall li button").first.click()
        axe(page, f"gallery, one picture, {options}")
        page.keyboard.press("Escape")
        page.locator("#vx-help").click()
        axe(page, f"gallery, help, {options}")


def check_dark(lab):
    assert lab.open(gallery(lab), "#q=none", color_scheme="light").probe("luminance") > 0.8
    assert lab.open(gallery(lab), "#q=none", color_scheme="dark").probe("luminance") < 0.2
