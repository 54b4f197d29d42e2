"""Several tasks at a time, each in a process with one thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar

import torch

Item = TypeVar("Item")


def process_count(jobs: int | None) -> int:
    """The number of processes asked for; one per core, at most 4, for None."""
    return min(4, os.cpu_count() or 1) if jobs is None else jobs


def finished(
    task: Callable[[Item], object], items: Iterable[Item], *, jobs: int
) -> Iterator[tuple[Item, Exception | None]]:
    """Call `task(item)` for every item; yields (item, its error or None) as each call ends.

    Args:
        task: importable by name, so that another process can call it.
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
    waiting: dict[Future[object], Item] = {}
    # "spawn", for a forked torch with running threads may hang.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread) as pool:
        try:
            waiting = {pool.submit(task, item): item for item in items}
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    failure = future.exception()
                    if failure is not None and not isinstance(failure, Exception):
                        raise failure  # such as an interrupt in the other process
                    yield waiting.pop(future), failure
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    torch.set_num_threads(1)
