"""Labels: a method with its options in one word, `"msam:reading=encoder,rho=0.1"`; parsing,
formatting and display. Imports no torch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msam_lib.catalogue import FUSIONS, METHODS
from msam_lib.errors import MsamError

IMPLIED = {"reading=literal", "ascent=gradient", "target=dominant"}  # the defaults
SHORT = {  # options in words; others are shown as option=value
    "reading=encoder": "encoder",
    "reading=unimodal_loss": "unimodal loss",
    "ascent=momentum": "momentum",
    "target=weakest": "weakest",
    "aps=False": "without APS",
    "mdps=False": "without MDPS",
    "variant=released": "released code",
}
SETTING_WORDS = {  # options of settings in words; others are shown as option=value
    "encoder": "{}",
    "snr_db": "{:g} dB",
    "label_noise": "{:.0%} wrong labels",
}
SIZES = ("width", "epochs", "lr", "batch_size", "n_train", "n_val", "n_test")  # of runs
RADII = ("rho",)  # shown in captions instead, see `radii`


class Case(NamedTuple):
    """A method and the options that make it a row of a table.

    Args:
        method: its name.
        options: those that are fixed; a search may choose others.
    """

    method: str
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """The label with the fixed options; see `format_label`."""
        return format_label(self.method, self.options)


class Comparison(NamedTuple):
    """A setting (a data set, or one with options, see `parse_setting`) and a fusion under which
    methods are compared.
    """

    dataset: str
    fusion: str

    @property
    def name(self) -> str:
        """The heading of its column.

        >>> Comparison("avmnist", "maxout").name
        'avmnist, early'
        >>> Comparison("avmnist_mini@encoder=small_cnn,width=8,snr_db=-6", "late").name
        'avmnist_mini (small_cnn, -6 dB), late'
        """
        return f"{setting_name(self.dataset)}, {FUSIONS[self.fusion].short}"


def format_label(method: str, options: Mapping[str, Any]) -> str:
    """The label of a method with options.

    >>> format_label("msam", {"rho": 0.1, "reading": "encoder"})
    'msam:reading=encoder,rho=0.1'
    """
    words = ",".join(f"{k}={v}" for k, v in sorted(options.items()))
    return f"{method}:{words}" if words else method


def parse(label: str) -> tuple[str, dict[str, str]]:
    """(method, {option: value as text}) of a label.

    Raises:
        MsamError: a part of it is not OPTION=VALUE.

    >>> parse("msam:reading=encoder,rho=0.1")
    ('msam', {'reading': 'encoder', 'rho': '0.1'})
    """
    method, _, rest = label.partition(":")
    parts: list[str] = []
    for piece in rest.split(",") if rest else []:
        if "=" in piece or not parts:
            parts.append(piece)
        else:  # a comma inside a value
            parts[-1] += "," + piece
    return method, dict(_pair(part) for part in parts)


def parse_setting(text: str) -> tuple[str, dict[str, Any]]:
    """(data set, its options) of a setting, `DATASET` or `DATASET@OPTION=VALUE,...`.

    Raises:
        MsamError: a part of it is not OPTION=VALUE.

    >>> parse_setting("avmnist_mini@snr_db=-6")
    ('avmnist_mini', {'snr_db': -6})
    """
    dataset, at, rest = text.partition("@")
    if at and not rest:
        raise MsamError(f"{text!r} has nothing after '@'; for example avmnist_mini@snr_db=-6.")
    return dataset, {k: literal(v) for k, v in parse(f":{rest}")[1].items()}


def setting_name(setting: str) -> str:
    """A setting in words: the data set and, in brackets, the options that tell what it is; those
    that only set the size of its runs are left out.

    >>> setting_name("mfeat@label_noise=0.4,epochs=10")
    'mfeat (40% wrong labels)'
    """
    dataset, options = parse_setting(setting)
    shown = [
        SETTING_WORDS.get(k, f"{k}={{}}").format(v)
        for k, v in options.items()
        if k not in SIZES and (k, v) != ("label_noise", 0)
    ]
    return f"{dataset} ({', '.join(shown)})" if shown else dataset


def parse_case(text: str) -> Case:
    """The case that a label describes, its values converted by `literal`.

    Raises:
        MsamError: a part of it is not OPTION=VALUE.

    >>> parse_case("ogm_ge:alpha=0.1,window=(0,50)")
    Case(method='ogm_ge', options={'alpha': 0.1, 'window': (0, 50)})
    """
    method, options = parse(text)
    return Case(method, {k: literal(v) for k, v in options.items()})


def key_values(texts: Iterable[str]) -> dict[str, Any]:
    """{option: value} of `OPTION=VALUE` words, the values converted by `literal`.

    Raises:
        MsamError: a word is not OPTION=VALUE.

    >>> key_values(["rho=0.1", "reading=encoder"])
    {'rho': 0.1, 'reading': 'encoder'}
    """
    return {k: literal(v) for k, v in map(_pair, texts)}


def literal(text: str) -> Any:
    """The Python value of a text: a number, tuple, list or truth value; else the text itself."""
    if text in ("inf", "-inf", "nan"):
        return float(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _pair(text: str) -> tuple[str, str]:
    """(option, value) of `OPTION=VALUE`."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise MsamError(f"{text!r} is not OPTION=VALUE; for example rho=0.1.")
    return key, value


def display_names(labels: Iterable[str], titles: Mapping[str, str] | None = None) -> dict[str, str]:
    """{label: name to show}, in the catalogue's order of methods. Radii are left out unless two
    names would be equal.

    Args:
        labels: in any order, repeats allowed.
        titles: {label or method: title}, used instead of the catalogue's.

    >>> list(display_names(["msam:reading=encoder,rho=0.1", "joint"]).values())
    ['Joint training', 'M-SAM (encoder)']
    """
    given = dict(titles or {})
    order = sorted(set(labels), key=_rank)
    short = {label: given.get(label) or _name(label, given, radii=False) for label in order}
    taken = list(short.values())
    return {
        label: _name(label, given, radii=True) if taken.count(name) > 1 else name
        for label, name in short.items()
    }


def radii(labels: Iterable[str]) -> str:
    """The radii of some labels as text: `"ρ: SAM 0.1, ASAM 0.5."`, `"ρ = 0.1."` where all are
    equal, `""` where there are none.
    """
    names = display_names(labels)
    options = {label: parse(label)[1] for label in names}
    rhos = {names[label]: o["rho"] for label, o in options.items() if "rho" in o}
    if len(set(rhos.values())) == 1:
        return f"ρ = {next(iter(rhos.values()))}."
    return f"ρ: {', '.join(f'{name} {rho}' for name, rho in rhos.items())}." if rhos else ""


def _name(label: str, titles: Mapping[str, str], *, radii: bool) -> str:
    """The title of a label's method and, in brackets, its options without the implied ones."""
    method, options = parse(label)
    title = titles.get(method) or (METHODS[method].title if method in METHODS else method)
    words = []
    for key, value in options.items():
        text = f"{key}={value}"
        if key in RADII and radii:
            words.append(f"ρ={value}")
        elif key not in RADII and text not in IMPLIED:
            words.append(SHORT.get(text, text))
    return f"{title} ({', '.join(words)})" if words else title


def _rank(label: str) -> tuple[float, int, str]:
    """The sort key: methods as in the catalogue (others before M-SAM), plain before variants."""
    method, options = parse(label)
    known = list(METHODS)
    place = known.index(method) if method in known else known.index("msam") - 0.5
    shown = [f"{k}={v}" for k, v in options.items() if k not in RADII]
    extra = [list(SHORT).index(s) + 1 if s in SHORT else len(SHORT) + 1 for s in shown]
    return place, sum(e for e, s in zip(extra, shown, strict=True) if s not in IMPLIED), label
