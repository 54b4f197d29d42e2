"""Accuracies that others published, shown beside those measured here."""

from __future__ import annotations

# Multimodal accuracies on AV-MNIST as the M-SAM paper (arXiv 2510.24919) gives them in its Tables 1
# and 2, in percent. It gives neither seeds nor spread.
PUBLISHED = {
    "late": {"joint": 68.41, "sam": 73.17, "reconboost": 73.59, "msam": 74.08},
    "maxout": {"joint": 71.15, "sam": 73.22, "cggm": 73.11, "msam": 74.48},
}
TITLE = "paper, AV-MNIST"  # of the column of these numbers
TABLES = {"late": "Table 1", "maxout": "Table 2"}  # {fusion: table of the paper}
