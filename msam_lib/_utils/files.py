"""Atomic writing and locks: a file is complete or absent, and one process at a time writes it."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from msam_lib.errors import CannotWrite, RunBusy

# A temporary file says whose it is: `.<name>.<host>-<process>-<random>.tmp`.
_TEMPORARY = re.compile(r"^\..+\.(?P<host>[\w-]+)-(?P<process>\d+)-[0-9a-f]{8}\.tmp$")
_HOST = re.sub(r"\W", "_", socket.gethostname())


def write_atomically(path: Path, save: Callable[[Path], object]) -> Path:
    """Call `save(temporary path)`, bring the file to the disk, then rename it to `path`.

    The temporary name is in the same folder and nobody else's, so that several processes may write
    the same file: the last one to finish wins. A failure leaves neither a temporary file nor a
    change.

    Args:
        path: of the file.
        save: writes the content to the path that it is given.

    Returns:
        `path`.

    Raises:
        CannotWrite: the disk is full, the folder is read-only, missing or no folder.
    """
    token = f"{_HOST}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{token}.tmp")
    try:
        save(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise
    return path


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes atomically; returns `path`."""
    return write_atomically(path, lambda p: p.write_bytes(content))


def write_text(path: Path, text: str) -> Path:
    """Write text atomically, in UTF-8 with line ends as given; returns `path`."""
    return write_bytes(path, text.encode())


def make_folder(path: Path) -> Path:
    """Make the folder and those above it where they are missing; returns `path`.

    Raises:
        CannotWrite: it cannot be made, or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """The error for a file or folder that cannot be written, with what the system says."""
    return CannotWrite(
        f"{path} cannot be written ({error.strerror or error}); what was there before is kept. "
        "Free some space, or choose a folder that can be written, and give the same command again."
    )


def sweep_temporary(folder: Path) -> list[Path]:
    """Remove the temporary files that dead processes of this machine left in a folder."""
    removed = []
    for path in folder.glob(".*.tmp"):
        found = _TEMPORARY.match(path.name)
        if found and found["host"] == _HOST and not alive(int(found["process"])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def alive(process: int) -> bool:
    """Whether a process with this number runs on this machine; True where that is unknown.

    One that has ended and whom its parent has not asked for yet (a zombie) does not run.
    """
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    try:  # the state follows the name, which is in brackets and may have any character
        state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2]
    except OSError:  # no Linux, or gone meanwhile
        return True
    return state.split()[:1] not in (["Z"], ["X"])


@contextmanager
def locked(folder: Path, what: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder; the operating system frees it where the process dies.

    Args:
        folder: that nobody else may write to meanwhile.
        what: the folder's name in the error, such as `"The run"`.
        wait: seconds to wait for the process that holds it; -1 waits for ever.

    Raises:
        RunBusy: another process, or another thread of this one, holds it.
        CannotWrite: the folder cannot be written.
    """
    make_folder(folder)
    # The lock's own file may be emptied by whoever asks for it: the holder signs in another.
    sign = folder / ".lock.holder"
    lock = FileLock(folder / ".lock", timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        raise RunBusy(
            f"{what} {folder} is being written by {_read(sign)}. Wait until it ends, or stop it; "
            "then the same command resumes from the last whole epoch."
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        sweep_temporary(folder)
        write_text(sign, f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        # A process frees its lock a moment before it is gone: look once more.
        with suppress(OSError):
            sweep_temporary(folder)
            sign.unlink(missing_ok=True)
        lock.release()


def _read(path: Path) -> str:
    """The text of a file; what a reader needs to know where there is none."""
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


def _sync_folder(folder: Path) -> None:
    """Bring the renaming itself to the disk, where the system can (not on Windows)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
