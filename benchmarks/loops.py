"""Our loops against the same loops written by hand: `python benchmarks/loops.py --json`.

* `Trainer.fit` against a loop of ten lines: joint training on the `teach` presets, with the same
  batches, and the same `evaluate` on the same splits after each epoch.
* A 15x15 loss plane of somebody's own module (a small vision-language network with attention)
  against two nested loops in float32 at the same points.

Contestants take turns in one process on one thread; the ratio is the median over rounds of CPU time
(ours / by hand). AV-MNIST needs its files (see README, "Data").
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diagnostics import report, row, speed_up  # its neighbour: this file is run as a script
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.data import Batch
from msam_lib.diagnostics import plane, random_direction
from msam_lib.errors import MsamError
from msam_lib.experiments import Experiment
from msam_lib.experiments.build import build_trainer
from msam_lib.models import wrap
from msam_lib.training import evaluate

STEPS = 15


class Attention(nn.Module):
    """One block of a transformer, with the fused attention kernel."""

    def __init__(self, size: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.norms = nn.ModuleList([nn.LayerNorm(size), nn.LayerNorm(size)])
        self.mlp = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        parts = self.qkv(self.norms[0](x)).view(n, t, 3, self.heads, d // self.heads)
        mixed = F.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4))
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.norms[1](x))


class VisionLanguage(nn.Module):
    """Convolutions for the image, two blocks of attention for the text, and a head for both."""

    def __init__(self) -> None:
        super().__init__()
        self.vision = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(512, 64),
        )
        self.text = nn.Sequential(nn.Linear(32, 64), Attention(), Attention())
        self.head = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 5))

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        return self.head(torch.cat([self.vision(x["image"]), self.text(x["text"]).mean(1)], 1))


def loop_by_hand(experiment: Experiment) -> list[float]:
    """What somebody would write for joint training; returns the test accuracies."""
    trainer = build_trainer(experiment, None, progress=False)  # its parts, not its loop
    model, optimizer, scheduler = trainer.model, trainer.optimizer, trainer.scheduler
    out = []
    for epoch in range(-1, experiment.epochs):
        if epoch >= 0:  # before that, the measurement of the untrained network
            model.train()
            trainer.loaders.train.set_epoch(epoch)
            for batch in trainer.loaders.train:
                optimizer.zero_grad()
                F.cross_entropy(model(batch.inputs).logits, batch.targets).backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
        for split, data in trainer.loaders.evaluation.items():
            rows = evaluate(model, data, per_class=split == "test")
        out += [r.value for r in rows if r.modality == "fused" and r.metric == "accuracy"]
    return out


def trainings(rounds: int) -> list[dict[str, Any]]:
    """The Trainer against the loop by hand, which gives the same accuracies."""
    out = []
    for dataset in progress_bar(("digits", "avmnist"), desc="trainings"):
        experiment = Experiment.preset(
            "teach", dataset=dataset, method="joint", epochs=2, device="cpu"
        )

        def ours(e: Experiment = experiment) -> list[float]:
            history = build_trainer(e, None, progress=False).fit(e.epochs)
            frame = history.frame()
            chosen = frame.query("split == 'test' and modality == 'fused' and metric == 'accuracy'")
            return list(chosen["value"])

        try:
            same = ours() == loop_by_hand(experiment)
        except MsamError as error:  # no files of AV-MNIST here
            print(f"{dataset} is left out: {error}")
            continue
        if not same:
            raise SystemExit(f"{dataset}: the two loops give different accuracies; nothing timed.")
        value = speed_up(ours, lambda e=experiment: loop_by_hand(e), rounds)
        setting = f"teach: {dataset}, late, joint training, 2 epochs"
        out.append(row("Trainer", "loop by hand", setting, value, 1.15))
    return out


def wrapped_plane(rounds: int) -> list[dict[str, Any]]:
    """The plane of a module through `wrap`, all parameters moving."""
    torch.manual_seed(0)
    model = wrap(VisionLanguage(), ("image", "text")).eval()
    inputs = {"image": torch.randn(64, 3, 32, 32), "text": torch.randn(64, 48, 32)}
    batch = Batch(inputs, torch.randint(5, (64,)))
    pair = (random_direction(model, "all", seed=1), random_direction(model, "all", seed=2))

    def ours() -> Any:
        return plane(model, batch, directions=pair, steps=STEPS, progress=False)

    at = ours()
    weights = dict(model.named_parameters())
    start = {n: p.detach().clone() for n, p in weights.items()}

    @torch.no_grad()
    def by_hand() -> np.ndarray:
        out = np.empty((STEPS, STEPS))
        for i, x in enumerate(at.x):
            for j, y in enumerate(at.y):
                for n in pair[0]:
                    weights[n].copy_(start[n] + float(x) * pair[0][n] + float(y) * pair[1][n])
                out[i, j] = F.cross_entropy(model(batch.inputs).logits, batch.targets)
        for n, p in weights.items():
            p.copy_(start[n])
        return out

    error = float(np.abs(at.loss - by_hand()).max())
    if error > 1e-5:
        raise SystemExit(f"The two planes differ by {error:.2g}; nothing was timed.")
    setting = f"vision-language module, {STEPS}x{STEPS}, 64 samples; differs by {error:.1e}"
    value = speed_up(ours, by_hand, rounds)
    return [row("plane of a wrapped module", "loop by hand", setting, value, 1.1)]


def main() -> None:
    """Print the ratios as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per comparison (7)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [*trainings(args.rounds), *wrapped_plane(args.rounds)]
    report(rows, as_json=args.json)


if __name__ == "__main__":
    main()
