"""A process that trains runs one after another: `python -m experiments.run_worker [CORES]`.

`experiments.local_runs` starts it. Each line of stdin is a `RunJob`, and is answered on stdout by a line with the
`Outcome`. CORES are the numbers of the CPU cores to use, as `0,1`. The process ends when stdin is closed, in the middle
of a run if the program that started it was killed.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading


def main() -> None:
    """Trains the runs."""
    # Before TensorFlow is imported, which makes a thread for each core.
    if sys.argv[1:]:
        os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # all other output
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    try:
        from experiments.commands import set_up_libraries

        set_up_libraries()
        from experiments.run_job import RunJob, perform

        while True:
            outcome = perform(RunJob.from_line(lines.get()))
            print(json.dumps(outcome), file=answers, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # of the imports
        print(json.dumps(("failed", f"{type(error).__name__}: {error}")), file=answers, flush=True)
        sys.exit(1)


def _read(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # A run that was killed can be resumed.


if __name__ == "__main__":
    main()
