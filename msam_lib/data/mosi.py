"""`mosi`: utterance features of CMU-MOSI, three modalities, positive or negative sentiment.

Text (100), audio (73) and visual (100) features of 2,199 utterances in 93 videos of people who
review films, as published with the contextual fusion of Poria et al.; training and test utterances
come from different videos. The labels are binary, so regression cannot be done on them. Text alone
is nearly as good as all three: extreme dominance. For research use; cite Zadeh et al. 2016.

Text and visual features seem to come from networks that were trained on *all training* utterances:
logistic regression on the text features reaches 98 % on these and 76 % on the test utterances, on
the visual ones 92 % and 52 %, but on training videos held out from it 99 % and 93 %. Validation on
held-out training videos would therefore be meaningless, so the validation split is a third of the
official test part's videos, and the other two thirds are the test split: accuracies are not those
of the official 752 utterances. Always predicting "positive" reaches 60 % on the test split (seed
0), more than audio or visual features alone.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Range
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._download import Source, read_members
from msam_lib.data._tabular import datasets, read_csv
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.errors import DatasetCorrupt

FOLDERS = {"text": "text", "audio": "audio", "visual": "video"}
SOURCE = Source(
    "mosi/mosi_utterance_features_csv.zip",
    "7ae3bcec88b83e1c9fa0e90d5a1753e2efe2a3afbd66935dec62aa0e15cfbc78",
    "https://raw.githubusercontent.com/declare-lab/multimodal-deep-learning/"
    "111b401d867c14a1dcd930fd2b2ab58a5eca3f70/contextual-multimodal-fusion/data/{member}",
    members=r"\.csv$",
    members_sha256="6801b5a27d3b7c9dc6fbdf2c7e1599ec7e5af00a16ee7b926a106cc29f1883f6",
    files={
        f"{k}.csv": v
        for k, v in {
            "audio/audio_test0": "ddd17eeefd3d951d51d4e2ef8a0d132652d8161e1886f71eb7262b7a14bffff6",
            "audio/audio_train0": "5435398a54664e7b00304587dc59ae84"
            "a438852be033c2a2fba779588624a2a1",
            "text/text_test0": "a343e22272919d1384c2075dbcdd5fef5aa9f9366b0552a83f7c3147b64b047a",
            "text/text_train0": "cc327045db6cc361a08b4037b97bb24de4ddb5efb381468c4835cc4a60674668",
            "text_test": "f3b735070bf07ceff7a6ef6c8f4c32757e988de484e35bd6d38b2aecef851a59",
            "text_train": "73770b6302ad0f7a51f4eddcae6788efde4d0b6802e09f78249d5b538d1c1d67",
            "transcripts": "e7689e6d70720addd2a6b316419d245a68839c32b014ff426c406063ee777466",
            "video/video_test0": "cab836253d81100f59d533fa2ff65cd53c486be3ec9fd82203c5e25a7a77265f",
            "video/video_train0": "b6efc0413132d627efd06f67f1706830"
            "e775e90af9a75696f535c48dbc73f12f",
        }.items()
    },
)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    val_share: Annotated[float, Range(above=0, below=1)] = 0.33,
) -> DataSplits:
    """CMU-MOSI utterances: vectors text (100), audio (73), visual (100); negative or positive.

    Args:
        seed: draws the videos of the validation split.
        modalities: from "text", "audio" and "visual", all by default.
        val_share: share in (0, 1) of the official test part's *videos* in the validation split.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: see `msam_lib.data._download`.
    """
    names = choose_modalities(modalities, list(FOLDERS))
    check_arguments(load, locals())
    files = read_members(SOURCE)

    def table(folder: str, part: str) -> np.ndarray:
        name = f"{folder}/{folder}_{part}0.csv"
        return read_csv(files[name], name)

    train, test = ({m: table(f, p) for m, f in FOLDERS.items()} for p in ("train", "test"))
    for part in (train, test):
        labels = [x[:, -1] for x in part.values()]
        if any(not np.array_equal(labels[0], y) for y in labels[1:]):
            raise DatasetCorrupt(
                "The labels of MOSI's modalities differ: the rows do not match. Fetch the files "
                "again."
            )
    # Validation and test utterances come from different videos of the official test part.
    video = _videos(files, len(test["text"]))
    drawn = np.random.default_rng(seed).permutation(np.unique(video))
    held = np.isin(video, drawn[: max(1, round(val_share * len(drawn)))])
    # The last column of every table is the label.
    tables = {m: {"train": train[m], "val": test[m][held], "test": test[m][~held]} for m in names}
    features = {m: {p: x[:, :-1] for p, x in parts.items()} for m, parts in tables.items()}
    targets = {p: x[:, -1] for p, x in tables[names[0]].items()}
    parts = datasets(features, targets, names)
    return DataSplits(
        name="mosi",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("vector", (features[m]["train"].shape[1],)) for m in names},
        classes=("negative", "positive"),
        provenance=(
            "Utterance features of CMU-MOSI (real; Zadeh et al., IEEE Intelligent Systems 2016; "
            "features by Poria et al., ACL 2017, repository MIT), for research use. Training, "
            "validation and test utterances come from different videos; validation is part of the "
            "official test part."
        ),
        recipe={"seed": seed, "modalities": names, "val_share": val_share},
    )


def _videos(files: dict[str, bytes], count: int) -> np.ndarray:
    """The video (N,) of every test utterance: the first column of text_test.csv is its row in
    transcripts.csv, which begins with the video's name.
    """
    place = read_csv(files["text_test.csv"], "text_test.csv")[:, 0].astype(int)
    lines = files["transcripts.csv"].decode("utf-8", "replace").splitlines()
    if len(place) != count or place.max() >= len(lines):
        raise DatasetCorrupt(
            "MOSI's transcripts do not match its test utterances. Fetch the files again."
        )
    ids = np.array([line.split(",")[0].strip('"').rpartition("_")[0] for line in lines])
    return ids[place]
