"""`wrap`: use any `nn.Module` with this library's methods, without rewriting it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from msam_lib.errors import MsamError, unknown_name
from msam_lib.models.base import Model, Output
from msam_lib.models.micro_batches import in_parts

CALLS = ("dict", "kwargs", "args")


class WrappedModel(Model):
    """Any module behind the interface of `Model`; made by `wrap`.

    It cannot be split into encoders and fusion, so contributions take one stacked forward in
    evaluation mode, and modalities are left out by zeroing their inputs.
    """

    look: Callable[[Tensor], None] | None = None  # called with the logits of a forward pass

    def __init__(
        self,
        module: nn.Module,
        modalities: Sequence[str],
        call: str,
        encoders: Mapping[str, nn.Module] | None,
    ) -> None:
        super().__init__(modalities)
        self.module, self.call = module, call
        # By identity: names inside an encoder differ from those in the module.
        self._own = {m: {id(p) for p in e.parameters()} for m, e in (encoders or {}).items()}

    def forward(
        self, inputs: Mapping[str, Tensor], present: Collection[str] | None = None
    ) -> Output:
        """The module's logits; with `present`, the other modalities' inputs are zeroed."""
        self.check(inputs)
        x = {
            m: inputs[m] if present is None or m in present else self.replacement(m, inputs[m])
            for m in self.modalities
        }
        # Without encoders apart, the whole module works part by part.
        if self.micro_sizes:
            return Output(in_parts(self, self.module, self._logits, *x.values()))
        out = self._answer(*x.values())
        logits = out.logits if isinstance(out, Output) else out
        n = len(next(iter(x.values())))
        if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[0] != n:
            raise _not_logits(logits, n)
        if self.look is not None:
            self.look(logits)
        return out if isinstance(out, Output) else Output(out)

    def _answer(self, *inputs: Tensor) -> Tensor | Output:
        """What the module returns for inputs in the order of the modalities."""
        if self.call == "args":
            return self.module(*inputs)
        named = dict(zip(self.modalities, inputs, strict=True))
        return self.module(**named) if self.call == "kwargs" else self.module(named)

    def _logits(self, *inputs: Tensor) -> Tensor:
        out = self._answer(*inputs)
        return out.logits if isinstance(out, Output) else out

    def parameters_of(self, modality: str) -> list[nn.Parameter]:
        """The parameters of the encoder that `wrap(encoders=...)` named for this modality."""
        if modality not in self._own:
            raise MsamError(
                f"Which parameters belong to {modality!r} is not known. Name the encoders: "
                "wrap(model, modalities, encoders={'" + modality + "': model.some_submodule, ...})."
            )
        return [p for p in self.module.parameters() if id(p) in self._own[modality]]

    def blocks(self) -> dict[str, dict[str, nn.Parameter]]:
        """Named parameters by block: one per named encoder, and `"fusion"` for the rest."""
        out: dict[str, dict[str, nn.Parameter]] = {m: {} for m in (*self._own, "fusion")}
        for name, p in self.named_parameters():
            owner = next((m for m, ids in self._own.items() if id(p) in ids), "fusion")
            out[owner][name] = p
        return out


def _check_wrap(
    module: Any, modalities: Any, call: Any, encoders: Mapping[str, nn.Module] | None
) -> None:
    """Raise where the arguments of `wrap` do not fit each other."""
    if not isinstance(module, nn.Module):
        raise MsamError(f"module is a {type(module).__name__}; give an nn.Module.")
    names = [] if isinstance(modalities, str) else list(modalities)
    wrong = not names or len(set(names)) != len(names)
    if wrong or not all(isinstance(m, str) and m and m != "fusion" for m in names):
        raise MsamError(
            f"modalities={modalities!r}; give a list of different names (not 'fusion'), for "
            "example ['audio', 'visual']."
        )
    if call not in CALLS:
        raise unknown_name("call style", call, CALLS)
    taken = inspect.signature(module.forward).parameters
    kinds = {p.kind for p in taken.values()}
    if call == "kwargs" and inspect.Parameter.VAR_KEYWORD not in kinds:
        for m in names:
            if m not in taken:
                raise unknown_name("modality: the module's forward has no argument", m, taken)
    if call == "args" and inspect.Parameter.VAR_POSITIONAL not in kinds and len(names) > len(taken):
        raise MsamError(
            f"modalities={names}; the module's forward takes {len(taken)} argument(s): "
            f"{', '.join(taken)}. Name as many, or use call='dict'."
        )
    own = {id(p) for p in module.parameters()}
    for m, encoder in (encoders or {}).items():
        if m not in names:
            raise unknown_name("modality of encoders", m, names)
        if not isinstance(encoder, nn.Module) or not own >= {id(p) for p in encoder.parameters()}:
            raise MsamError(
                f"encoders[{m!r}] is a {type(encoder).__name__} that is no part of the module; "
                "give a sub-module, for example encoders={" + repr(m) + ": module.branch}."
            )


def _not_logits(out: Any, n: int) -> MsamError:
    """The error for a module that returns something else than logits (N, C)."""
    if isinstance(out, Tensor):
        what = f"a tensor of shape {tuple(out.shape)} for {n} samples"
    else:
        what = f"a {type(out).__name__}"
    return MsamError(
        f"The wrapped module returned {what}; it must return logits (N, C), or an Output. Wrap a "
        "module whose forward picks them, for example `return self.net(x)[0]`."
    )


def wrap(
    module: nn.Module,
    modalities: Sequence[str],
    *,
    call: str = "dict",
    encoders: Mapping[str, nn.Module] | None = None,
) -> WrappedModel:
    """Your own module as a `Model`, for methods and diagnostics. Its parameters are those of the
    module and are optimised as before.

    Args:
        module: returns logits (N, C), or an `Output`.
        modalities: names of the inputs, in the order of the module's arguments.
        call: how the module is called: `"dict"` is `module({name: x})`, `"kwargs"` is
            `module(name=x)`, `"args"` is `module(x, ...)` in the order of `modalities`.
        encoders: {modality: sub-module}, for methods and diagnostics that need to know which
            parameters belong to a modality.

    Raises:
        MsamError: no module, an unknown `call`, or names that do not fit the module.

    >>> import torch
    >>> model = wrap(nn.Bilinear(3, 4, 2), ["x1", "x2"], call="args")
    >>> model({"x1": torch.ones(5, 3), "x2": torch.ones(5, 4)}).logits.shape
    torch.Size([5, 2])
    """
    _check_wrap(module, modalities, call, encoders)
    return WrappedModel(module, modalities, call, encoders)
