"""Display names of methods from their labels (`"msam:reading=encoder,rho=0.1"`), without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# As the classes' `title`; a test compares them. Also the order of rows and panels.
TITLES: dict[str, str] = {
    "unimodal": "Unimodal",
    "joint": "Joint training",
    "sam": "SAM",
    "asam": "ASAM",
    "momentum_sam": "Momentum-SAM",
    "look_sam": "LookSAM",
    "cr_sam": "CR-SAM",
    "x_sam": "X-SAM",
    "mses": "MSES",
    "mslr": "MSLR",
    "ogm_ge": "OGM-GE",
    "agm": "AGM",
    "mmpareto": "MMPareto",
    "cggm": "CGGM",
    "reconboost": "ReconBoost",
    "gblend": "G-Blend",
    "pmr": "PMR",
    "mla": "MLA",
    "aug": "AUG",
    "inforeg": "InfoReg",
    "miles": "MILES",
    "mnl": "MNL",
    "lfm": "LFM",
    "diagnose_relearn": "Diagnose & re-learn",
    "sample_valuation": "Sample valuation",
    "lnln": "LNLN",
    "masam": "MASAM",
    "msam": "M-SAM",
}
# What a method changes, as the classes say.
KINDS: dict[str, str] = {
    "unimodal": "loss",
    "joint": "nothing",
    "sam": "landscape",
    "asam": "landscape",
    "momentum_sam": "landscape",
    "look_sam": "landscape",
    "cr_sam": "landscape",
    "x_sam": "landscape",
    "mses": "schedule",
    "mslr": "schedule",
    "ogm_ge": "gradient",
    "agm": "gradient",
    "mmpareto": "gradient",
    "cggm": "gradient",
    "reconboost": "schedule",
    "gblend": "loss",
    "pmr": "loss",
    "mla": "gradient",
    "aug": "loss",
    "inforeg": "gradient",
    "miles": "schedule",
    "mnl": "loss",
    "lfm": "loss",
    "diagnose_relearn": "schedule",
    "sample_valuation": "data",
    "lnln": "model",
    "masam": "landscape",
    "msam": "landscape",
}
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
RADII = ("rho",)  # told in captions instead, see `radii`


def parse(label: str) -> tuple[str, dict[str, str]]:
    """Method and options of a label.

    >>> parse("msam:reading=encoder,rho=0.1")
    ('msam', {'reading': 'encoder', 'rho': '0.1'})
    """
    method, _, rest = label.partition(":")
    parts: list[str] = []
    for piece in rest.split(",") if rest else []:
        if "=" in piece:
            parts.append(piece)
        elif parts:  # a comma inside a value
            parts[-1] += "," + piece
    return method, dict(part.split("=", 1) for part in parts)


def display_names(labels: Iterable[str], titles: Mapping[str, str] | None = None) -> dict[str, str]:
    """{label: name to show}, in the order in which methods are shown. Radii are left out unless
    two names would be equal.

    Args:
        labels: any order, repeats allowed.
        titles: {label or method: title}, before the built-in ones.

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
    """The radii behind some labels in words: `"ρ: SAM 0.1, ASAM 0.5."`, `"ρ = 0.1."` where all are
    equal, `""` without any.
    """
    names = display_names(labels)
    options = {label: parse(label)[1] for label in names}
    found = {names[label]: o["rho"] for label, o in options.items() if "rho" in o}
    if len(set(found.values())) == 1:
        return f"ρ = {next(iter(found.values()))}."
    return f"ρ: {', '.join(f'{name} {rho}' for name, rho in found.items())}." if found else ""


def _name(label: str, titles: Mapping[str, str], *, radii: bool) -> str:
    method, options = parse(label)
    title = titles.get(method) or TITLES.get(method) or method
    words = []
    for key, value in options.items():
        text = f"{key}={value}"
        if key in RADII and radii:
            words.append(f"ρ={value}")
        elif key not in RADII and text not in IMPLIED:
            words.append(SHORT.get(text, text))
    return f"{title} ({', '.join(words)})" if words else title


def _rank(label: str) -> tuple[float, int, str]:
    method, options = parse(label)
    known = list(TITLES)
    place = known.index(method) if method in known else known.index("msam") - 0.5
    shown = [f"{k}={v}" for k, v in options.items() if k not in RADII]
    extra = [list(SHORT).index(s) + 1 if s in SHORT else len(SHORT) + 1 for s in shown]
    return place, sum(e for e, s in zip(extra, shown, strict=True) if s not in IMPLIED), label
