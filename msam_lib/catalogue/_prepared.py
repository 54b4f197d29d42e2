"""The data sets that are read from their owner's files: official distributions, prepared once, and
folders of one's own.
"""

from __future__ import annotations

from msam_lib.catalogue._rows import DatasetRow

PREPARED: dict[str, DatasetRow] = {
    "cremad": DatasetRow(
        ".data.cremad:load",
        "CREMA-D: 7,442 real clips, voice and face, 6 acted emotions; prepared from your download",
        "Cao et al. 2014, github.com/CheyneyComputerScience/CREMA-D (Open Database License 1.0)",
        {
            "split": "ogm: the published one; actor: speakers kept apart (ogm)",
            "val_share": "share of the training part that validates (0.1)",
            "frames": "frames of a clip, one per second (1)",
            "side": "height in pixels of prepared frames (256)",
            "size": "side in pixels of a model's frames (224)",
            "drop_bad": "leave out the four clips that are named as damaged (False)",
        },
        ".data.cremad:prepare",
    ),
    "urfunny": DatasetRow(
        ".data.urfunny:load",
        "UR-FUNNY: real punchlines by picture, voice and words, 2 classes; prepared from pickles",
        "Hasan et al. 2019, features of the authors' version 2 or of MultiBench, for research",
        {
            "layout": "multibench: humor.pkl; official: six pickles; auto: what is there (auto)",
            "context": "sentences before the punchline, official only (0)",
        },
        ".data.urfunny:prepare",
    ),
    "mosi_regression": DatasetRow(
        ".data.mmsa:load_mosi",
        "CMU-MOSI: real film reviews, sentiment from -3 to 3; prepared from MMSA's pickle",
        "Zadeh et al. 2016, features as published with MMSA, for research",
        {
            "variant": "which of the published files (aligned_50)",
            "file": "published: the digest is compared; other: any (published)",
            "loss": "l1, l2 or huber (l1)",
        },
        ".data.mmsa:prepare_mosi",
    ),
    "mosei": DatasetRow(
        ".data.mmsa:load_mosei",
        "CMU-MOSEI: real opinions, sentiment from -3 to 3; prepared from MMSA's pickle",
        "Zadeh et al. 2018, features as published with MMSA, for research",
        {
            "variant": "which of the published files (aligned_50)",
            "file": "published: the digest is compared; other: any (published)",
            "loss": "l1, l2 or huber (l1)",
        },
        ".data.mmsa:prepare_mosei",
    ),
    "sims": DatasetRow(
        ".data.mmsa:load_sims",
        "CH-SIMS: real Chinese film scenes, sentiment from -1 to 1; prepared from MMSA's pickle",
        "Yu et al. 2020, features as published with MMSA, for research",
        {
            "variant": "which of the published files (unaligned_39)",
            "file": "published: the digest is compared; other: any (published)",
            "loss": "l1, l2 or huber (l1)",
        },
        ".data.mmsa:prepare_sims",
    ),
    "mimic": DatasetRow(
        ".data.mimic:load",
        "MIMIC: real intensive care, measurements and X-ray, 25 labels or death; prepared",
        "MIMIC-IV, MIMIC-CXR-JPG at PhysioNet (credentialed access), in the layout of DrFuse",
        {
            "task": "phenotype: 25 labels; mortality: one (phenotype)",
            "fold": "number of the published fold (1)",
            "side": "side in pixels of prepared X-rays (256)",
            "size": "side in pixels of a model's X-rays (224)",
        },
        ".data.mimic:prepare",
    ),
    "ave": DatasetRow(
        ".data.ave:load",
        "AVE: real clips of 28 kinds of events, features of sound and picture; prepared",
        "Tian et al. 2018, features as published by the authors, no licence stated",
        {
            "unit": "clip; sequence: a class per second; segment: seconds apart (clip)",
            "regions": "keep the 7x7 places of the picture's features (False)",
            "duplicates": "keep videos that occur several times (False)",
        },
        ".data.ave:prepare",
    ),
    "iemocap": DatasetRow(
        ".data.iemocap:load",
        "IEMOCAP: real dialogues, features of words, voice and face, 4 emotions; prepared",
        "Busso et al. 2008 (academic use on a signed form), features of MMIN",
        {"fold": "number of the fold (1)"},
        ".data.iemocap:prepare",
    ),
    "food101": DatasetRow(
        ".data.food101:load",
        "UPMC Food-101: real pictures of dishes and titles of their pages, 101 classes; prepared",
        "Wang et al. 2015, for research",
        {
            "val_share": "share of the training part that validates (0.075)",
            "text": "words: hashed counts; characters (words)",
            "words": "places of hashed words (4096)",
            "side": "side in pixels of prepared pictures (256)",
            "size": "side in pixels of a model's pictures (224)",
        },
        ".data.food101:prepare",
    ),
    "kinetics_sounds": DatasetRow(
        ".data.kinetics_sounds:load",
        "Kinetics-Sounds: real clips, 31 actions that are seen and heard; prepared from yours",
        "Arandjelović and Zisserman 2017, lists of OGM-GE, clips from YouTube",
        {
            "val_share": "share of the training list that validates (0.1)",
            "frames": "frames of a clip, one per second (3)",
            "side": "height in pixels of prepared frames (256)",
            "size": "side in pixels of a model's frames (224)",
        },
        ".data.kinetics_sounds:prepare",
    ),
    "table": DatasetRow(
        ".data.table:load",
        "your own cohort: a folder with a csv file per modality and one of labels, joined by an id",
        "yours; fits ADNI",
        {
            "source": "the folder; on the command line also --source",
            "labels": "name of the file of labels (labels)",
            "key": "column of the ids (id)",
            "label": "column of the classes (label)",
            "split": "column of the parts; drawn where there is none (split)",
            "group": "column whose values are kept apart where parts are drawn (none)",
            "leaks": "columns that tell a diagnosis (MMSE, CDR, ...): refuse, drop, keep (refuse)",
            "val_share": "share that validates, where drawn (0.15)",
            "test_share": "share that tests, where drawn (0.15)",
        },
    ),
    "folder": DatasetRow(
        ".data.folder:load",
        "your own samples: a csv or jsonl table with a column per modality and a label",
        "yours",
        {
            "source": "path of the table; on the command line also --source",
            "label": "column of the classes (label)",
            "split": "column of the parts; drawn where there is none (split)",
            "group": "column whose values are kept apart where parts are drawn (none)",
            "val_share": "share that validates, where drawn (0.15)",
            "test_share": "share that tests, where drawn (0.15)",
            "size": "side in pixels of a model's images (64)",
            "side": "side in pixels of kept images (128)",
            "augment": "cut and mirror images in training; False for letters and digits (True)",
            "seconds": "length of a sound (3)",
            "text": "columns of texts; those of .txt files need not be named (none)",
            "tokenizer": "of texts: words: hashed counts; characters; or hf:NAME_OR_FOLDER (words)",
            "words": "places of hashed words (4096)",
            "length": "characters or tokens of a text (128)",
        },
    ),
}
