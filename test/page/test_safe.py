"""Hostile names, labels and fragments; the content security policy."""

import os
import shutil

import make

EVIL = [
    "</script><script>window.evil = 1</script>",
    '"><img src=x onerror="window.evil = 2">',
    "<!--",
    "' onmouseover='window.evil = 3",
    "\u202egnp.evil",
    "\u2066\u2069\u200f",
    "a\u2028b\u2029c",
    "&lt;b&gt; & <b>bold</b>",
    "${window.evil = 4}",
    "{{constructor.constructor('window.evil=5')()}}",
]


def labels_file(lab):
    """28 names of the bundled model's classes."""
    path = lab.folder / "evil labels.txt"
    names = [EVIL[i % len(EVIL)] + f" {i}" for i in range(28)]
    # Lines end with \n alone here: U+2028 is no end of a line.
    path.write_bytes("\n".join(names).encode() + b"\n")
    return path, names


def evil_page(lab, name, picture, *more):
    path = lab.folder / f"{name}.html"
    lab.cli(
        "explain",
        "--quiet",
        "-o",
        path,
        "--method",
        "generic,rollout",
        "--target",
        "top2",
        *more,
        picture,
    )
    return make_report(path)


def make_report(path):
    from report import Report

    return Report(path)


def nothing_ran(page):
    assert page.tab.evaluate("window.evil === undefined"), "a name ran as a script"
    strange = page.probe("strangers")
    assert not strange, strange


def check_hostile_labels(lab):
    path, names = labels_file(lab)
    r = evil_page(lab, "evil-labels", make.SCENES / "two.png", "--labels", path)
    top = r.picture()["predictions"]
    assert [t["label"] for t in top] == [names[t["index"]] for t in top]
    page = lab.open(r)
    nothing_ran(page)
    text = page.locator("body").inner_text()
    shown = names[top[0]["index"]]
    flat = "".join(shown.split())
    assert flat in "".join(text.split()), f"{shown!r} is not on the page"


def check_hostile_file_names(lab):
    for i, name in enumerate(EVIL):
        if "/" in name:
            name = name.replace("/", "\\")  # of a path only what follows the last slash is shown
        file = lab.folder / f"{name}.png"
        shutil.copyfile(make.SCENES / "one.png", file)
        r = evil_page(lab, f"evil-{i}", file)
        shown = r.picture()["name"]
        assert str(lab.folder) not in r.text, "the page holds the picture's folder"
        page = lab.open(r)
        nothing_ran(page)
        assert (
            "".join(shown.split()) in "".join(page.locator("body").inner_text().split())
            or "\u2066" in name
        ), shown


def check_names_are_set_apart(lab):
    """A name that turns the direction of the text does so within its own <bdi>."""
    file = lab.folder / "\u202egnp.dog\u202e.png"
    shutil.copyfile(make.SCENES / "one.png", file)
    page = lab.open(evil_page(lab, "evil-bidi", file))
    loose = page.probe("loose", "\u202e")
    assert not loose, loose


def check_invalid_utf8(lab):
    """Names on disk are bytes; the file is UTF-8 all the same (report.py decodes it strictly)."""
    file = os.fsencode(lab.folder) + b"/caf\xe9 \xff\xc0\xaf.png"
    shutil.copyfile(make.SCENES / "one.png", file)
    path = lab.folder / "evil-utf8.html"
    lab.cli("explain", "--quiet", "-o", path, "--method", "generic", os.fsdecode(file))
    r = make_report(path)
    assert "\ufffd" in r.picture()["name"] and r.picture()["name"].startswith("caf"), r.picture()[
        "name"
    ]
    nothing_ran(lab.open(r))


def put_foreign(page, more):
    """A script, a handler and a picture from elsewhere, and what `more` does besides."""
    page.tab.evaluate("""() => {
        const s = document.createElement('script');
        s.textContent = 'window.evil = 1';
        document.body.append(s);
        const b = document.createElement('button');
        b.setAttribute('onclick', 'window.evil = 2');
        document.body.append(b);
        b.click();
        b.remove();
        const i = document.createElement('img');
        i.src = 'https://example.invalid/x.png';
        document.body.append(i);
    """ + more + "}")


def check_foreign_script_is_blocked(lab):
    """An element, a handler and eval that somebody gets into the page do not run."""
    page = lab.open("plain")
    page.may_say = ["Content Security Policy", "violates"]
    put_foreign(page, """
        // Not at once: what the driver itself runs may use eval.
        setTimeout(() => {
            try { new Function('window.evil = 3')(); } catch (e) { }
        });
    """)
    page.rest()
    assert page.tab.evaluate("window.evil === undefined")
    assert any("Content Security Policy" in s for s in page.said), page.said
    page.requests = [u for u in page.requests if "example.invalid" not in u]


def check_hostile_fragments(lab):
    """What a fragment may say is clamped to what there is, and names no code."""
    page = lab.open("plain")
    plain = page.state()
    for fragment in (
        "#map=__proto__&l=99&h=-7&q=1e9&cm=constructor&a=1000",
        "#l=NaN&h=Infinity&q=-1&t=x",
        "#map=<script>window.evil=1</script>",
        "#%",
        "#%E0%A4%A&l=1",
        "#" + "a=1&" * 20000,
        "#l=1&l=2&l=3",
        "#=&=&&&",
        "#p=99&map=99&map2=99",
        "#lang=xx&theme=xx&view=xx",
        "#h=toString&q=hasOwnProperty&cm=__proto__",
        "#javascript:window.evil=1",
    ):
        page.go(fragment)
        assert page.tab.evaluate("window.evil === undefined"), fragment
        state = page.state()
        assert state.keys() == plain.keys(), (fragment, state)
        assert page.call("row", state["l"], state["h"], 0) is not None, (fragment, state)
        assert page.locator("#vx-patches").is_visible(), fragment
        # What it wrote back is valid: opening it gives the same state.
        page.go(page.tab.evaluate("location.hash"))
        assert page.state() == state, (fragment, state, page.state())
