"""`script/bench [name…]`: run benchmarks, print their rows, add them to bench/results.jsonl."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import bench_admin
import bench_admission
import bench_drf
import bench_faults
import bench_files
import bench_launch_page
import bench_login
import bench_poll
import bench_spawn
from bench_rows import Row, format_table, save

BENCHES = {
    "spawn": bench_spawn.run,
    "poll": bench_poll.run,
    "admission": bench_admission.run,
    "drf": bench_drf.run,
    "admin": bench_admin.run,
    "login": bench_login.run,
    "faults": bench_faults.run,
    "files": bench_files.run,
    "launch-page": bench_launch_page.run,
}
RESULTS = Path(os.environ.get("BENCH_RESULTS", "bench/results.jsonl"))


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"bench: unknown: {' '.join(unknown)} (there are: {' '.join(BENCHES)})", file=sys.stderr)
        return 2
    # an end from outside runs the clean-up too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows: list[Row] = []
    failed = []
    for name in names or list(BENCHES):
        print(f"[bench] {name}", flush=True)
        started = time.monotonic()
        try:
            found = BENCHES[name]()
        except Exception as exc:
            traceback.print_exc()
            print(f"[bench] {name} could not be measured: {exc}", flush=True)
            failed.append(name)
            continue
        save(found, RESULTS)
        rows += found
        print(f"[bench] {name} took {time.monotonic() - started:.0f} s", flush=True)
    if rows:
        print(format_table(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
