"""Peak memory of preparing and training while the data grow: `python -m tools.large_data`.

Makes data in an official layout, of each size given, runs `python -m msam_lib prepare` and one
epoch of `train` on them, each in a process of its own, and watches their memory:

* `ave`: the published features of clips, 1 MB each, as sparse HDF5 files: their numbers were never
  written, so 20 GB of them take no room on the disk. What is prepared (the pictures averaged over
  their places) is an eightieth of that and is written whole.
* `sparse`: Kinetics-Sounds as if prepared at 1024 pixels of height, 4 MB for each clip, in sparse
  files: 20 GB that only `train` reads (the pictures, 94 % of them).
* `whole`: the same from clips, all of them links to a few real ones, so that the distribution is
  next to nothing, and what `prepare` makes of it is written whole. Not by default, as 20 GB take
  half an hour on a slow disk: `--layouts whole --gigabytes 1 5`.

`anonymous` is the most that the process had for itself (RssAnon of /proc/PID/status, asked every 5
ms). `mapped` is the most of files that it had mapped (RssFile), the program's own libraries
included: page cache that the kernel takes back when it needs room. `VmHWM`, the kernel's own peak,
is of both together. Reads without a map, as h5py does them, fill the page cache only and are in
none of the three. Fails where the anonymous memory of a step differs by more than a tenth between
the smallest and the largest size. Linux only.

The parts that are measured after an epoch have the same size whatever the size of the data. Of a
part, the outputs are held until its metrics are known (AVE: 0.8 kB for each sample), and up to four
batches of 64 MiB are read in advance; of all samples, the rows of their list (0.5 kB).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from msam_lib._utils.progress import progress_bar
from msam_lib.errors import MsamError
from tools.large_files import HELD, LAYOUTS, LEAST, SHARE

GB, MB = 10**9, 10**6
EVERY = 0.005  # seconds between two looks at a process
MOST = 1.1  # of the memory at the largest size over that at the smallest


class Peak(NamedTuple):
    """The most memory of a process, in bytes, and how long it ran, in seconds."""

    anonymous: int
    mapped: int
    high_water: int
    seconds: float


def watched(command: list[str], log: Path) -> Peak:
    """Run a command and watch its memory; what it prints goes to a file.

    Raises:
        MsamError: it failed, with the end of what it printed.
    """
    start = time.perf_counter()
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        peak = {"RssAnon": 0, "RssFile": 0, "VmHWM": 0}

        def watch() -> None:
            while process.returncode is None:
                for name, value in _memory(process.pid).items():
                    peak[name] = max(peak[name], value)
                time.sleep(EVERY)

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        watcher.join()
    if process.returncode:
        raise MsamError(f"{' '.join(command)} failed: {log.read_text()[-1500:]}")
    return Peak(*peak.values(), time.perf_counter() - start)


def _memory(pid: int) -> dict[str, int]:
    """The three numbers of a process in bytes; none of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (OSError, ProcessLookupError):
        return {}
    pairs = (line.split(":") for line in lines if line.startswith(("RssAnon", "RssFile", "VmHWM")))
    return {name: 1024 * int(value.split()[0]) for name, value in pairs}


def on_disk(folder: Path) -> tuple[int, int]:
    """(bytes, bytes that take room) of the files below a folder; links to one file count once for
    the latter.
    """
    about = [p.stat() for p in folder.rglob("*") if p.is_file()]
    room = {s.st_ino: 512 * s.st_blocks for s in about}
    return sum(s.st_size for s in about), sum(room.values())


def steps(name: str, size: float, place: Path) -> dict[str, Peak]:
    """{prepare, train: memory} of data of so many bytes."""
    layout = LAYOUTS[name]
    source, cache = place / "source", place / "cache"
    made = cache if layout.prepare is None else source
    n = max(LEAST, round(size / layout.sample_bytes))
    layout.make(made, n)
    share = {SHARE: f"{SHARE}{HELD / (n - HELD):.6f}"}
    os.environ |= {"MSAM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    os.environ.pop("MSAM_DATA", None)
    run, out = [sys.executable, "-m", "msam_lib"], {}
    if layout.prepare is not None:
        options = ["--source", str(source), "--jobs", "2", *layout.prepare]
        out["prepare"] = watched([*run, "prepare", layout.dataset, *options], place / "log.txt")
    options = ["--preset", "smoke", "--epochs", "1", "--device", "cpu"]
    options += [share.get(option, option) for option in layout.train]
    options += ["--store", str(place / "runs"), "--dataset", layout.dataset]
    out["train"] = watched([*run, "train", *options], place / "log.txt")
    for what, folder in (("source", source), ("prepared", cache)):
        if folder.exists():
            length, room = on_disk(folder)
            print(f"{name}, {what}: {length / GB:.2f} GB, {room / GB:.2f} GB of it on the disk")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", nargs="+", type=float, default=[2, 20], metavar="GB")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=["ave", "sparse"])
    parser.add_argument("--folder", type=Path, help="where to make the files; removed afterwards")
    args = parser.parse_args()
    found: dict[tuple[str, str], list[Peak]] = {}
    cases = [(name, size) for name in args.layouts for size in sorted(args.gigabytes)]
    lines = [f"{'layout':7} {'GB':>5} {'step':8} {'anonymous':>9} {'mapped':>7} {'VmHWM':>7} MB"]
    for name, size in progress_bar(cases, desc="large data"):
        with tempfile.TemporaryDirectory(dir=args.folder) as place:
            if (free := shutil.disk_usage(place).free) < 1.2 * size * GB:
                parser.error(f"{free / GB:.0f} GB are free; {size:g} GB need {1.2 * size:.0f}.")
            for step, peak in steps(name, size * GB, Path(place)).items():
                found.setdefault((name, step), []).append(peak)
                three = (f"{b / MB:{w}.0f}" for b, w in zip(peak, (9, 7, 7), strict=False))
                lines.append(
                    f"{name:7} {size:5g} {step:8} {' '.join(three)}    {peak.seconds:.0f} s"
                )
                print(lines[-1], flush=True)
    print("\n".join(lines))
    status = 0
    for (name, step), peaks in found.items():
        ratio = peaks[-1].anonymous / peaks[0].anonymous
        print(f"{name}, {step}: largest / smallest {ratio:.3f}")
        status |= ratio > MOST
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
