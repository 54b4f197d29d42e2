"""Several tasks at a time, each in a process with one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import TypeVar

import torch

Item = TypeVar("Item")


def finished(
    task: Callable[[Item], object], items: Iterable[Item], *, jobs: int
) -> Iterator[tuple[Item, Exception | None]]:
    """Call `task(item)` for every item; yields (item, the error it ended in) as each ends.

    Args:
        task: importable by name, so that another process can call it.
        items: what to call it with.
        jobs: processes; 1 stays in this one.
    """
    if jobs == 1:
        for item in items:
            error: Exception | None = None
            try:
                task(item)
            except Exception as caught:  # the others must not be lost
                error = caught
            yield item, error
        return
    waiting: dict[Future[object], Item] = {}
    # spawn: a forked torch with running threads may hang
    with ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread) as pool:
        try:
            waiting = {pool.submit(task, item): item for item in items}
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    failure = future.exception()
                    if failure is not None and not isinstance(failure, Exception):
                        raise failure
                    yield waiting.pop(future), failure
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    torch.set_num_threads(1)
