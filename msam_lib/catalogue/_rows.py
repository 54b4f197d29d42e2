"""What a row of the catalogue holds."""

from __future__ import annotations

from typing import Any, NamedTuple


class MethodRow(NamedTuple):
    """A training rule.

    Args:
        target: its class.
        title: how tables and pictures call it.
        kind: what it changes: nothing, loss, gradient, schedule, landscape, data or model.
        option: its main option, which the search varies beside the learning rate; "" where it has
            none, so that it gets more learning rates instead.
        values: the three values tried, in the middle what its paper or its code uses. Radii and
            strengths begin near their neutral value, so that no method loses to joint training only
            for lack of a small one.
        steps: its step as pseudo-code, six short lines with LaTeX between dollar signs, for its
            card; a method of the library has them in `_steps_gradients` or `_steps_losses`.
    """

    target: str
    title: str
    kind: str
    option: str = ""
    values: tuple[Any, ...] = ()
    steps: tuple[str, ...] = ()


class DatasetRow(NamedTuple):
    """A data set.

    Args:
        target: its loader, `(*, seed, modalities, **options) -> DataSplits`.
        summary: one line.
        reference: source and licence.
        options: {option of the loader: what it means (its default)}.
        prepare: what decodes its distribution, `(source, cache, *, jobs, **options)`; "" where
            nothing has to be prepared.
    """

    target: str
    summary: str
    reference: str
    options: dict[str, str]
    prepare: str = ""


class FusionRow(NamedTuple):
    """A fusion.

    Args:
        target: its class.
        words: in captions, such as "late fusion".
        short: in column heads, such as "late".
    """

    target: str
    words: str
    short: str
