"""`MultimodalModel`: one encoder per modality and a fusion, with the two halves callable on their
own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import EncoderName, EncoderNames
from msam_lib.data.containers import DataSplits, Modality
from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.models.base import Layout, Model, Output, summed
from msam_lib.models.chosen_encoders import chosen_encoders
from msam_lib.models.contexts import evaluating
from msam_lib.models.fusions.additive import Fusion
from msam_lib.models.fusions.registry import fusion_for, laid_out
from msam_lib.models.micro_batches import in_parts


class MultimodalModel(Model):
    """Encoders and a fusion: `fuse(encode(inputs))`.

    Args:
        encoders: {modality: module}, each mapping (N, ...) to (N, D_m). Any number, any names.
        fusion: a `Fusion` over the same modalities.
        unimodal_heads: give each modality a linear head of its own on its features, beside the
            fusion: `Output.unimodal` then comes from these heads, the fused logits and all
            contributions from the fusion. Fusions that have no per-modality logits (MaxOut, gated,
            ...) need them for methods with unimodal losses; with late fusion and concatenation
            they take the place of the fusion's terms (MMPareto's published model is concatenation
            with such heads). Only a method whose loss contains `Output.unimodal` trains them.

    Raises:
        MsamError: where the fusion and the encoders disagree, or a name cannot be used in a state
            dict.
    """

    splittable = True
    fusion: Fusion
    encoders: nn.ModuleDict
    heads: nn.ModuleDict | None

    def __init__(
        self, encoders: Mapping[str, nn.Module], fusion: Fusion, *, unimodal_heads: bool = False
    ) -> None:
        super().__init__(fusion.modalities)
        if set(encoders) != set(fusion.modalities):
            raise MsamError(
                f"Encoders are for {sorted(encoders)}, the fusion is for "
                f"{sorted(fusion.modalities)}; both need the same modalities."
            )
        self.encoders = nn.ModuleDict({m: encoders[m] for m in self.modalities})
        self.fusion = fusion
        self.heads = None
        if unimodal_heads:
            self.heads = nn.ModuleDict({m: fusion.own_head(m) for m in fusion.dims})

    def forward(
        self, inputs: Mapping[str, Tensor], present: Collection[str] | None = None
    ) -> Output:
        """Fused and unimodal logits; with `present`, the other modalities' inputs are zeroed."""
        self.check(inputs)
        if present is None:
            return self.fuse(self.encode(inputs))
        # One feature stands for an absent modality in every sample.
        gone = self.absent_features(inputs, [m for m in self.modalities if m not in present])
        n = len(next(iter(inputs.values())))
        features = {
            m: gone[m].expand(n, -1) if m in gone else self.encode_one(m, inputs[m])
            for m in self.modalities
        }
        return self.fuse(features)

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features {m: (N, D_m)} of the inputs {m: (N, ...)}."""
        return {m: self.encode_one(m, inputs[m]) for m in self.modalities}

    def encode_one(self, modality: str, x: Tensor) -> Tensor:
        """The features (N, D) of one modality's inputs (N, ...)."""
        encoder = self.encoders[modality]
        return in_parts(self, encoder, encoder, x)

    def fuse(self, features: Mapping[str, Tensor]) -> Output:
        """The output for features {m: (N, D_m)}."""
        own = self.fusion.unimodal(features)
        # The terms of an additive fusion are there already: add them.
        logits = summed(own.values()) if self.fusion.additive else self.fusion(features)
        # Separate heads answer for the modalities, never for the fused logits.
        if self.heads is not None:
            own = {m: head(features[m]) for m, head in self.heads.items()}
        return Output(logits, dict(features), own)

    def absent_features(
        self, inputs: Mapping[str, Tensor], modalities: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """{m: (1, D_m)}: the feature that stands for a modality that is not there.

        It is the encoder's answer, in evaluation mode, to one all-zero input (or to the input given
        to `set_baseline`). One sample gives exactly what a whole batch of zeros would, since
        evaluation mode treats samples separately; batch-norm statistics are not touched.
        """
        out = {}
        for m in self.modalities if modalities is None else modalities:
            given = self.baseline.get(m)
            zeros = torch.zeros_like(inputs[m][:1])
            # Running statistics: one sample has none of its own.
            with evaluating(self.encoders[m]):
                out[m] = self.encoders[m](zeros if given is None else given.to(zeros.device))
        return out

    def parameters_of(self, modality: str) -> list[nn.Parameter]:
        """The parameters of one modality's encoder.

        Raises:
            MsamError: for an unknown modality.
        """
        return list(self.encoders[self.known(modality)].parameters())

    def blocks(self) -> dict[str, dict[str, nn.Parameter]]:
        """Named parameters by block: one block per modality's encoder, and `"fusion"` for all the
        rest.
        """
        out: dict[str, dict[str, nn.Parameter]] = {m: {} for m in (*self.modalities, "fusion")}
        for name, parameter in self.named_parameters():
            top, _, rest = name.partition(".")
            # `encoders.<modality>.<name>`; all else, the heads too, counts as fusion.
            out[rest.partition(".")[0] if top == "encoders" else "fusion"][name] = parameter
        return out


def split(model: Model) -> MultimodalModel:
    """The model as one of encoders and fusion.

    Raises:
        UnsupportedSetting: it cannot be split.
    """
    if not isinstance(model, MultimodalModel):
        raise UnsupportedSetting(
            f"{type(model).__name__} cannot be split into encoders and fusion. Use a "
            "MultimodalModel."
        )
    return model


def build_model(
    data: DataSplits | Mapping[str, Modality],
    fusion: str = "late",
    *,
    classes: Count | None = None,
    segments: Count = 1,
    encoder: EncoderNames | Mapping[str, EncoderName] = "auto",
    encoders: Mapping[str, nn.Module] | None = None,
    encoder_options: Mapping[str, object] | None = None,
    width: Count = 16,
    unimodal_heads: bool = False,
    **fusion_options: object,
) -> MultimodalModel:
    """A model that fits a data set: an encoder for each modality and the named fusion.

    Args:
        data: a loaded data set, or {name: Modality} together with `classes`.
        fusion: late, concat, maxout, sum, gated, film, lnln or guided.
        classes: number of classes; taken from the data set when `data` is one.
        segments: of a sample that get a class each (`SegmentClassification`); also taken from the
            data set. Where every encoder has features of each segment, as `"segments"` has (which
            `"auto"` then is for sequences and maps of so many steps), the fusion answers segment by
            segment; else it answers for all of them at once.
        encoder: one kind for all modalities, {name: kind} or `"name=kind,name=kind"`; see
            `build_encoder`. Modalities that are not named get `"auto"`.
        encoders: {name: module} of modules of your own, from (N, ...) to features (N, D); the
            others are built. D is found by reading two samples of zeros in evaluation mode.
        encoder_options: options of the encoders that are built, such as `{"trainable": "last:2"}`;
            for one modality alone `{"text.trainable": "none"}`.
        width: base width of the encoders.
        unimodal_heads: see `MultimodalModel`.
        **fusion_options: passed on to the fusion, e.g. `hidden=(128, 64)` for MaxOut.

    >>> from msam_lib.data import Modality
    >>> specs = {"x1": Modality("vector", (5,)), "x2": Modality("vector", (3,))}
    >>> model = build_model(specs, classes=2)
    >>> model({"x1": torch.ones(4, 5), "x2": torch.ones(4, 3)}).logits.shape
    torch.Size([4, 2])

    An encoder from elsewhere, where torchvision and with it timm can be installed (a spectrogram
    has one channel, a classifier is not needed)::

        import timm

        audio = timm.create_model("resnet18", pretrained=True, in_chans=1, num_classes=0)
        for p in [*audio.conv1.parameters(), *audio.layer1.parameters()]:
            p.requires_grad_(False)  # methods fine-tune the rest
        model = build_model(data, encoders={"audio": audio})

    >>> own = nn.Sequential(nn.Linear(5, 7), nn.Tanh())
    >>> build_model(specs, classes=2, encoders={"x1": own}).fusion.dims
    {'x1': 7, 'x2': 64}
    """
    check_arguments(build_model, locals())
    specs = data.modalities if isinstance(data, DataSplits) else data
    if isinstance(data, DataSplits):
        segments = data.task.segments
        classes = data.task.outputs // segments
    if classes is None:
        raise MsamError(
            "classes=None: give the number of classes when `data` is not a loaded data set."
        )
    chosen, dims = chosen_encoders(
        specs,
        encoder,
        encoders=encoders,
        options=encoder_options,
        width=width,
        segments=segments,
        guided=laid_out(fusion),
    )
    layouts = {m: getattr(e, "layout", Layout()) for m, e in chosen.items()}
    return MultimodalModel(
        chosen,
        fusion_for(fusion, dims, classes, layouts, segments, fusion_options),
        unimodal_heads=unimodal_heads,
    )
