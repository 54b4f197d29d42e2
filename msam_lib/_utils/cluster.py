"""Tasks on supervised processes here, or on dask.distributed: local workers, an existing scheduler,
Slurm. Scheduling, restarting and the dashboard are dask's.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, TypeVar

from msam_lib._utils.extras import optional
from msam_lib._utils.processes import RETRIES, finished, one_thread
from msam_lib.errors import MsamError, WorkerDied

Item = TypeVar("Item")

CONNECT_SECONDS = 10.0

# Torch's random number generator is shared by all threads of a process.
_ALONE = threading.Lock()


def check_place(on: str) -> None:
    """Refuse a place that tasks cannot run on, before anything is prepared for it.

    Args:
        on: `"local"`, `"dask"`, `"slurm"`, or the address of a scheduler.

    Raises:
        MsamError: another word, or the packages for it are not installed.
    """
    if on == "local":
        return
    if on not in ("dask", "slurm") and not on.startswith(("tcp://", "tls://")):
        raise MsamError(
            f"on={on!r}; use 'local' (processes here), 'dask' (dask workers here), 'slurm', or the "
            "address of a dask scheduler such as 'tcp://host:8786'."
        )
    _needed("dask_jobqueue" if on == "slurm" else "distributed", on)


def finished_on(
    on: str,
    task: Callable[[Item], object],
    items: Iterable[Item],
    *,
    jobs: int,
    options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Item, Exception | None]]:
    """Call `task(item)` for every item; yields (item, its error or None) as each call ends.

    A task whose worker dies is taken up again by another, at most `RETRIES` times; an existing
    scheduler has its own limit (`distributed.scheduler.allowed-failures`). Tasks on one process
    never run at the same time.

    Args:
        on: see `check_place`.
        task: importable by name where the workers are, and able to take up what an interrupted
            call left.
        items: the arguments.
        jobs: number of processes, or of Slurm jobs; an existing scheduler has its own workers.
        options: for dask: of `LocalCluster` or `SLURMCluster`, such as `queue`, `walltime`,
            `memory`; and `allowed_failures` in place of `RETRIES`.

    Raises:
        MsamError: options that this place does not take, or no scheduler at this address.
    """
    check_place(on)
    options = dict(options or {})
    if options and (on == "local" or "://" in on):
        raise MsamError(f"{', '.join(options)}: on={on!r} takes no options of a cluster.")
    if on == "local":
        yield from finished(task, items, jobs=jobs)
        return
    distributed = _needed("distributed", on)
    with ExitStack() as stack:
        # Set before the scheduler starts: one task per thread, so that a death concerns one.
        limits = {
            "distributed.scheduler.allowed-failures": options.pop("allowed_failures", RETRIES),
            "distributed.scheduler.worker-saturation": 1.0,
        }
        stack.enter_context(optional("dask", "cluster").config.set(limits))
        client = stack.enter_context(_client(distributed, on, jobs, options, stack))
        print(f"dashboard: {client.dashboard_link}", file=sys.stderr)
        several = list(items)
        futures = client.map(functools.partial(_alone, task), several, pure=False)
        of = {future.key: item for future, item in zip(futures, several, strict=True)}
        try:
            for future in distributed.as_completed(futures):
                failure = _failure(distributed, future)
                # Or else it would be computed again when its worker dies later.
                future.release()
                yield of[future.key], failure
        finally:
            client.cancel(futures)  # has no effect on those that have ended


def slurm_cluster(jobs: int, options: Mapping[str, Any]) -> Any:
    """A `dask_jobqueue.SLURMCluster` of single-threaded workers, a Slurm job each; jobs that end
    are replaced. What dask's configuration (`jobqueue.slurm`) does not say is 1 core and 4 GB.

    Args:
        jobs: number of workers.
        options: of `SLURMCluster`.
    """
    config = optional("dask", "cluster").config
    usual = {"cores": 1, "memory": "4GB"}
    usual = {k: v for k, v in usual.items() if config.get(f"jobqueue.slurm.{k}", None) is None}
    try:
        cluster = _needed("dask_jobqueue", "slurm").SLURMCluster(**(usual | dict(options)))
    except (TypeError, ValueError) as error:
        raise MsamError(f"on='slurm' with {dict(options)}: {error}") from error
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _client(distributed: Any, on: str, jobs: int, options: dict[str, Any], stack: ExitStack) -> Any:
    """A client of the workers asked for, which end with the stack."""
    if on == "slurm":
        return distributed.Client(stack.enter_context(slurm_cluster(jobs, options)))
    if on == "dask":
        # Workers are not killed for the memory that they use: the system decides that.
        usual: dict[str, Any] = {"n_workers": jobs, "threads_per_worker": 1, "memory_limit": 0}
        usual |= {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.ERROR}
        try:
            cluster = distributed.LocalCluster(**(usual | options))
        except TypeError as error:
            raise MsamError(f"on='dask' with {options}: {error}") from error
        return distributed.Client(stack.enter_context(cluster))
    try:
        return distributed.Client(on, timeout=CONNECT_SECONDS)
    except OSError as error:
        raise MsamError(
            f"No scheduler answers at {on} ({error}). Start one: `dask scheduler`, and "
            "`dask worker --nthreads 1` for each worker."
        ) from error


def _failure(distributed: Any, future: Any) -> Exception | None:
    """The error of a task that has ended, in the words of this package where a worker died."""
    if future.status == "finished":
        return None
    try:
        error = future.exception(timeout=10)
    except BaseException as caught:  # what is raised for a lost scheduler is no Exception
        if isinstance(caught, KeyboardInterrupt):
            raise
        error = caught
    kept = "What it kept is there: the same command resumes it."
    if isinstance(error, distributed.KilledWorker):
        return WorkerDied(f"its worker died {error.allowed_failures + 1} times. {kept}")
    if error is None or future.status in ("cancelled", "lost"):
        return WorkerDied(f"the scheduler has ended, or lost it ({future.status}). {kept}")
    return error if isinstance(error, Exception) else WorkerDied(f"{error!r}. {kept}")


def _alone(task: Callable[[Item], object], item: Item) -> None:
    """Call a task in a worker with one thread, and no other task of this process beside it."""
    one_thread()
    with _ALONE:
        task(item)


def _needed(package: str, on: str) -> Any:
    """A package of the extra `cluster`."""
    return optional(package, "cluster", f"on={on!r}", "on='local' works without it.")
