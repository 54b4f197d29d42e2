"""`isl`: the Italian sign language alphabet by muscle and motion sensors on one forearm.

780 recordings of two seconds at 200 Hz, 30 of each of 26 letters: `emg` (8 channels), `gyroscope`
(3), `acceleration` (3) and `orientation` (4, a quaternion). Every recording is averaged in equal
pieces (EMG after taking absolute values). Free for research and education; cite
doi:10.1016/j.dib.2020.106455.

All are of one person: 27 recordings of each of A to R from one day and of S to Z from the next, and
three of each letter from twelve days later. The split ignores the days, so accuracies hold within a
session: random forests trained on the first two days and tested on the third reach 0.54 with EMG
and 0.06 with orientation, where this split gives 0.88 and 0.87.
"""

from __future__ import annotations

import json

import numpy as np

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._download import Source, read_members
from msam_lib.data._tabular import PARTS, datasets, stratified
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.errors import DatasetCorrupt, MsamError

CHANNELS = {"emg": 8, "gyroscope": 3, "acceleration": 3, "orientation": 4}
FRAMES = 400  # of a recording: two seconds at 200 Hz
SOURCE = Source(
    "isl_emg_imu/ISL_EMG_IMU_json.zip",
    "8a5f41e97440656968eac801000e5cee85495fe4d9bdb0af55823196c78104bf",
    "https://github.com/airtlab/An-EMG-and-IMU-Dataset-for-the-Italian-Sign-Language-Alphabet/"
    "archive/86d59a12bff8629201f5a7c9cd498ad93299ac9e.tar.gz",
    url_sha256="da48d5996c0e65c0904c2da1d437cbc686839a477ea26846f933709c2e7ae484",
    members=r"(^|/)(?P<name>Dataset/[A-Z]/[^/]+\.json|readme\.md)$",
    members_sha256="109a509b63b1961d4c6add6b810f825ca24f7eec95909449af3693ecd124e597",
)


def load(*, seed: Seed = 0, modalities: Names | None = None, length: Count = 25) -> DataSplits:
    """Sign language letters: sequences (length, channels) of four sensors, 26 classes.

    Args:
        seed: draws the split: of each letter 16 recordings train, 4 validate, 10 test.
        modalities: from emg, gyroscope, acceleration and orientation, all by default.
        length: number of equal pieces that a recording is averaged in; a divisor of 400.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: see `msam_lib.data._download`.
    """
    names = choose_modalities(modalities, list(CHANNELS))
    check_arguments(load, locals())
    if FRAMES % length:
        raise MsamError(f"length={length}; a divisor of {FRAMES}, such as 25 or 50.")
    signals, targets, classes = _read()
    shares = [16 / 30, 4 / 30, 10 / 30]
    rows = dict(zip(PARTS, stratified(targets, shares, seed), strict=True))
    features = {}
    for m in names:
        x = np.abs(signals[m]) if m == "emg" else signals[m]  # (N, 400, D)
        x = x.reshape(len(x), length, -1, x.shape[-1]).mean(2)
        features[m] = {p: x[r] for p, r in rows.items()}
    parts = datasets(features, {p: targets[r] for p, r in rows.items()}, names)
    return DataSplits(
        name="isl",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("sequence", (length, CHANNELS[m])) for m in names},
        classes=classes,
        provenance=(
            "Italian sign language alphabet, EMG and IMU (real; one person, three days; "
            "doi:10.1016/j.dib.2020.106455, free for research and education). The split is drawn "
            "within letters, so training and test share person and days."
        ),
        recipe={"seed": seed, "modalities": names, "length": length},
    )


def _read() -> tuple[dict[str, np.ndarray], np.ndarray, tuple[str, ...]]:
    """Signals {m: (N, 400, D_m)}, targets (N,) and the letters that they stand for."""
    rows: dict[str, list[np.ndarray]] = {m: [] for m in CHANNELS}
    letters: list[str] = []
    for name, content in read_members(SOURCE).items():
        if not name.endswith(".json"):
            continue
        try:
            record = json.loads(content)
            # EMG is stored channel by channel, the motion sensors frame by frame.
            imu = record["imu"]["data"]
            recording = {"emg": np.array(record["emg"]["data"], dtype=np.float64)}
            recording |= {
                m: np.array([f[m] for f in imu], dtype=np.float64) for m in CHANNELS if m != "emg"
            }
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetCorrupt(
                f"{name} is not a recording of this data set: {error}. Fetch the archive again."
            ) from error
        for m, x in recording.items():
            if x.shape != (FRAMES, CHANNELS[m]):
                needed = (FRAMES, CHANNELS[m])
                raise DatasetCorrupt(f"{name}: {m} has shape {x.shape}; {needed} is needed.")
            rows[m].append(x)
        letters.append(name.split("/")[-2])
    classes = tuple(sorted(set(letters)))
    targets = np.array([classes.index(c) for c in letters])
    return {m: np.stack(x) for m, x in rows.items()}, targets, classes
