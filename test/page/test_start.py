"""The start page of vitx-cli serve, in the browser: dropped on, it shows the report."""

import base64
import contextlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

PICTURE = Path("docs/images/scenes/two.png")
DROP = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "two.png", {type: "image/png"}));
  document.dispatchEvent(new DragEvent("drop",
    {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


@contextlib.contextmanager
def served(lab, *arguments):
    """The address of a server."""
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [lab.program, "serve", "--listen", "127.0.0.1:0", "--grace", "0", *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            for line in server.stderr:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found:
                    yield found[0]
                    break
                log.write(line)
            else:
                log.seek(0)
                raise AssertionError(f"no server: {log.read()}")
        finally:
            server.terminate()
            server.communicate()
            assert server.returncode == 0, server.returncode


@contextlib.contextmanager
def opened(lab, address, **options):
    """The page, which asks nobody but the server and says nothing on the console."""
    context = lab.browser.new_context(**options)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(address)
        yield page
        outside = [u for u in asked if not u.startswith((address, "blob:", "data:"))]
        assert not outside, outside
        assert not said, said
    finally:
        context.close()


def report_of(page):
    """The frame with the report, once it is there."""
    # Not by wait_for_function(): the page's policy lets nobody evaluate a text.
    page.frame_locator("#report").locator("#vx-viewer:not([hidden])").wait_for()
    return page.frame("report")


def check_a_picture_that_is_dropped(lab):
    with served(lab) as address:
        with opened(lab, address, color_scheme="dark", locale="zh-CN") as page:
            page.locator("#method option").nth(6).wait_for(state="attached")
            assert page.evaluate("document.documentElement.lang") == "zh"
            page.select_option("#method", "gradcam")
            page.evaluate(DROP, base64.b64encode(PICTURE.read_bytes()).decode())
            report = report_of(page)
            assert "gradcam" in report.inner_text("#vx-caption")
            page.locator("#status:not(:empty)").wait_for()
            page.frame_locator("#report").locator("#vx-caption").wait_for()
            page.click("#language")
            assert page.inner_text("#status") == "The report is below."
            assert page.inner_text("#go") == "Explain"


def check_by_keys_alone(lab):
    with served(lab) as address, opened(lab, address) as page:
        order = []
        for _ in range(5):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id"))
        assert order == ["language", "image", "method", "target", "go"], order
        page.set_input_files("#image", str(PICTURE))
        page.locator("#method option").nth(6).wait_for(state="attached")
        page.select_option("#method", "gradcam")
        page.fill("#target", "cactus")
        page.press("#target", "Enter")
        assert "cactus" in report_of(page).inner_text("#vx-caption")


def check_a_text_is_looked_for(lab):
    with served(lab, "--label", "a red circle") as address, opened(lab, address) as page:
        page.locator("#text-row:not([hidden])").wait_for()
        assert page.locator("#target-row").is_hidden()
        assert page.input_value("#method") == "legrad"
        page.set_input_files("#image", str(PICTURE))
        page.fill("#text", "a red circle")
        page.press("#text", "Enter")
        report = report_of(page)
        assert report.locator(".sentence .words").first.text_content() == "a red circle"


def check_a_text_is_told_from_others(lab):
    with served(lab, "--label", "a red circle") as address:
        with opened(lab, address, locale="zh-CN") as page:
            page.locator("#text-row:not([hidden])").wait_for()
            assert page.locator("#among-row").is_hidden()  # legrad compares no texts
            page.select_option("#method", "surgery")
            assert page.inner_text("label[for=among]") == "与哪些文字区分：每行一条（可留空）"
            page.click("#language")
            assert page.inner_text("label[for=among]").startswith("Told from: other texts")
            page.set_input_files("#image", str(PICTURE))
            page.fill("#text", "a red circle")
            page.fill("#among", "a blue star\n\n  @home, sweet home \n")
            page.click("#go")
            line = report_of(page).content()
            assert "--among 'a blue star' --among '@@home, sweet home' " in line, line[:2000]
            page.fill("#among", "")
            page.click("#go")
            page.locator("#status[data-word=done]").wait_for()
            assert "--among" not in report_of(page).content()
            page.select_option("#method", "legrad")
            assert page.locator("#among-row").is_hidden()


def check_nothing_chosen_and_no_picture(lab):
    with served(lab) as address:
        with opened(lab, address) as page:
            page.evaluate("document.getElementById('image').required = false")
            page.click("#go")
            assert page.inner_text("#status") == "Choose a picture first."
            page.evaluate(DROP.replace("image/png", "text/plain"), "YWJj")
            assert page.inner_text("#status") == "This is no JPEG and no PNG."


def check_without_a_script(lab):
    with served(lab) as address, opened(lab, address, java_script_enabled=False) as page:
        page.set_input_files("#image", str(PICTURE))
        with page.expect_response("**/v1/explain*") as answer:
            page.click("#go")
        assert answer.value.status == 200
        assert page.locator("#report").is_visible()


def check_a_key_is_asked_for(lab):
    keys = lab.folder / f"keys-{os.getpid()}"
    keys.write_text("0123456789abcdef\n")
    with served(lab, "--keys", str(keys)) as address:
        context = lab.browser.new_context(accept_downloads=True)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#key-row:not([hidden])")
        page.fill("#key", "0123456789abcdef")
        page.dispatch_event("#key", "change")
        page.locator("#method option").nth(6).wait_for(state="attached")
        page.set_input_files("#image", str(PICTURE))
        with page.expect_download() as download:
            page.click("#go")
        assert 'id="vx-viewer"' in Path(download.value.path()).read_text()
        context.close()
