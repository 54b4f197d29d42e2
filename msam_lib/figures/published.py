"""Accuracies that others published, shown beside those measured here."""

from __future__ import annotations

# Multimodal accuracies as the M-SAM paper (arXiv 2510.24919) gives them in its Tables 1 and 2, in
# percent; it gives neither seeds nor spread. Known here are joint training, SAM, the best of the
# other methods (by name on AV-MNIST only) and M-SAM.
BASELINE = "best other method"
PAPER: dict[str, dict[str, dict[str, float]]] = {
    "late": {
        "avmnist": {"joint": 68.41, "sam": 73.17, "reconboost": 73.59, "msam": 74.08},
        "cremad": {"joint": 61.19, "sam": 66.32, BASELINE: 67.47, "msam": 68.56},
        "urfunny": {"joint": 64.50, "sam": 65.95, BASELINE: 67.61, "msam": 68.31},
        "ave": {"joint": 73.19, "sam": 77.66, BASELINE: 78.02, "msam": 79.67},
    },
    "maxout": {
        "avmnist": {"joint": 71.15, "sam": 73.22, "cggm": 73.11, "msam": 74.48},
        "cremad": {"joint": 62.13, "sam": 66.22, BASELINE: 66.90, "msam": 68.43},
        "urfunny": {"joint": 65.15, "sam": 66.87, BASELINE: 66.98, "msam": 67.92},
        "ave": {"joint": 76.29, "sam": 76.76, BASELINE: 77.32, "msam": 78.23},
    },
}
PUBLISHED = {fusion: sets["avmnist"] for fusion, sets in PAPER.items()}  # beside our AV-MNIST
# Its accuracies of one modality, as far as known here: {fusion: {(data set, modality): numbers}}.
ALONE = {
    "late": {
        ("cremad", "visual"): {"ogm_ge": 58.90, "msam": 53.22},
        ("urfunny", "audio"): {"msam": 51.56},
    }
}
# Its data sets, with what it calls them and their modalities.
SETS = {
    "avmnist": ("AV-MNIST", ("audio", "visual")),
    "cremad": ("CREMA-D", ("audio", "visual")),
    "urfunny": ("UR-Funny", ("audio", "visual", "text")),
    "ave": ("AVE", ("audio", "visual")),
}
TITLE = "paper, AV-MNIST"  # of the column of its numbers on that data set
TABLES = {"late": "Table 1", "maxout": "Table 2"}  # {fusion: table of the paper}
