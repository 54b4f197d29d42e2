"""Training rules, one paper per file. `build_method(name, **options)` makes one; `METHODS` lists
them.

In your own loop a method is one call per batch:

>>> import torch
>>> from msam_lib.data import Batch
>>> from msam_lib.models import wrap
>>> net = torch.nn.Bilinear(3, 4, 2)
>>> model = wrap(net, ["x1", "x2"], call="args")
>>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
>>> batch = Batch({"x1": torch.ones(5, 3), "x2": torch.ones(5, 4)}, torch.tensor([0, 1, 0, 1, 0]))
>>> sorted(build_method("msam", rho=0.1).step(model, batch, optimizer))
['loss', 'share/x1', 'share/x2']
"""

from __future__ import annotations

from typing import Any

from msam_lib.errors import MsamError, UnsupportedSetting, unknown_name
from msam_lib.methods.agm import AGM
from msam_lib.methods.aug import AUG
from msam_lib.methods.base import Method, Task, capabilities
from msam_lib.methods.cggm import CGGM
from msam_lib.methods.cr_sam import CRSAM
from msam_lib.methods.diagnose_relearn import DiagnoseRelearn
from msam_lib.methods.gblend import GBlend
from msam_lib.methods.inforeg import InfoReg
from msam_lib.methods.joint import Joint
from msam_lib.methods.lfm import LFM
from msam_lib.methods.lnln import LNLN
from msam_lib.methods.look_sam import LookSAM
from msam_lib.methods.masam import MASAM
from msam_lib.methods.miles import MILES
from msam_lib.methods.mla import MLA
from msam_lib.methods.mmpareto import MMPareto
from msam_lib.methods.mnl import MNL
from msam_lib.methods.momentum_sam import MomentumSAM
from msam_lib.methods.msam import MSAM
from msam_lib.methods.mses import MSES
from msam_lib.methods.mslr import MSLR
from msam_lib.methods.ogm_ge import OGMGE
from msam_lib.methods.pmr import PMR
from msam_lib.methods.reconboost import ReconBoost
from msam_lib.methods.sam import ASAM, SAM
from msam_lib.methods.sample_valuation import SampleValuation
from msam_lib.methods.unimodal import Unimodal
from msam_lib.methods.x_sam import XSAM

METHODS: dict[str, type[Method]] = {
    "unimodal": Unimodal,
    "joint": Joint,
    "sam": SAM,
    "asam": ASAM,
    "momentum_sam": MomentumSAM,
    "look_sam": LookSAM,
    "cr_sam": CRSAM,
    "x_sam": XSAM,
    "mses": MSES,
    "mslr": MSLR,
    "ogm_ge": OGMGE,
    "agm": AGM,
    "mmpareto": MMPareto,
    "cggm": CGGM,
    "reconboost": ReconBoost,
    "gblend": GBlend,
    "pmr": PMR,
    "mla": MLA,
    "aug": AUG,
    "inforeg": InfoReg,
    "miles": MILES,
    "mnl": MNL,
    "lfm": LFM,
    "diagnose_relearn": DiagnoseRelearn,
    "sample_valuation": SampleValuation,
    "lnln": LNLN,
    "masam": MASAM,
    "msam": MSAM,
}


# Methods of the related work whose formulas we could not find: named, never guessed.
UNKNOWN: dict[str, str] = {
    "ga_sam": "GA-SAM (Zhang et al., EMNLP 2022, arXiv 2210.06895) scales SAM's radius per group "
    "of parameters by the strength of gradients; the formula is in none of our sources, and no "
    "code was released."
}


def build_method(name: str, **options: Any) -> Method:
    """The method called `name` with the given options.

    Raises:
        MsamError: for an unknown name or option, with the nearest one suggested.
    """
    if name in UNKNOWN:
        raise UnsupportedSetting(
            f"{name!r} is not implemented: {UNKNOWN[name]} Use 'sam' or 'asam'."
        )
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    known = METHODS[name].options()
    for option in options:
        if option not in known:
            if not known:
                raise MsamError(f"Method {name!r} has no options; {option!r} was given.")
            raise unknown_name(f"option of method {name!r}:", option, known)
    return METHODS[name](**options)


__all__ = [
    "AGM",
    "ASAM",
    "AUG",
    "CGGM",
    "CRSAM",
    "LFM",
    "LNLN",
    "MASAM",
    "METHODS",
    "MILES",
    "MLA",
    "MNL",
    "MSAM",
    "MSES",
    "MSLR",
    "OGMGE",
    "PMR",
    "SAM",
    "XSAM",
    "DiagnoseRelearn",
    "GBlend",
    "InfoReg",
    "Joint",
    "LookSAM",
    "MMPareto",
    "Method",
    "MomentumSAM",
    "ReconBoost",
    "SampleValuation",
    "Task",
    "Unimodal",
    "build_method",
    "capabilities",
]
