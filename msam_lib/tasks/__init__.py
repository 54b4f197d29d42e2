"""What is being learnt: loss, score, the value that Shapley measures, and the published metrics.

Methods, diagnostics and tables ask the task, so none of them mentions a loss of its own or the
shape of a target.

>>> from msam_lib.tasks import Multilabel
>>> Multilabel(25).headline
'auprc'
"""

from msam_lib.tasks.base import Task
from msam_lib.tasks.classification import CLASSIFICATION, Classification
from msam_lib.tasks.multilabel import Multilabel
from msam_lib.tasks.regression import Regression
from msam_lib.tasks.segments import SegmentClassification

KINDS = ("classification", "multilabel", "regression", "segments")

__all__ = [
    "CLASSIFICATION",
    "KINDS",
    "Classification",
    "Multilabel",
    "Regression",
    "SegmentClassification",
    "Task",
]
