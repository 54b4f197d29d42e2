"""Memory and speed of samples on disk: python -m benchmarks.data_layer [--samples 2000 20000]

Makes a folder in CREMA-D's layout whose clips are hard links to a few real ones, and measures, each
in a process of its own, the peak memory of preparing it and of one epoch over it; then the share of
an epoch that is spent waiting for batches while two ResNet-18 train on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from msam_lib.data import BatchLoader, Modality, cremad
from msam_lib.data._cremad_source import ALL, EMOTIONS
from msam_lib.data.containers import MultimodalDataset
from msam_lib.data.prepared import open_prepared
from msam_lib.data.transforms import Images
from msam_lib.models import build_model
from tests.data.distributions import write_csv, write_sound, write_video


def make(folder: Path, samples: int) -> None:
    """A distribution of so many clips, all of them links to six."""
    names = [
        f"{1001 + k // 600}_{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[k % 600 // 26 % 26]}"
        f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[k % 26]}Q_{list(EMOTIONS)[k % 6]}_XX"
        for k in range(samples)
    ]
    for sub, ending in (("AudioWAV", ".wav"), ("VideoFlash", ".flv")):
        (folder / sub).mkdir(parents=True)
        for k, name in enumerate(names):
            path, first = (folder / sub / f"{n}{ending}" for n in (name, names[k % 6]))
            if k >= 6:
                os.link(first, path)
            elif ending == ".wav":
                write_sound(path, hertz=200 + 300 * k, seconds=2.5)
            else:
                write_video(path, size=(160, 120), seconds=1.0, colour=10 * k)
    stimuli = [[k, name] for k, name in enumerate(names, start=1)]
    write_csv(folder / "SentenceFilenames.csv", ["Stimulus_Number", "Filename"], stimuli)


def dataset(side: int, size: int) -> MultimodalDataset:
    """All prepared clips as one training split."""
    done = open_prepared("cremad", {"version": cremad.VERSION, "frames": 1, "side": side})
    inputs = {"audio": done.array("audio"), "visual": done.array("visual", Images(size, True))}
    labels = [list(EMOTIONS).index(s["label"]) for s in done.samples]
    return MultimodalDataset(inputs, torch.tensor(labels))


def prepare(folder: Path, side: int, size: int) -> None:
    cremad.prepare(folder, jobs=2, side=side)


def epoch(folder: Path, side: int, size: int) -> None:
    for _ in BatchLoader(dataset(side, size), 64, shuffle=True):
        pass


def peak(step: str, *arguments: object) -> tuple[float, float]:
    """(MB at the peak, seconds) of a step in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.data_layer", "--step", step]
    text = subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True).stdout
    return json.loads(text.splitlines()[-1]), time.perf_counter() - start


def share(side: int, size: int, batches: int = 4) -> tuple[float, float]:
    """(share of the time spent waiting for batches, seconds per batch of 32)."""
    torch.set_num_threads(1)
    data = dataset(side, size)
    kinds = {"audio": "spectrogram", "visual": "image"}
    specs = {m: Modality(kinds[m], x.shape[1:]) for m, x in data.inputs.items()}
    model = build_model(specs, "late", classes=6, encoder="resnet18", width=64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = iter(BatchLoader(data, 32, shuffle=True))
    next(loader)  # an epoch waits once for its first batch
    waited, start = 0.0, time.perf_counter()
    for _ in range(batches):
        asked = time.perf_counter()
        batch = next(loader)
        waited += time.perf_counter() - asked
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch.inputs).logits, batch.targets).backward()
        optimizer.step()
    total = time.perf_counter() - start
    return waited / total, total / batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", nargs="+", type=int, default=[2000, 20_000])
    parser.add_argument("--side", type=int, default=256, help="pixels of prepared frames")
    parser.add_argument("--size", type=int, default=224, help="pixels of a model's frames")
    parser.add_argument("--step", choices=["prepare", "epoch"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where to make the files")
    args = parser.parse_args()
    if args.step:
        {"prepare": prepare, "epoch": epoch}[args.step](args.folder, args.side, args.size)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print(f"{'samples':>8} {'step':8} {'peak MB':>8} {'seconds':>8} {'MB on disk':>11}")
    for n in args.samples:
        if n == ALL:
            parser.error(f"--samples {ALL} would be taken for the real distribution")
        with tempfile.TemporaryDirectory(dir=args.folder) as place:
            os.environ["MSAM_CACHE"] = f"{place}/cache"
            make(Path(place, "source"), n)
            same = ["--folder", f"{place}/source", "--side", args.side, "--size", args.size]
            for step in ("prepare", "epoch"):
                memory, seconds = peak(step, *same)
                files = Path(place, "cache").rglob("*.npy")
                disk = sum(f.stat().st_size for f in files) / 2**20
                print(f"{n:8} {step:8} {memory:8.0f} {seconds:8.1f} {disk:11.0f}", flush=True)
            if n == args.samples[0]:
                waiting, each = share(args.side, args.size)
    print(f"ResNet-18 for each modality, batches of 32 on one core: {each:.2f} s per batch, "
          f"{100 * waiting:.2f} % of it waiting for the batch")  # fmt: skip


if __name__ == "__main__":
    main()
