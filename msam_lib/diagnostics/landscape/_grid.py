"""Evaluating the loss at θ + x d₁ + y d₂ for a whole grid, encoding each modality no more often
than needed.

A modality's features depend on x only if d₁ moves its encoder, on y only if d₂ does. So an encoder
that neither moves is run once, one that d₁ alone moves once per x, and only one that both move at
every point. With an additive fusion that does not move, the features are reduced to logits at once,
and a whole row of the plane is one sum.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.data.containers import Batch
from msam_lib.diagnostics._batchnorm import fold, head, same_logits
from msam_lib.diagnostics._blocks import all_blocks
from msam_lib.diagnostics._losses import Direction, Loss, finite, logits_of
from msam_lib.diagnostics._samples import shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics.landscape._first_layers import FirstLayers
from msam_lib.diagnostics.landscape._weights import _Mover

Score = tuple[float, float]  # mean loss, accuracy


class Grid:
    """A working copy of a model that can be put anywhere in a plane.

    Args:
        model: copied, never moved.
        batches: fixed data, on the model's device.
        directions: d₁ and d₂ (empty for a line), already checked.
        loss: the caller's own loss; None is cross-entropy, for which there is an accuracy as well.
        mode: of batch normalisation.
        cache: reuse what a direction leaves unchanged.
        fast: fold batch normalisation and use the channels-last layout where it gives the same
            logits.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: list[Batch],
        directions: tuple[Direction, Direction],
        *,
        loss: Loss | None,
        mode: str,
        cache: bool,
        fast: bool,
    ) -> None:
        self.loss, self.mode, self.batches, self.shares = loss, mode, batches, shares(batches)
        homes = {n: b for b, names in all_blocks(model).items() for n in names}
        modalities = tuple(getattr(model, "modalities", ()))
        self.model, self.directions, self.folded = copy.deepcopy(model), directions, False
        with session(self.model, mode=mode, parameters=()), torch.no_grad():
            at_origin = self._score_all()[0]
        finite(at_origin, " at the model itself")
        if fast and mode == "eval" and loss is None:
            self._fold(model)
        self._index(homes, modalities)
        if fast and loss is None:
            with session(self.model, mode=mode, parameters=()):
                self.mover.first = FirstLayers(self.model, self.directions, batches)
        self.cached = cache and loss is None and bool(getattr(model, "splittable", False))

    def _fold(self, model: nn.Module) -> None:
        """Use the folded copy if it agrees with the plain one at two points of the plane."""
        trial = copy.deepcopy(model)
        probe = head(self.batches[0])
        with session(trial, mode="eval", parameters=()), torch.no_grad():
            moved = fold(trial, self.directions, probe)
        trial.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for p in trial.parameters():
            p.requires_grad_(False)
        both = [(self.model, self.directions), (trial, (moved[0], moved[1]))]
        for coefficient in (0.0, 1.0):
            logits = []
            for m, ds in both:
                with session(m, mode="eval", parameters=()), torch.no_grad():
                    home = _Mover(m, ds)
                    home.to(coefficient, coefficient)
                    logits.append(logits_of(m, probe))
                    home.to(0.0, 0.0)
            if not same_logits(*logits):
                return
        self.model, self.directions, self.folded = trial, (moved[0], moved[1]), True

    def _index(self, homes: dict[str, str], modalities: tuple[str, ...]) -> None:
        """Which blocks each direction moves."""
        self.mover = _Mover(self.model, self.directions)
        owner = lambda n: homes.get(n) or _home(n, modalities)  # noqa: E731 - buffers, folded biases
        self.moves = [{owner(n) for n in d} for d in self.directions]
        self.names = {
            b: {n for d in self.directions for n in d if owner(n) == b}
            for b in [*modalities, "fusion"]
        }
        self.modalities = modalities

    # --- the two ways through a grid
    # ---------------------------------------------------------------

    def run(
        self, xs: np.ndarray, ys: np.ndarray, *, progress: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Losses and accuracies (I, J)."""
        out = np.full((len(xs), len(ys), 2), np.nan)
        with (
            session(self.model, mode=self.mode, parameters=()),
            torch.no_grad(),
            progress_bar(total=out.size // 2, show=progress, desc="landscape") as bar,
        ):
            fixed = self._along_y(ys) if self.cached else None
            for i, x in enumerate(xs):
                if fixed is None:
                    for j, y in enumerate(ys):
                        self.mover.to(x, y)
                        out[i, j] = self._score_all()
                        bar.update()
                else:
                    out[i] = self._row(x, ys, *fixed)
                    bar.update(len(ys))
        return out[..., 0], out[..., 1]

    def _score_all(self) -> Score:
        """At the weights as they are."""
        if self.loss is not None:
            pairs = zip(self.shares, self.batches, strict=True)
            return sum(w * float(self.loss(self.model, b)) for w, b in pairs), float("nan")
        return self._mean([_score(logits_of(self.model, b), b.targets) for b in self.batches])

    def _mean(self, scores: Sequence[Tensor]) -> Score:
        total = sum(w * s.cpu().double() for w, s in zip(self.shares, scores, strict=True))
        return float(total[0]), float(total[1])  # type: ignore[index]

    def _axes(self, m: str) -> str:
        return "".join(a for a, moved in zip("xy", self.moves, strict=True) if m in moved)

    def _along_y(self, ys: np.ndarray) -> tuple[dict, dict]:
        """Features of the encoders that stay, one list over batches; and of those that y alone
        moves, one per y.
        """
        stay = {m: self._encode(m) for m in self.modalities if self._axes(m) == ""}
        along: dict[str, list[list[Tensor]]] = {}
        for m in self.modalities:
            if self._axes(m) == "y":
                along[m] = []
                for y in ys:
                    self.mover.to(0.0, y, self.names[m])
                    along[m].append(self._encode(m))
        return stay, along

    def _encode(self, m: str) -> list[Tensor]:
        """Features of every batch; logits already, where the fusion is a sum that does not move."""
        features = (self.model.encoders[m](b.inputs[m]) for b in self.batches)  # type: ignore[index]
        keep = self.mover.first.keep if self.mover.first else lambda h: h
        return [keep(self._term(m, h) if self._adds else h) for h in features]

    @property
    def _adds(self) -> bool:
        moved = any("fusion" in names for names in self.moves)
        return bool(self.model.fusion.additive) and not moved

    def _term(self, m: str, features: Tensor) -> Tensor:
        """This modality's logits (N, C)."""
        rest = {k: features.new_zeros(1, d) for k, d in self.model.fusion.dims.items() if k != m}
        return self.model.fusion.unimodal(rest | {m: features})[m]

    def _row(self, x: float, ys: np.ndarray, stay: dict, along: dict) -> list[Score]:
        row = {}
        for m in self.modalities:
            if self._axes(m) == "x":
                self.mover.to(x, 0.0, self.names[m])
                row[m] = self._encode(m)
        both = [m for m in self.modalities if self._axes(m) == "xy"]
        if self._adds and not both:
            return self._summed_row(stay | row, along, len(ys))
        out = []
        for j, y in enumerate(ys):
            here = stay | row | {m: rows[j] for m, rows in along.items()}
            for m in both:
                self.mover.to(x, y, self.names[m])
                here[m] = self._encode(m)
            if not self._adds:
                self.mover.to(x, y, self.names["fusion"])
            scores = []
            for b, batch in enumerate(self.batches):
                parts = {m: here[m][b] for m in self.modalities}
                logits = sum(parts.values()) if self._adds else self.model.fuse(parts).logits
                scores.append(_score(logits, batch.targets))  # type: ignore[arg-type]
            out.append(self._mean(scores))
        return out

    def _summed_row(self, here: dict, along: dict, count: int) -> list[Score]:
        """All y at once: logits (J, N, C) are a sum over modalities."""
        total = torch.zeros(count, 2, dtype=torch.float64)
        for b, batch in enumerate(self.batches):
            logits: Tensor | int = 0
            for m in self.modalities:  # in the model's order: the sum is the model's, bit by bit
                if m in here:
                    logits = logits + here[m][b]
                else:
                    logits = logits + torch.stack([along[m][j][b] for j in range(count)])
            score = _score(logits, batch.targets)  # type: ignore[arg-type]
            total += self.shares[b] * score.cpu().double()
        return [(float(a), float(c)) for a, c in total]


def _score(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy and accuracy over the last axis but one: (..., N, C) -> (..., 2)."""
    y = targets.expand(logits.shape[:-1])
    own = F.log_softmax(logits, dim=-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)  # (..., N)
    right = (logits.argmax(-1) == y).to(own)
    return torch.stack([-own.mean(-1), right.mean(-1)], dim=-1)


def _home(name: str, modalities: tuple[str, ...]) -> str:
    """The block of a buffer or a bias made by folding, from its name as `MultimodalModel` builds
    it.
    """
    top, _, rest = name.partition(".")
    own = rest.partition(".")[0]
    return own if top == "encoders" and own in modalities else "fusion"
