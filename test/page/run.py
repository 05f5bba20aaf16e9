"""run.py [PART...]: runs the browser tests: every function check_* of every test_*.py here.

A test gets a Lab (lab.py): pages made by vitx-cli, and a browser to open them in. It fails by an
exception; what a page asks of the network or says on its console fails it, too (lab.py). Each PART
is the beginning of "file.function" or of "function"; without one, all run. One process for each
processor, four at most.
"""

import importlib
import multiprocessing
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
LIMIT = 120  # seconds of a test


def tests(parts):
    found = []
    for file in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(file.stem)
        for name, function in vars(module).items():
            if name.startswith("check_"):
                title = f"{file.stem.removeprefix('test_')}.{name.removeprefix('check_')}"
                if not parts or any(
                    title.startswith(p) or name.startswith(f"check_{p}") for p in parts
                ):
                    found.append((title, function))
    return found


def work(parts, next_one, results):
    """Takes tests off the list until none is left."""
    from lab import Lab

    with Lab() as lab:
        all_tests = tests(parts)
        while True:
            with next_one.get_lock():
                i = next_one.value
                next_one.value += 1
            if i >= len(all_tests):
                break
            title, function = all_tests[i]
            start, error = time.monotonic(), None
            results.put((title, None, None))
            # A call into the browser has no end of its own.
            watch = threading.Timer(LIMIT, os._exit, [1])
            watch.daemon = True
            watch.start()
            try:
                with lab.test(title):
                    function(lab)
            except Exception as e:  # a test's failure, of whatever kind, is a line of the report
                error = said(e)
            watch.cancel()
            results.put((title, time.monotonic() - start, error))
    results.put(None)


def said(e):
    """The failure in a few lines: where in the tests, and what."""
    here = [f for f in traceback.extract_tb(e.__traceback__) if str(HERE) in f.filename]
    where = f"{Path(here[-1].filename).name}:{here[-1].lineno}: {here[-1].line}" if here else ""
    text = str(e).split("Call log:")[0].strip() or type(e).__name__
    return f"{where}\n        {text[:1500]}"


def main():
    parts = sys.argv[1:]
    if not tests(parts):
        sys.exit(f"check-page: no test is called {' or '.join(parts)}")
    context = multiprocessing.get_context("spawn")
    next_one, results = context.Value("i", 0), context.Queue()
    count = min(len(tests(parts)), int(os.environ.get("JOBS", "0")) or os.cpu_count() or 1, 4)
    workers = [context.Process(target=work, args=(parts, next_one, results)) for _ in range(count)]
    start = time.monotonic()
    for w in workers:
        w.start()
    passed, failed, left, running = 0, 0, count, set()
    while left:
        try:
            result = results.get(timeout=5)
        except queue.Empty:
            # A process that was killed, or ended by its watch, says nothing any more.
            if any(w.exitcode for w in workers):
                for w in workers:
                    w.kill()
                sys.exit(f"check-page: one of these did not end: {' and '.join(running)}")
            continue
        if result is None:
            left -= 1
            continue
        title, seconds, error = result
        if seconds is None:
            running.add(title)
            continue
        running.remove(title)
        passed, failed = passed + (error is None), failed + (error is not None)
        print(
            f"FAIL  {title}: {error}" if error else f"ok    {title} ({seconds:.1f} s)", flush=True
        )
    for w in workers:
        w.join()
        failed += w.exitcode != 0
    print(f"{passed} passed, {failed} failed ({time.monotonic() - start:.0f} s)")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
