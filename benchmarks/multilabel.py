"""What measuring 25 labels costs: `python -m benchmarks.multilabel`.

Trains on synthetic data with 25 labels, once with the areas of all labels from one sort, and once
with scikit-learn label by label; both in turns in one process on one thread. Prints the median CPU
time of a training and the share of it that `evaluate` takes, and checks that both give the same
measurements.
"""

from __future__ import annotations

import statistics
import time

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

import msam_lib as ml
from msam_lib.tasks import Multilabel
from msam_lib.training import trainer

LABELS, EPOCHS, ROUNDS = 25, 2, 5
DATA = {"n_classes": LABELS, "dim": 32, "n_train": 2000, "n_val": 500, "n_test": 1000}


class LabelByLabel(Multilabel):
    """The same task, measured by scikit-learn."""

    def metrics(self, z: Tensor, y: Tensor) -> dict[str, float]:
        probability, truth = z.double().sigmoid().numpy(), y.numpy()
        mixed = [k for k in range(self.labels) if 0 < truth[:, k].sum() < len(truth)]
        pairs = [(truth[:, k], probability[:, k]) for k in mixed]
        return {
            "auprc": statistics.fmean(average_precision_score(*pair) for pair in pairs),
            "auroc": statistics.fmean(roc_auc_score(*pair) for pair in pairs),
            "labels_counted": float(len(mixed)),
            "labels": float(self.labels),
            "brier": float(((probability - truth) ** 2).mean()),
            "label_accuracy": float(self.credit(z, y).double().mean()),
        }

    def headline_of(self, z: Tensor, y: Tensor) -> float:
        return self.metrics(z, y)["auprc"]


def train(task: Multilabel, data: ml.DataSplits) -> tuple[float, float, list[float]]:
    """(CPU seconds of a training, share of `evaluate` in it, all measurements)."""
    torch.manual_seed(0)
    model, method = ml.build_model(data, fusion="late", width=8), ml.build_method("joint")
    method.setup(model, task)
    optimizer = ml.build_optimizer(model.parameters(), lr=0.05)
    spent, measure = 0.0, trainer.evaluate

    def timed(*args: object, **options: object) -> list[trainer.Row]:
        nonlocal spent
        began = time.process_time()
        rows = measure(*args, **options)  # type: ignore[arg-type]
        spent += time.process_time() - began
        return rows

    trainer.evaluate = timed  # type: ignore[assignment]
    try:
        start = time.process_time()
        history = ml.Trainer(model, method, data, optimizer=optimizer, progress=False).fit(EPOCHS)
        total = time.process_time() - start
    finally:
        trainer.evaluate = measure
    return total, spent / total, [r.value for r in history.records]


def main() -> None:
    torch.set_num_threads(1)
    data = ml.load_dataset("synthetic", task="multilabel", **DATA)
    prevalence = data.task.prevalence  # type: ignore[attr-defined]
    tasks = {
        "one sort": Multilabel(LABELS, prevalence),
        "by label": LabelByLabel(LABELS, prevalence),
    }
    results: dict[str, list[tuple[float, float, list[float]]]] = {name: [] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            results[name].append(train(task, data))
    first, second = (results[name][0][2] for name in tasks)
    assert torch.allclose(torch.tensor(first), torch.tensor(second), equal_nan=True)
    seconds = {}
    for name, rounds in results.items():
        seconds[name] = statistics.median(r[0] for r in rounds)
        share = statistics.median(r[1] for r in rounds)
        print(f"{name}: {seconds[name]:.2f} s CPU, {100 * share:.0f} % of it in evaluate")
    print(f"ratio {seconds['by label'] / seconds['one sort']:.1f}")


if __name__ == "__main__":
    main()
