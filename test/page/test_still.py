"""What can be read without a script, and on paper."""


def check_without_script(lab):
    page = lab.open("scenes", java_script_enabled=False)
    p = page.report.picture()
    still = page.locator("#still-0")
    assert still.locator("h2").inner_text() == p["name"]
    box = still.locator("svg image.base").bounding_box()
    assert (
        box["width"] > 200
        and abs(box["width"] / box["height"] - p["shown"][0] / p["shown"][1]) < 0.02
    ), box
    over = still.locator("svg image.first").bounding_box()
    assert over["width"] > 100 and over["height"] > 100, over
    assert p["maps"][0]["method"] in still.locator(".caption").inner_text()
    rows = still.locator("table.predictions tbody tr")
    assert rows.count() == len(p["predictions"])
    for i, one in enumerate(p["predictions"]):
        text = rows.nth(i).inner_text()
        assert one["label"] in text and str(one["index"]) in text, text
    shown = page.locator("body").inner_text()
    assert "script" in shown.lower(), "no note that a script is missing"


def check_first_map_is_where_the_model_looked(lab):
    """The still's overlay lies over the part of the photo that the model saw."""
    for name in ("scenes", "oblong", "keep"):
        page = lab.open(name, java_script_enabled=False)
        p = page.report.picture()
        x, y = (p["shown"][i] / p["size"][i] for i in (0, 1))
        at = page.locator("#still-0 svg image.first")
        expected = [
            p["seen"][0] * x,
            p["seen"][1] * y,
            (p["seen"][2] - p["seen"][0]) * x,
            (p["seen"][3] - p["seen"][1]) * y,
        ]
        found = [float(at.get_attribute(a)) for a in ("x", "y", "width", "height")]
        assert all(abs(f - e) < 0.01 for f, e in zip(found, expected)), (name, found, expected)


def check_no_control_without_script(lab):
    """Nothing that could be pressed and does nothing."""
    page = lab.open("scenes", java_script_enabled=False)
    for one in page.locator(
        "button, input, select, [role=grid], [role=button], [role=slider]"
    ).all():
        assert not one.is_visible(), one.evaluate("e => e.outerHTML.slice(0, 200)")


def check_still_is_gone_when_live(lab):
    """With the script the photo is on the page once for the reader: not a still beside the app."""
    page = lab.open("scenes")
    assert not page.locator("#still-0 table.predictions").is_visible()


def check_print(lab):
    """On paper: the picture and the predictions, black on white whatever the screen has."""
    page = lab.open("scenes", color_scheme="dark")
    page.tab.emulate_media(media="print", color_scheme="dark")
    page.settle()
    assert page.probe("luminance") > 0.95, page.probe("luminance")
    assert page.locator("#vx-photo").is_visible() and page.locator("#vx-over").is_visible()
    label = page.report.picture()["predictions"][0]["label"]
    assert page.locator("main").get_by_text(label).filter(visible=True).count() > 0
