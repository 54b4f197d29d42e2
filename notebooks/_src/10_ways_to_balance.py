# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · Ways to balance
#
# **Where can one intervene when a modality starves, and what does each place achieve?**
#
# **You will** sort all methods of this collection by what they change, run every one of them on one problem where a modality starves, and
# compare the outcome with results on real data.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb) and [02 · Who contributed?](02_who_contributed.ipynb). **Takes** 1 minute on two
# cores. **Regenerates** the tables of related work as a gallery of runs.

# %%
import os
from pathlib import Path

import pandas as pd

import msam_lib as ml
from msam_lib import results
from msam_lib.figures.registry import ITEMS
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.results import method_browser
from msam_lib.plots import show, theme
from msam_lib.plots.browser import two_modalities

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## 1 · Six places to intervene
#
# A training step reads *data*, computes a *loss* with a *model*, takes its *gradient*, and follows a *schedule*. Sharpness-aware methods look
# at the *landscape*: the loss around the weights instead of at the weights (notebook 03).

# %%
kinds = {}
for row in ml.catalogue.METHODS.values():
    kinds.setdefault(row.kind, []).append(row.title)
pd.DataFrame({"methods": {k: ", ".join(v) for k, v in kinds.items()}}).rename_axis("changes")

# %% [markdown]
# | changes | the idea in one sentence |
# | --- | --- |
# | loss | give every modality a separate loss (G-Blend, MNL, AUG), or add a term that supports the weak one (PMR, LFM) |
# | gradient | shrink the gradient of the modality that is ahead (OGM-GE, AGM, InfoReg), or combine several gradients without conflict (MMPareto, CGGM, MLA) |
# | schedule | stop, slow down, reset or alternate modalities (MSES, MSLR, MILES, Diagnose & re-learn, ReconBoost) |
# | landscape | seek flat minima (SAM and relatives), of the dominant modality above all (M-SAM, MASAM) |
# | data | show the weak modality more often, sample by sample (Sample valuation) |
# | model | repair the weak modality's features with a dominant one (LNLN) |
#
# ## 2 · A problem where a modality starves
#
# Two made-up modalities. `x1` is so clear that it solves the task alone; `x2` is worse but far from useless: trained alone it is right four
# times out of five. **Predict.** After joint training, how often is `x2` alone right: (a) 80 %, (b) 50 %, (c) 25 %, which is guessing?

# %%
TOY = {"snr": (8.0, 2.0), "n_train": 600, "n_val": 150, "n_test": 1000}
SETTINGS = {"dataset": "synthetic", "data_options": TOY, "encoder": "mlp", "width": 16, "epochs": 5}


def on_the_toy(name, seed=0):
    """The finished run of a method, late fusion unless it has a special fusion."""
    fusions = ml.METHODS[name].fusions
    chosen = {"method": name, "seed": seed, "fusion": fusions[0] if fusions else "late"}
    experiment = ml.Experiment(lr=0.03, train_part=0, **SETTINGS, **chosen)
    return ml.run_experiment(experiment, STORE, progress=False)


# %%
from tqdm.auto import tqdm

runs = {name: on_the_toy(name).metrics() for name in tqdm(ml.METHODS)}


def accuracies(metrics):
    return metrics[(metrics.split == "test") & (metrics.metric == "accuracy")]


curves = {name: accuracies(metrics) for name, metrics in runs.items()}
last = pd.DataFrame(
    {n: c[c.epoch == c.epoch.max()].set_index("modality")["value"] for n, c in curves.items()}
).T
last.loc[["unimodal", "joint"]].round(3)

# %% [markdown]
# ## 3 · The gallery
#
# One panel per method, first those that change nothing, the loss or the gradient. The line to watch is `x2` (squares): the accuracy of the weak modality alone. Under joint training it stays at 25 %.

# %%
changes = {name: row.kind for name, row in ml.catalogue.METHODS.items()}
titles = {name: row.title for name, row in ml.catalogue.METHODS.items()}
best = last["x2"].drop("unimodal").sort_values(ascending=False)
highest = ", ".join(f"{titles[n]} {100 * v:.0f} %" for n, v in best.head(4).items())
alt = f"x1 and fused reach 100 % nearly everywhere; of all methods x2 ends highest under {highest}."
pressed = ("nothing", "loss", "gradient")
first = {name: curve for name, curve in curves.items() if changes[name] in pressed}
show(
    two_modalities(first, changes, titles),
    alt=f"{len(first)} panels of accuracy over epochs. {alt}",
)

# %% [markdown]
# The others change the schedule, the landscape, the data or the model.

# %%
others = {name: curve for name, curve in curves.items() if name not in first}
show(
    two_modalities(others, changes, titles),
    alt=f"{len(others)} panels of accuracy over epochs. {alt}",
)

# %%
by_kind = last["x2"].drop("unimodal").groupby(changes).agg(["min", "median", "max", "count"])
by_kind.rename_axis("changes").sort_values("median", ascending=False).round(2)

# %% [markdown]
# ## 4 · Check

# %%
chance = 1 / 4
assert last.loc["joint", "x2"] < chance + 0.1, "Joint training should leave x2 at chance."
assert last.loc["unimodal", "x2"] > 0.7, "Trained alone, x2 is right more than 70 % of the time."
for name in ("gblend", "mmpareto", "mla"):
    assert last.loc[name, "x2"] > 0.5, f"{name} gives x2 a separate loss, which should help it."
for name in ("sam", "asam", "momentum_sam"):
    assert last.loc[name, "x2"] < chance + 0.1, f"{name} gives x2 nothing to learn from."
assert last.drop(["unimodal", "lnln"])["fused"].min() > 0.95, "The fused accuracy shows none of it."
print("separate losses help x2, flatness alone does not, and the fused accuracy shows neither")

# %% [markdown]
# **What it means.** A method helps a starved modality if it creates a gradient for it: by a separate loss, by taking turns, or by slowing down the
# other one. SAM perturbs weights that have no gradient, and changes nothing. The *fused* accuracy, which most papers report, shows none of this: the
# starved modality is missed only when the other one fails.
#
# **What it does not mean.** That the order here holds elsewhere. In this toy problem the strong modality is perfect, which is the hardest case for
# methods that depend on its mistakes.

# %% [markdown]
# ## 5 · The same methods on real data
#
# The results of the stored comparisons, method by method: its card, and its accuracy minus joint training's. *Find* a method that improves audio on
# `avmnist` by more than ten points without losing accuracy on visual.

# %%
every = results.load("methods")
method_browser(every)

# %% [markdown]
# Without a kernel: what each gains over tuned joint training on the embedded data, against the time of an epoch.

# %%
item = ITEMS["gain_against_cost"]
frozen = {name: results.load(name) for name in item.sources}
show(item.build(frozen), alt=item.alt(frozen))

# %%
late = every[(every.metric == "accuracy") & (every.dataset == "avmnist") & (every.fusion == "late")]
real = late.groupby(["label", "modality"])["value"].mean().unstack()
lift = (real["audio"] - real.loc["joint", "audio"]).drop(["joint", "unimodal"])
(100 * lift.sort_values(ascending=False).head(8)).round(1)

# %%
assert lift[["gblend", "mmpareto", "mnl"]].min() > 0.05, (
    "Separate losses help audio on real data, too."
)
assert abs(lift["sam"]) < 0.05, "SAM leaves audio within five points of joint training."
print("both findings of the toy problem hold on real pairs of images and speech")

# %% [markdown]
# ## 6 · Which one should I choose?
#
# * **Is a modality starved at all?** Compare joint training with separate models (notebook 01). If not, none of this is needed.
# * **You want every modality to be good alone** (a sensor may fail): a loss per modality. MMPareto and MNL need no second data set and no second
#   pass through the data; G-Blend trains twice or more before it begins.
# * **You want the fused accuracy:** first tune the learning rate of joint training itself (notebook 08: most gaps close there), then try MMPareto and
#   MASAM; MASAM also improves the weak modality, at two passes per step.
# * **Labels may be wrong:** SAM, M-SAM or MASAM (notebook 13).
# * **You cannot touch the model:** SAM, M-SAM and Momentum-SAM need nothing but its loss.
# * **One pass only:** MNL, InfoReg, Momentum-SAM.
#
# Ranks over all comparisons are in notebook 08, and they distinguish few methods: try two or three on your validation split.
#
# ## Exercises
#
# **★ Exercise 10.1** Which kind of change has the highest *median* accuracy of `x2` on the toy problem? Give its name, using `by_kind`.

# %% tags=["exercise"]
# Exercise 10.1: a string.
# solution
kind = by_kind["median"].idxmax()


# %%
@exercise("10.1", kind)
def _():
    assert by_kind.loc[kind, "median"] == by_kind["median"].max(), "Look at the column `median`."


# %% [markdown]
# **★★ Exercise 10.2** OGM-GE slows the gradient of the modality that is ahead, by $1 - \tanh(\alpha \rho)$. Its `alpha` is 0.1 by default. Train it on the toy
# problem with `method_options={"alpha": 1.0}` and give the accuracy of `x2` alone at the end.

# %% tags=["exercise"]
# Exercise 10.2: a number between 0 and 1.
# solution
options = {"method": "ogm_ge", "method_options": {"alpha": 1.0}}
experiment = ml.Experiment(lr=0.03, train_part=0, **SETTINGS, **options)
stronger = ml.run_experiment(experiment, STORE, progress=False)
x2 = accuracies(stronger.metrics()).query("modality == 'x2'")["value"].iloc[-1]


# %%
@exercise("10.2", x2)
def _():
    assert 0.2 < x2 <= 1, "An accuracy; guessing gives 0.25."
    print(f"alpha = 0.1: {last.loc['ogm_ge', 'x2']:.2f}, alpha = 1: {x2:.2f}")


# %% [markdown]
# **★★★ Exercise 10.3** The fused accuracy hides a starved modality until the other one fails. Load the models of `joint` and `mmpareto`
# (`ml.trained_model(run)`), replace `x1` by zeros in the test split, and give the two fused accuracies as a dictionary.

# %% tags=["exercise"]
# Exercise 10.3: {"joint": number, "mmpareto": number}.
# solution
import torch

data = ml.load_dataset("synthetic", **TOY)
inputs = {"x1": torch.zeros_like(data.test.inputs["x1"]), "x2": data.test.inputs["x2"]}
failed = {}
for name in ("joint", "mmpareto"):
    with torch.no_grad():
        guess = ml.trained_model(on_the_toy(name))(inputs).logits.argmax(1)
    failed[name] = float((guess == data.test.targets).float().mean())


# %%
@exercise("10.3", failed)
def _():
    assert failed["mmpareto"] > failed["joint"] + 0.2, (
        "What the weak modality has learnt counts now."
    )
    print({k: f"{100 * v:.0f} %" for k, v in failed.items()}, "when x1 fails")


# %% [markdown]
# ## You have seen
#
# six places to intervene; every method on one problem where a modality starves; and the same two findings on real data.
#
# **Questions.** 1. What do methods that help a starved modality have in common? 2. Why does SAM not change it? 3. Why does the fused accuracy not show
# it here? 4. When does that matter? 5. What does OGM-GE modulate, and what does G-Blend weigh? 6. Which methods need a second pass, and which
# a second training? 7. Why is one toy problem not enough?
#
# **Limits.** One made-up problem, one seed, the defaults of every method; LNLN is trained with its own fusion and needs longer training than this.
#
# **Next:** [11 · MASAM and relatives](11_masam_and_relatives.ipynb).
#
# **References.** Each method's paper is in its card. Surveys of the field: Wei et al., *Balanced multimodal learning*, 2024; Peng et al., CVPR 2022
# (OGM-GE); Wang et al., CVPR 2020 (G-Blend); Wei, Hu, ICML 2024 (MMPareto).

# %%
solved("10.1", "10.2", "10.3")
