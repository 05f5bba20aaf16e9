#!/usr/bin/env python3
"""vitx_ray.py: vitx-cli batch on a Ray cluster; and a callable for Ray Data.

    vitx_ray.py [--workers N|auto] [--threads T] [--retries R] [--address A] [--vitx PROGRAM] -- \\
        -m MODEL --do classify,explain --method rollout --out DIR INPUT...

What stands behind "--" is what vitx-cli batch gets. Ray hands out numbers of shards and nothing
else: no picture and no map goes through its object store. Each worker is an actor that runs
`vitx-cli batch --shards NUMBER` on its node, so every node must see the program, the model, the
inputs and DIR under the same paths. What is done and what is not stands in DIR/state, not in Ray: a
driver that was killed is started again with the same command, and goes on.

Exit status: that of vitx-cli batch. 0: all is done; 1: done, and some inputs failed (failed.jsonl);
2: wrong usage, or DIR holds another run; 75: not all is done, the same command goes on with it.

In a program: run(arguments, workers=..., threads=...) does the same and returns the status;
Explainer is for map_batches. Needs ray; Explainer with maps also needs numpy.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import ray
from ray.exceptions import RayError

DONE, SOME_FAILED, USAGE, STOPPED = 0, 1, 2, 75
ACTOR_LOST = -1  # not a status of vitx-cli: the worker is gone, and nobody knows what it said
LOOK_AGAIN = 5  # seconds between two looks at how large the cluster is
PATIENCE = 30  # seconds without a worker, before that is said


# ------------------------------------------------------------------ on a node ----------------
def _end_with_parent():
    """In a child before its program: when the actor dies, however it dies, vitx-cli gets SIGTERM,
    keeps what it has and gives its shard back."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(STOPPED)


def _call(program, arguments, threads):
    """Runs vitx-cli batch: its status, the end of what it said, and its standard output."""
    command = [program, "batch", "--threads", str(threads), "--progress", "none", *arguments]
    environment = dict(os.environ)
    environment.pop("OMP_NUM_THREADS", None)  # Ray sets it; --threads is what counts
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            preexec_fn=_end_with_parent,
            check=False,
        )
    except OSError as error:
        return USAGE, f"{program}: {error.strerror}", b""
    said = done.stderr.decode("utf-8", "replace").strip()
    return done.returncode, "\n".join(said.splitlines()[-5:]), done.stdout


class _Worker:
    """An actor. It does one shard after the other, as the driver gives them out."""

    def __init__(self, program, arguments, threads, folder):
        self.program, self.arguments, self.threads = program, arguments, threads
        self.state = Path(folder) / "state"

    def ready(self):
        """Answers once there is room for this actor."""

    def plan(self):
        """Makes the plan, or compares it with the one that is there: status, words, and for each
        shard what do() says of it, None if it is not done."""
        arguments = [*self.arguments, "--plan-only"]
        status, said, plan = _call(self.program, arguments, self.threads)
        if status != DONE:
            return status, said, []
        shards = json.loads(plan)["shards"]
        if shards is None:
            return USAGE, "a stream is read from its beginning: it has no shards to give out", []
        return status, said, [self._marker(i) for i in range(shards)]

    def do(self, shard):
        """A shard: status, words, and if it is done now [inputs, failed]."""
        arguments = [a for a in self.arguments if a != "--restart"]  # which the plan did
        arguments += ["--shards", str(shard)]
        status, said, _ = _call(self.program, arguments, self.threads)
        if status == STOPPED:
            time.sleep(1)  # another one does it, or there is no room: not at once again
        return status, said, self._marker(shard)

    def _marker(self, shard):
        try:
            with open(self.state / f"{shard:05}.done", encoding="utf-8") as file:
                marker = json.load(file)
            return [int(marker["inputs"]), int(marker["failed"])]
        except (OSError, ValueError, KeyError):
            return None


# ------------------------------------------------------------------ the driver ---------------
class _Run:
    """Which shards are to be done, which worker does which, and what came of it."""

    def __init__(self, program, arguments, folder, workers, threads, retries, say):
        self.make = (program, arguments, threads, folder)
        self.wanted, self.threads, self.retries, self.say = workers, threads, retries, say
        # Actors; those that wait for room, by the reference of ready(); reference -> (actor, shard).
        self.idle, self.hiring, self.busy = [], {}, {}
        self.queue, self.tries = deque(), {}
        self.done = self.failed = self.pictures = self.already = self.total = self.given_up = 0
        self.looked, self.began = 0.0, time.monotonic()

    def hire(self):
        """Workers as wanted; with "auto" as many as there are processors for, also on nodes that
        came later. Nobody gets a shard before there is room for him."""
        now = time.monotonic()
        if self.looked and now - self.looked < LOOK_AGAIN:
            return
        self.looked = now
        wanted = self.wanted
        if wanted == "auto":
            wanted = max(1, int(ray.cluster_resources().get("CPU", 0) // self.threads))
        have = len(self.idle) + len(self.hiring) + len(self.busy)
        kind = ray.remote(num_cpus=self.threads)(_Worker)
        for _ in range(have, min(wanted, len(self.busy) + len(self.queue))):
            actor = kind.remote(*self.make)
            self.hiring[actor.ready.remote()] = actor

    def dismiss(self, actor):
        """Of a worker that was lost; another one is hired."""
        ray.kill(actor)
        self.looked = 0.0

    def welcome(self, reference):
        actor = self.hiring.pop(reference)
        try:
            ray.get(reference)
            self.idle.append(actor)
        except RayError:
            self.dismiss(actor)

    def wait(self):
        """What has come in a second, from workers that wait for room and from those at work."""
        ready, _ = ray.wait([*self.hiring, *self.busy], num_returns=1, timeout=1)
        for reference in ready:
            if reference in self.hiring:
                self.welcome(reference)
        return [reference for reference in ready if reference in self.busy]

    def first_worker(self):
        self.queue.append(None)  # so that hire() finds work for one
        began, said = time.monotonic(), False
        while not self.idle:
            self.hire()
            self.wait()
            if not said and time.monotonic() - began > PATIENCE:
                said = True
                self.say(f"waits for a node with {self.threads} free processors")
        self.queue.clear()
        return self.idle[0]

    def make_plan(self):
        """The plan, made by a worker: the driver's machine need not see the inputs."""
        for attempt in range(self.retries + 1):
            actor = self.first_worker()
            try:
                status, said, done = ray.get(actor.plan.remote())
            except RayError as error:
                status, said, done = STOPPED, str(error).splitlines()[0], []
                self.idle.remove(actor)
                self.dismiss(actor)
            if status != STOPPED or attempt == self.retries:
                break
            time.sleep(1)
        return status, said, done

    def plan(self):
        status, said, done = self.make_plan()
        if status != DONE:
            self.say(said)
            return status if status in (USAGE, STOPPED) else STOPPED
        self.total, self.looked = len(done), 0.0
        again = "--retry-failed" in self.make[1]
        for shard, marker in enumerate(done):
            if marker is None or (again and marker[1]):
                self.queue.append(shard)
            else:
                self.count(marker)
        self.already = self.pictures
        return DONE

    def count(self, marker):
        self.done += 1
        self.pictures += marker[0]
        self.failed += marker[1]

    def give_out(self):
        while self.idle and self.queue:
            actor, shard = self.idle.pop(), self.queue.popleft()
            self.busy[actor.do.remote(shard)] = (actor, shard)

    def again(self, shard, why):
        """Another try, behind all others; not without end."""
        self.tries[shard] = self.tries.get(shard, 0) + 1
        if self.tries[shard] <= self.retries:
            self.queue.append(shard)
        else:
            self.given_up += 1
            self.say(f"shard {shard} was given up after {self.retries + 1} tries: {why}")

    def take(self, reference):
        """What came of a shard. False: the run cannot go on."""
        actor, shard = self.busy.pop(reference)
        try:
            status, said, marker = ray.get(reference)
            self.idle.append(actor)
        except RayError as error:
            status, said, marker = ACTOR_LOST, str(error).splitlines()[0], None
            self.dismiss(actor)
        if status == USAGE:
            self.say(said)
            return False
        if status in (DONE, SOME_FAILED) and marker is not None:
            self.count(marker)
        else:
            self.again(shard, said or f"status {status}")
        return True

    def progress(self, end="\r"):
        seconds = time.monotonic() - self.began
        rate = (self.pictures - self.already) / seconds if seconds else 0
        line = f"{self.done} of {self.total} shards, {self.failed} pictures failed, {rate:.1f}/s"
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="" if end == "\r" else "\n", file=sys.stderr, flush=True)
        elif end != "\r":
            print(line, file=sys.stderr, flush=True)

    def go(self):
        status = self.plan()
        if status != DONE:
            return status
        while self.queue or self.busy:
            self.hire()
            self.give_out()
            if not all([self.take(reference) for reference in self.wait()]):
                return USAGE
            self.progress()
        self.progress("\n")
        return STOPPED if self.given_up else SOME_FAILED if self.failed else DONE


def _say(text):
    print(f"vitx_ray: {text}", file=sys.stderr, flush=True)


def _folder_of(arguments):
    for i, word in enumerate(arguments):
        if word == "--out" and i + 1 < len(arguments):
            return arguments[i + 1]
        if word.startswith("--out="):
            return word[len("--out=") :]
    return None


def run(arguments, workers="auto", threads=1, retries=3, program="vitx-cli", say=_say):
    """vitx-cli batch ARGUMENTS on the cluster that ray.init() has connected to; its status."""
    arguments = [os.fspath(a) for a in arguments]
    folder = _folder_of(arguments)
    forbidden = {"--shard", "--shards", "--threads", "--progress"} & set(arguments)
    if folder is None or forbidden or "-" in arguments:
        say(
            "--out DIR is missing" if folder is None
            else f"{forbidden.pop()} is what this program sets" if forbidden
            else "standard input is not on the nodes: write the list into a file, @FILE"
        )  # fmt: skip
        return USAGE
    work = _Run(program, arguments, folder, workers, threads, retries, say)
    return work.go()


# ------------------------------------------------------------------ Ray Data -----------------
class Explainer:
    """For map_batches: adds columns to batches that have a column of encoded pictures.

        dataset.map_batches(Explainer, fn_constructor_kwargs={"method": "rollout"},
                            concurrency=2, num_cpus=4, batch_size=64)

    Columns: label, index, probability (of the best class), error (None: there was none) and, with a
    method (one), map (float32 [height, width]; None if it failed). What goes wrong with a picture, or
    with the whole batch, is in `error`, and never raised. Each batch is written to a temporary folder and
    a vitx-cli is started for it, which opens the model anew: worth it for batches of many pictures
    and for methods that take long; run() has no such cost.
    """

    def __init__(self, model=None, method=None, column="bytes", program="vitx-cli", threads=1,
                 more=()):  # fmt: skip
        self.column, self.program, self.threads, self.method = column, program, threads, method
        self.arguments = ["--do", "classify,explain" if method else "classify", *more]
        if model:
            self.arguments += ["-m", os.fspath(model)]
        if method:
            self.arguments += ["--method", method, "--name", "{path}.npy"]

    def __call__(self, batch):
        count = len(batch[self.column])
        rows = [{} for _ in range(count)]
        try:
            with tempfile.TemporaryDirectory(prefix="vitx-") as folder:
                trouble = self._fill(rows, batch[self.column], Path(folder))
        except Exception as error:  # whatever it is, it is an answer and not the end of the run
            trouble = f"{type(error).__name__}: {error}"
        return {**batch, **self._columns(rows, trouble)}

    def _fill(self, rows, pictures, folder):
        """Puts what vitx-cli says into the rows; says why there is nothing, if there is nothing.
        Whatever the names say, vitx-cli looks at what is in the files."""
        (folder / "in").mkdir()
        for i, data in enumerate(pictures):
            (folder / "in" / f"{i:08}.png").write_bytes(bytes(data))
        arguments = [*self.arguments, "--out", str(folder / "out"), str(folder / "in")]
        status, said, _ = _call(self.program, arguments, self.threads)
        out = folder / "out"
        for path in [*out.glob("*.predictions.jsonl"), *out.glob("failed.jsonl")]:
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                rows[int(Path(row["image"]).stem)] = row
        if self.method:
            self._maps(rows, out)
        return None if status in (DONE, SOME_FAILED) else said or f"vitx-cli ended with {status}"

    def _maps(self, rows, out):
        import numpy as np

        for path in (out / "maps").rglob("*.npy"):
            rows[int(path.stem)]["map"] = np.load(path)

    def _columns(self, rows, trouble):
        columns = {"label": [], "index": [], "probability": [], "error": []}
        if self.method:
            columns["map"] = []
        for row in rows:
            best = (row.get("predictions") or [{}])[0]
            columns["label"].append(best.get("label"))
            columns["index"].append(best.get("index", -1))
            columns["probability"].append(best.get("probability"))
            error = row.get("error")
            columns["error"].append(error if row else trouble or "no answer")
            if self.method:
                columns["map"].append(row.get("map"))
        return columns


# ------------------------------------------------------------------ the command --------------
def _stop(signum, _):
    raise KeyboardInterrupt(signum)


def main(words):
    own = words[: words.index("--")] if "--" in words else words
    parser = argparse.ArgumentParser(
        prog="vitx_ray.py", usage="%(prog)s [options] -- ARGUMENTS OF vitx-cli batch"
    )
    parser.add_argument("--workers", default="auto", help="actors; auto: as many as fit")
    parser.add_argument("--threads", type=int, default=1, help="threads and CPUs of each actor")
    parser.add_argument("--retries", type=int, default=3, help="further tries of a shard")
    parser.add_argument("--address", default=None, help="of the cluster; none: a local one")
    parser.add_argument("--vitx", default="vitx-cli", help="the program, on every node")
    options = parser.parse_args(own)
    arguments = words[len(own) + 1 :]
    if options.workers != "auto":
        if not options.workers.isdigit() or int(options.workers) < 1:
            parser.error("--workers takes a number from 1 on, or auto")
        options.workers = int(options.workers)
    if options.threads < 1 or options.retries < 0 or not arguments:
        parser.error("what vitx-cli batch is to do stands behind --; --threads is from 1 on")
    ray.init(address=options.address, log_to_driver=False, logging_level="ERROR")
    signal.signal(signal.SIGTERM, _stop)  # behind init(), which sets a handler of its own
    try:
        return run(arguments, options.workers, options.threads, options.retries, options.vitx)
    except KeyboardInterrupt:
        _say("stopped; the same command goes on")
        return STOPPED
    finally:
        ray.shutdown()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
