"""The lab: pages made by vitx-cli, and a browser that looks at them.

Every page is opened offline, and from a file. When a test ends, its pages must have asked for
nothing but that file (data: addresses are part of it) and must have said nothing on the console.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import make
from playwright.sync_api import sync_playwright
from report import Report

HERE = Path(__file__).parent
ROOM = Path(os.environ.get("PAGE_ROOM", "build/page"))
CLI = os.environ.get("PAGE_CLI", "build/vitx-cli")
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "wide": (1440, 900)}


class Lab:
    program = CLI

    def __enter__(self):
        ROOM.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="pages-", dir=ROOM))
        self.made, self.open_pages, self.contexts = {}, [], []
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(executable_path=os.environ["PAGE_BROWSER"])
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ pages --------------------
    def cli(self, *arguments, may_fail=0, **options):
        """Runs vitx-cli; gives what it says on both streams. may_fail: a status that is no failure,
        beside 0."""
        run = subprocess.run(
            [self.program, *map(str, arguments)], check=False, capture_output=True, **options
        )
        if run.returncode not in (0, may_fail):
            said = (run.stderr + run.stdout).decode("utf-8", "replace")
            raise AssertionError(f"vitx-cli {' '.join(map(str, arguments))}: {said[:800]}")
        return (run.stdout + run.stderr).decode("utf-8", "replace")

    def page(self, name):
        """The report of make.RECIPES[name], made once; None if its model is not there."""
        if name not in self.made:
            recipe = make.RECIPES[name](self)
            self.made[name] = recipe and self.make(name, *recipe.all())
            if recipe:
                self.made[name].recipe = recipe
        return self.made[name]

    def make(self, name, *arguments):
        path = self.folder / f"{name}.html"
        self.cli("explain", "--quiet", "-o", path, *arguments)
        return Report(path)

    def array(self, *arguments):
        """The values of the one map that vitx-cli explain makes of these arguments."""
        import numpy as np

        path = self.folder / f"values-{os.getpid()}.npy"
        self.cli("explain", "--quiet", "-o", path, *arguments)
        return np.load(path).astype(np.float64)

    # ------------------------------------------------------------ browser ------------------
    @contextlib.contextmanager
    def test(self, title):
        try:
            yield
            for page in self.open_pages:
                page.is_clean()
        finally:
            for context in self.contexts:
                context.close()
            self.open_pages, self.contexts = [], []

    def open(self, report, fragment="", size="wide", **options):
        """The page of a report, or of a name of make.RECIPES, ready for use. options: those of a
        Playwright context (color_scheme, locale, has_touch, java_script_enabled, ...)."""
        report = self.page(report) if isinstance(report, str) else report
        width, height = SIZES[size] if isinstance(size, str) else size
        options.setdefault("locale", "en-US")
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, offline=True, **options
        )
        context.set_default_timeout(30000)
        context.add_init_script(path=HERE / "probes.js")
        self.contexts.append(context)
        page = Page(context.new_page(), report)
        self.open_pages.append(page)
        page.go(fragment, ready=options.get("java_script_enabled", True))
        return page


class Page:
    """A Playwright page (`.tab`) that keeps what it asks for and says; what is unknown here is the
    tab's."""

    def __init__(self, tab, report):
        self.tab, self.report = tab, report
        self.requests, self.said, self.may_say = [], [], []
        tab.on("request", lambda r: self.requests.append(r.url))
        tab.on("console", lambda m: self.said.append(f"{m.type}: {m.text}"))
        tab.on("pageerror", lambda e: self.said.append(f"error: {e}"))

    def __getattr__(self, name):
        return getattr(self.tab, name)

    def go(self, fragment="", ready=True):
        self.url0 = self.report.path.resolve().as_uri()
        # What a gallery's page may read: the scripts of its shards.
        self.beside = [f.resolve().as_uri() for f in getattr(self.report, "beside", [])]
        self.tab.goto("about:blank")
        self.tab.goto(self.url0 + fragment)
        if ready:
            self.ready()

    def ready(self):
        if not self.tab.evaluate("window.vitx && window.vitx.ready.then(() => true)"):
            raise AssertionError(f"the page's script did not start: {self.said}")

    def is_clean(self):
        strangers = [
            u[:200]
            for u in self.requests
            if u.split("#")[0] not in (self.url0, "about:blank", *self.beside)
            and not u.startswith("data:")
        ]
        assert not strangers, f"the page asks for {strangers[:3]}"
        said = [s for s in self.said if not any(m in s for m in self.may_say)]
        assert not said, f"the page says: {said[:3]}"

    # ------------------------------------------------------------ what it shows ------------
    def state(self):
        return self.tab.evaluate("window.vitx.state()")

    def call(self, name, *arguments):
        """A function of window.vitx; its Float32Array becomes a list."""
        return self.tab.evaluate(
            "([name, args]) => { const r = window.vitx[name](...args);"
            " return r instanceof Float32Array ? Array.from(r) : r; }",
            [name, arguments],
        )

    def rest(self):
        """What the page does a moment later is done: by its own clock, however slow it runs."""
        self.probe("rest", 200)

    def until(self, script):
        """Waits for a condition; the page's policy forbids Playwright's way."""
        end = time.monotonic() + 20
        while not self.tab.evaluate(script):
            assert time.monotonic() < end, f"never: {script}"
            self.tab.wait_for_timeout(50)

    def unfold(self):
        """Opens all that is folded up, and a second map beside the first."""
        self.tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        compare = self.tab.locator("#vx-compare")
        if compare.locator("option").count() > 1:
            compare.select_option(index=1)
        self.settle()

    def probe(self, name, *arguments):
        """What a function of probes.js says."""
        return self.tab.evaluate(
            "([name, args]) => window.probes[name](...args)", [name, arguments]
        )

    def settle(self):
        """Two frames: what an event has caused is on the screen."""
        self.probe("settle")
