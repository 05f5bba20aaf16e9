"""How quick a report page is, in a browser: the figures of docs/performance.md.

    PAGE_SCRIPT=tools/bench/page.py test/page/check.sh [MODEL [PICTURE [RUNS]]]

Makes the page of one picture with everything in it, opens it RUNS times (50), and prints medians,
and the quickest and slowest of each. MODEL: a folder; without one, the bundled model.
"""

import random
import resource
import statistics
import sys
import time

from lab import Lab

WHAT = ("--method", "generic,gradcam,rollout,attention,saliency", "--target", "top2")


def say(what, values, unit="ms"):
    print(
        f"{what:<52} {statistics.median(values):8.2f} {min(values):8.2f} {max(values):8.2f} {unit}"
    )


def written(lab, source, runs):
    """Seconds of vitx-cli with a page and with the same maps as .npy files, in turn."""
    page, maps = lab.folder / "bench.html", lab.folder / "{method}.{target}.npy"
    wall, busy = {page: [], maps: []}, {page: [], maps: []}
    for _ in range(runs):
        for out in (maps, page):
            start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            lab.cli("explain", "--quiet", *WHAT, "-o", out, *source)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            wall[out].append(time.monotonic() - start)
            busy[out].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for what, seconds in (("", wall), (", processor time", busy)):
        say(f"the command, maps as .npy{what}", seconds[maps], "s")
        say(f"the command, a page{what}", seconds[page], "s")
        more = [a - b for a, b in zip(seconds[page], seconds[maps])]
        say(f"a page more than its maps{what}", more, "s")
    return lab.make("bench", *WHAT, *source)


TIMED_ROLLOUT = """asked => {
    const start = performance.now();
    window.vitx.rollout(asked);
    return performance.now() - start;
}"""


def opening(lab, report, runs):
    painted, by_script, all_of_it, first_time = [], [], [], []
    for _ in range(runs):
        with lab.test("opening"):
            page = lab.open(report)
            times = page.evaluate("""() => window.vitx.ready.then(() => ({
                paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
                first: performance.getEntriesByName('vx-first')[0].startTime}))""")
            all_of_it.append(page.evaluate("performance.now()"))
            # Drawn by the script, and a frame has been painted since.
            painted.append(max(times["paint"] or 0, times["first"]))
            by_script.append(times["first"])
            first_time.append(page.evaluate(TIMED_ROLLOUT, {"fusion": "mean"}))
    say("opening: the first map is on the screen", painted)
    say("opening: the script has drawn the first map", by_script)
    say("opening: all attention decoded (at most)", all_of_it)
    say("live rollout, the first one of a page, mean", first_time)


def hovering(lab, report, runs):
    with lab.test("hovering"):
        page = lab.open(report)
        box = page.locator("[role=grid]").first.bounding_box()
        gh, gw = report.picture()["grid"]
        chance = random.Random(1)
        page.evaluate("performance.clearMeasures('vx-hover')")
        for _ in range(runs):
            row, column = chance.randrange(gh), chance.randrange(gw)
            page.mouse.move(
                box["x"] + box["width"] * (column + 0.5) / gw,
                box["y"] + box["height"] * (row + 0.5) / gh,
            )
            page.settle()
        times = page.evaluate("performance.getEntriesByName('vx-hover').map(e => e.duration)")
        assert len(times) >= runs * 0.8, f"{len(times)} measures of {runs} patches"
        say(f"a hovered patch repaints every head ({len(times)})", times)


def rolling(lab, report, runs):
    """All blocks, each time with another setting: the page keeps the last answer."""
    with lab.test("rolling"):
        page = lab.open(report)
        for fusion, discard in (("mean", 0), ("max", 0), ("mean", 0.5)):
            times = []
            for i in range(runs + 1):
                asked = {"first": i % 2, "fusion": fusion, "discard": discard}
                times.append(page.evaluate(TIMED_ROLLOUT, asked))
            say(f"live rollout, heads fused before, {fusion}, discard {discard}", times[1:])


def main():
    arguments = sys.argv[1:]
    model = ["-m", arguments[0]] if arguments else []
    picture = arguments[1] if len(arguments) > 1 else "docs/images/scenes/two.png"
    runs = int(arguments[2]) if len(arguments) > 2 else 50
    print(f"{'':<52} {'median':>8} {'least':>8} {'most':>8}")
    with Lab() as lab:
        report = written(lab, [*model, picture], max(5, runs // 5))
        print(f"{'the file':<52} {report.path.stat().st_size / 1e6:8.2f} {'':>17} MB")
        opening(lab, report, runs)
        hovering(lab, report, runs)
        rolling(lab, report, runs)


if __name__ == "__main__":
    main()
