#!/usr/bin/env python3
"""faults.py [CASE...]: tools/ray/vitx_ray.py on a Ray cluster of several nodes on this machine, while
things go wrong. Run it from the repository's root, with a Python that has ray (docs/scale.md).

Every case must leave what one process without Ray leaves: each picture exactly once, in the rows or
in failed.jsonl, and all outputs equal byte for byte. A case whose fault did not come about (the run
was over before) fails. The nodes have a processor each, whatever the machine has: this proves what
is written, never how fast. Not part of `make check`: Ray takes 600 MB.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

PROGRAM = Path(os.environ.get("OUT", "build")).resolve() / "vitx-cli"
DRIVER = Path("tools/ray/vitx_ray.py").resolve()
SCENES = Path("docs/images/scenes").resolve()
PICTURES, BROKEN, SHARD = 48, 3, 4
LIMIT = 240  # seconds of a case


def work(inputs):
    """What is done: some forward passes a picture, so that a shard takes a second or two."""
    return ["--do", "classify,explain", "--method", "rise,rollout", "--set", "n=4",
            "--write", "tar", "--shard-size", SHARD, inputs]  # fmt: skip


def make_inputs(folder):
    folder.mkdir()
    for i in range(PICTURES):
        name = ("one.png", "two.png", "wrong.png")[i % 3]
        shutil.copyfile(SCENES / name, folder / f"{i:04}.png")
    for i in range(BROKEN):
        (folder / f"broken {i}.png").write_text(f"no picture {i}")


# ------------------------------------------------------------------ what there is ------------
def outputs(folder):
    """Every file that a run leaves but for its state, by name."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("state/"):
            files[name] = path.read_bytes()
    return files


def keys(folder):
    """Every picture that has an answer or an error, as often as it has one."""
    import tarfile

    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found += [m.name[: -len(".json")] for m in tar if m.name.endswith(".json")]
    failed = (folder / "failed.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted(found + [json.loads(line)["key"] for line in failed])


class Lab:
    def __init__(self, room):
        self.room, self.number = room, 0
        self.inputs = room / "in"
        make_inputs(self.inputs)
        self.whole = room / "one process"
        run = subprocess.run(
            [PROGRAM, "batch", "--threads", "1", "--out", self.whole, "--progress", "none",
             *map(str, work(self.inputs))],
            check=False,
        )  # fmt: skip
        assert run.returncode == 1, f"the run without Ray ended with {run.returncode}"
        assert len(keys(self.whole)) == PICTURES + BROKEN

    @contextlib.contextmanager
    def cluster(self, nodes=2):
        """A head without processors, which therefore does no shard, and nodes with one each."""
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            self.nodes = [cluster.add_node(num_cpus=1) for _ in range(nodes)]
            cluster.wait_for_nodes()
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()

    def folder(self):
        self.number += 1
        return self.room / f"out {self.number}"

    def driver(self, cluster, out, *more):
        command = [sys.executable, DRIVER, "--address", cluster.address, "--vitx", PROGRAM,
                   *more, "--", *work(self.inputs), "--out", out]  # fmt: skip
        return subprocess.Popen([str(c) for c in command])

    def equal(self, out):
        assert keys(out) == keys(self.whole), "a picture is missing, or is there twice"
        ours, theirs = outputs(out), outputs(self.whole)
        assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
        different = [n for n in ours if ours[n] != theirs[n] and n != "plan.json"]
        assert not different, f"other bytes: {different}"

    def ends(self, driver, status, out):
        said = driver.wait(timeout=LIMIT)
        assert said == status, f"status {said}, expected {status}"
        self.equal(out)


def shards_done(out):
    return len(list((out / "state").glob("*.done")))


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def under_way(out):
    """[(process, parent)] of every vitx-cli that does a shard of that run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"--shards" in words and os.fsencode(out) in words:
                    stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    found.append((int(entry.name), int(stat[1])))
    return found


def in_the_middle(out, shards=2):
    """Some shards are done, and one is under way; it has begun to write."""
    wait_for("a shard in the middle of a run", lambda: shards_done(out) >= shards and under_way(out))
    time.sleep(0.3)
    assert shards_done(out) < PICTURES // SHARD, "the run was over before the fault"


# ------------------------------------------------------------------ the cases ----------------
def case_plain(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        lab.ends(lab.driver(cluster, out), 1, out)
        lab.ends(lab.driver(cluster, out), 1, out)  # once more: nothing is left to do


def case_actor_killed(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        driver = lab.driver(cluster, out)
        for _ in range(3):
            in_the_middle(out)
            os.kill(under_way(out)[0][1], signal.SIGKILL)
            time.sleep(1)
        lab.ends(driver, 1, out)


def case_vitx_killed(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        driver = lab.driver(cluster, out)
        for _ in range(3):
            in_the_middle(out)
            with contextlib.suppress(ProcessLookupError):
                os.kill(under_way(out)[0][0], signal.SIGKILL)
            time.sleep(0.5)
        lab.ends(driver, 1, out)


def case_node_lost(lab):
    """A node goes, in the middle of a shard, and another one comes."""
    out = lab.folder()
    with lab.cluster() as cluster:
        driver = lab.driver(cluster, out)
        in_the_middle(out)
        cluster.remove_node(lab.nodes[0], allow_graceful=False)
        time.sleep(1)
        cluster.add_node(num_cpus=1)
        lab.ends(driver, 1, out)


def case_driver_killed(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        for done in (1, 4):
            driver = lab.driver(cluster, out)
            in_the_middle(out, done)
            driver.kill()
            driver.wait()
            before = shards_done(out)
            wait_for("the workers end with the driver", lambda: not under_way(out))
            assert shards_done(out) <= before + 2, "the workers went on without their driver"
        lab.ends(lab.driver(cluster, out), 1, out)


def case_interrupted(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        driver = lab.driver(cluster, out)
        in_the_middle(out)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(timeout=60) == 75
        lab.ends(lab.driver(cluster, out), 1, out)


def case_two_drivers(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        drivers = [lab.driver(cluster, out, "--workers", 1, "--retries", 50) for _ in range(2)]
        assert sorted(d.wait(timeout=LIMIT) for d in drivers) == [1, 1]
        lab.equal(out)


def case_disk_full(lab):
    out = lab.folder()
    out.mkdir()
    whole = sum(len(data) for data in outputs(lab.whole).values())
    size = whole // 2048  # KiB: half of what is needed
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", out]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        print("      disk full: not tried, no file system can be mounted here")
        return
    try:
        with lab.cluster() as cluster:
            driver = lab.driver(cluster, out, "--retries", 1)
            said = driver.wait(timeout=LIMIT)
            assert said == 75, f"status {said}, expected 75"
            assert shards_done(out) < PICTURES // SHARD, "the disk was not full"
            subprocess.run(["mount", "-o", "remount,size=1g", out], check=True)
            lab.ends(lab.driver(cluster, out), 1, out)
    finally:
        subprocess.run(["umount", out], check=True)


def case_wrong_usage(lab):
    out = lab.folder()
    with lab.cluster() as cluster:
        assert lab.driver(cluster, out, "--threads", "1").wait(timeout=LIMIT) == 1
        other = [sys.executable, DRIVER, "--address", cluster.address, "--vitx", PROGRAM, "--",
                 "--do", "classify", "--out", out, lab.inputs]  # fmt: skip
        said = subprocess.run([str(c) for c in other], check=False, capture_output=True)
        assert said.returncode == 2, said
        lab.equal(out)


def case_explainer(lab):
    """A batch of encoded pictures gets columns; whatever is wrong with it, nothing is raised."""
    sys.path.insert(0, str(DRIVER.parent))
    from vitx_ray import Explainer

    data = [(SCENES / "one.png").read_bytes(), b"no picture", (SCENES / "two.png").read_bytes(), b""]
    explain = Explainer(method="rollout", program=str(PROGRAM))
    got = explain({"bytes": data, "number": [1, 2, 3, 4]})
    assert got["number"] == [1, 2, 3, 4] and got["bytes"] is data
    assert [e is None for e in got["error"]] == [True, False, True, False], got["error"]
    assert got["label"][0] == "hot-air balloon" and got["probability"][0] > 0.99, got["label"]
    assert got["map"][0].shape == (14, 14) and got["map"][1] is None
    for broken in (Explainer(method="no such method", program=str(PROGRAM)),
                   Explainer(program="/no/such/program"), Explainer(model="/no/model")):  # fmt: skip
        said = broken({"bytes": data})
        assert all(said["error"]) and len(said["error"]) == 4, said
    try:
        import ray.data
    except ImportError:
        print("      Ray Data is not installed: Explainer was called without it")
        return
    with lab.cluster() as cluster:
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False,
                 runtime_env={"env_vars": {"PYTHONPATH": str(DRIVER.parent)}})  # fmt: skip
        rows = ray.data.from_items([{"bytes": d, "number": i} for i, d in enumerate(data * 4)])
        found = rows.map_batches(
            Explainer, fn_constructor_kwargs={"method": "rollout", "program": str(PROGRAM)},
            batch_size=4, num_cpus=1, compute=ray.data.ActorPoolStrategy(size=1),
        ).take_all()  # fmt: skip
        assert sorted(r["number"] for r in found) == list(range(16))
        assert all((r["error"] is None) == (r["number"] % 2 == 0) for r in found)


def main(wanted):
    cases = {n[len("case_") :]: f for n, f in globals().items() if n.startswith("case_")}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="vitx-ray-") as room:
        lab = Lab(Path(room))
        for name, case in cases.items():
            if wanted and name not in wanted:
                continue
            began = time.monotonic()
            try:
                case(lab)
                print(f"ok    {name} ({time.monotonic() - began:.0f} s)", flush=True)
            except Exception as error:  # a case's failure is a line, and the others are tried
                failed += 1
                print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
