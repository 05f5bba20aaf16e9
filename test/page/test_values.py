"""What the page's script decodes and computes: against report.py, which reads the same file, and
against vitx-cli. test_file.py holds the file itself against the truth."""

import make
import numpy as np
from report import step

EXACT = 1e-6  # both decode the same bytes; the page has 32-bit floats


def all_rows(page, layer, heads, tokens):
    """[H,T,T] of a layer as the page gives it."""
    flat = page.tab.evaluate(
        """([layer, heads, tokens]) => {
            const out = new Float32Array(heads * tokens * tokens);
            for (let h = 0; h < heads; h++)
                for (let q = 0; q < tokens; q++)
                    out.set(window.vitx.row(layer, h, q), (h * tokens + q) * tokens);
            return Array.from(out);
        }""",
        [layer, heads, tokens],
    )
    return np.array(flat).reshape(heads, tokens, tokens)


def close(found, expected, what, bound=EXACT):
    assert found is not None, f"{what}: the page has none"
    found = np.array(found, np.float64)
    assert found.shape == expected.shape, f"{what}: {found.shape}, expected {expected.shape}"
    error = np.abs(found - expected).max()
    assert error <= bound, f"{what}: off by {error:.3g}"


def check_every_row_of_every_head(lab):
    for name in (
        "plain",
        "clip",
        "siglip",
        "map-class",
        "registers",
        "oblong",
        "no-class",
        "distilled",
    ):
        page = lab.open(name)
        r, p = page.report, page.report.picture()
        for layer in range(r.manifest["model"]["layers"]):
            a = r.attention(p, layer)
            close(all_rows(page, layer, *a.shape[:2]), a, f"{name}, layer {layer}")


def check_several_queries_of_large_models(lab):
    """Rows, columns and means against vitx-cli's own .npy, within the coding's step."""
    for name in ("scenes", "deit"):
        if lab.page(name) is None:  # the real model is not here
            continue
        page = lab.open(name)
        r, p = page.report, page.report.picture()
        m, prefix, columns = r.manifest["model"], p["prefix"], p["grid"][1]
        for query, token in (("cls", 0), ("0,0", prefix), ("6,7", prefix + 6 * columns + 7)):
            truth = lab.array(
                *r.recipe.source(),
                "--method",
                "attention",
                "--layer",
                "all",
                "--head",
                "all",
                "--query",
                query,
            ).reshape(m["layers"], m["heads"], -1)
            for layer in range(m["layers"]):
                for head in range(m["heads"]):
                    row = np.array(page.call("row", layer, head, token))[prefix:]
                    over = np.abs(row - truth[layer, head]) / step(truth[layer, head], 0)
                    assert over.max() <= 1, (
                        f"{name} {query} layer {layer} head {head}: {over.max():.2f} steps"
                    )
                mean = np.array(page.call("row", layer, "mean", token))[prefix:]
                a = r.attention(p, layer)[:, token, prefix:].mean(axis=0)
                close(mean, a, f"{name} {query}, layer {layer}, mean")


def check_attended_by_is_a_column(lab):
    for name in ("plain", "registers"):
        page = lab.open(name)
        p = page.report.picture()
        for layer in (0, 1):
            a = page.report.attention(p, layer)
            for key in (0, p["prefix"], p["tokens"] - 1):
                close(
                    page.call("column", layer, 1, key),
                    a[1, :, key],
                    f"{name}: who attends to {key}",
                )
                close(
                    page.call("column", layer, "mean", key),
                    a[:, :, key].mean(axis=0),
                    f"{name}: mean, {key}",
                )


def check_class_query(lab):
    """The row that the model's head reads: a token, the mean of both, or that of the patches."""
    for name, tokens in (("plain", [0]), ("distilled", [0, 1]), ("no-class", None)):
        page = lab.open(name)
        p = page.report.picture()
        a = page.report.attention(p, 0)
        rows = a[:, p["prefix"] :] if tokens is None else a[:, tokens]
        close(
            page.call("row", 0, 2 if name != "no-class" else 1, "class"),
            rows[2 if name != "no-class" else 1].mean(axis=0),
            name,
        )


def check_maps(lab):
    for name in ("scenes", "plain", "oblong", "clip"):
        page = lab.open(name)
        p = page.report.picture()
        for i, m in enumerate(p["maps"]):
            found = page.tab.evaluate(
                """i => {
                    const m = window.vitx.map(i);
                    return {shape: Array.from(m.shape), values: Array.from(m.values)};
                }""",
                i,
            )
            assert found["shape"] == m["shape"], (name, m["method"])
            truth = page.report.map(p, i)
            close(
                found["values"],
                truth.reshape(-1),
                f"{name}, {m['method']}",
                max(1e-7 * np.abs(truth).max(), 1e-30),
            )


def check_features_as_colours(lab):
    """Each component from its least value to its largest, as red, green and blue."""
    page = lab.open("features")
    p = page.report.picture()
    assert p["maps"][0]["code"] == "u8rgb"
    raw = lab.array(*page.report.recipe.source(), "--method", "features")
    low, high = raw.min(axis=(0, 1)), raw.max(axis=(0, 1))
    truth = (raw - low) / (high - low)
    found = np.array(page.evaluate("Array.from(window.vitx.map(0).values)")).reshape(truth.shape)
    assert np.abs(found - truth).max() <= 0.5 / 255 + 1e-4
    size, rgb = page.evaluate("""() => {
        const c = document.getElementById('vx-over');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height);
        return [[c.height, c.width], Array.from(d.data).filter((_, i) => i % 4 < 3)];
    }""")
    assert size == p["grid"]
    assert np.abs(np.array(rgb).reshape(truth.shape) - 255 * truth).max() <= 0.51


def check_live_rollout(lab):
    """What the page computes is rollout() of the same bytes, and near the method: make.ROLLOUTS."""
    for name in ("scenes", "deit"):
        if lab.page(name) is None:  # the real model is not here
            continue
        page = lab.open(name)
        r, p = page.report, page.report.picture()
        for first, fusion, discard in make.ROLLOUTS:
            what = f"{name}, first {first}, {fusion}, discard {discard}"
            asked = {"first": first, "fusion": fusion, "discard": discard}
            found = np.array(page.call("rollout", asked))
            same = r.rollout(p, slice(0, 1), first, fusion, discard)
            close(found, same, what, same.max() * 1e-4)
            settings = [f"start={first}", f"fuse={fusion}", f"discard={discard}"]
            given = [word for s in settings for word in ("--set", s)]
            truth = lab.array(*r.recipe.source(), "--method", "rollout", *given).reshape(-1)
            close(found, truth, what, make.ROLLOUT_BOUND * truth.max())


def check_rollout_of_other_heads(lab):
    """Pooling by a mean, by two tokens, by a head of its own: the page's class row is the model's."""
    for name in ("no-class", "distilled", "registers", "oblong", "siglip", "map-class"):
        page = lab.open(name)
        for fusion, discard in (("mean", 0), ("max", 0), ("min", 0), ("mean", 0.5), ("min", 0.8)):
            given = ["--set", f"fuse={fusion}", "--set", f"discard={discard}"]
            truth = lab.array(*page.report.recipe.source(), "--method", "rollout", *given)
            truth = truth.reshape(-1)
            close(
                page.call("rollout", {"first": 0, "fusion": fusion, "discard": discard}),
                truth,
                f"{name}, {fusion}, discard {discard}",
                make.ROLLOUT_BOUND * truth.max(),
            )
