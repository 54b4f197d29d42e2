"""Results as tidy frames: loaded from frozen files, selected, summarised, compared. No torch.

>>> from msam_lib import results
>>> frame = results.load("avmnist_mini")
>>> sorted(frame["fusion"].unique())
['late', 'maxout']
"""

from msam_lib.results.frame import reported_epoch
from msam_lib.results.frozen import load
from msam_lib.results.landscape import Landscape
from msam_lib.results.statistics import (
    Interval,
    PairedTest,
    bootstrap_interval,
    paired,
    t_interval,
)
from msam_lib.results.summary import paired_test, summary

__all__ = [
    "Interval",
    "Landscape",
    "PairedTest",
    "bootstrap_interval",
    "load",
    "paired",
    "paired_test",
    "reported_epoch",
    "summary",
    "t_interval",
]
