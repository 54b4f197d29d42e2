"""Several tasks at a time, each in a process with one thread, which is renewed where it dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Generic, TypeVar

from msam_lib.errors import MsamError, WorkerDied

Item = TypeVar("Item")

RETRIES = 2  # times that a task is taken up again after the death of its worker


def process_count(jobs: int | None) -> int:
    """The number of processes asked for; one per core, at most 4, for None.

    Raises:
        MsamError: fewer than one.
    """
    jobs = min(4, os.cpu_count() or 1) if jobs is None else jobs
    if jobs < 1:
        raise MsamError(f"jobs={jobs}; at least 1 is needed.")
    return jobs


def finished(
    task: Callable[[Item], object], items: Iterable[Item], *, jobs: int
) -> Iterator[tuple[Item, Exception | None]]:
    """Call `task(item)` for every item; yields (item, its error or None) as each call ends.

    A task whose worker dies is called again, at most `RETRIES` times, in a new worker; the others
    are not disturbed. Workers end when this process does, however it ends.

    Args:
        task: importable by name, so that another process can call it, and able to take up what an
            interrupted call left.
        items: the arguments.
        jobs: number of processes; 1 calls in this one.
    """
    if jobs == 1:
        for item in items:
            error: Exception | None = None
            try:
                task(item)
            except Exception as caught:  # the other items are still to be done
                error = caught
            yield item, error
        return
    waiting = deque(enumerate(items))
    deaths: Counter[int] = Counter()
    idle: list[_Worker] = [_Worker() for _ in range(min(jobs, len(waiting)))]
    running: dict[Future[object], tuple[_Worker, int, Item]] = {}
    try:
        while waiting or running:
            # One task per worker, so that a death concerns one task.
            while waiting and idle:
                worker, (number, item) = idle.pop(), waiting.popleft()
                running[worker.submit(task, item)] = worker, number, item
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, number, item = running.pop(future)
                failure = future.exception()
                idle.append(worker)
                if isinstance(failure, BrokenProcessPool):
                    deaths[number] += 1
                    reason = worker.renew()
                    if deaths[number] <= RETRIES:
                        waiting.appendleft((number, item))
                        continue
                    failure = WorkerDied(
                        f"its process ended {deaths[number]} times, last {reason}. What it kept "
                        "is there: the same command resumes it."
                    )
                if failure is not None and not isinstance(failure, Exception):
                    raise failure  # such as an interrupt in the other process
                yield item, failure
    finally:
        for worker, _, _ in running.values():  # only after an interrupt or an error
            worker.stop()
        for worker in idle:
            worker.pool.shutdown()


class _Context(SpawnContext):
    """Starts processes by "spawn", for a forked torch with running threads may hang; remembers the
    last one.
    """

    last: SpawnProcess | None = None

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]
        self.last = SpawnProcess(*args, **options)
        return self.last


class _Worker(Generic[Item]):
    """A pool of one process: where it dies, this worker's task is the one concerned."""

    def __init__(self) -> None:
        self.context = _Context()
        self.pool = ProcessPoolExecutor(1, self.context, prepare_worker)

    def submit(self, task: Callable[[Item], object], item: Item) -> Future[object]:
        try:
            return self.pool.submit(task, item)
        except BrokenProcessPool:  # it died while it had nothing to do
            self.renew()
            return self.pool.submit(task, item)

    def renew(self) -> str:
        """Replace the dead process; returns how it ended."""
        self.pool.shutdown()
        process = self.context.last
        self.pool = ProcessPoolExecutor(1, self.context, prepare_worker)
        return "for an unknown reason" if process is None else how_it_ended(process.exitcode)

    def stop(self) -> None:
        """End the process now, in the middle of its task."""
        if self.context.last is not None:
            self.context.last.terminate()
        self.pool.shutdown(wait=False, cancel_futures=True)


def how_it_ended(code: int | None) -> str:
    """A process's exit code in words.

    >>> how_it_ended(-9)
    'by signal SIGKILL (the system does that when memory runs out)'
    """
    if code is None or code >= 0:
        return f"with exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        usual = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
        return f"by signal {name}{usual}"
    return f"by signal {-code}"


def one_thread() -> None:
    """One thread for torch in this process, whether it is imported already or will be."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def prepare_worker() -> None:
    """One thread, and an end when the parent ends."""
    one_thread()
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    """Wait until the parent has ended, then end this process at once."""
    parent.join()
    os._exit(1)
