# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · MASAM and relatives
#
# **M-SAM perturbs the modality that dominates, MASAM the one that is learning and agrees with the whole. What is the difference, and what makes it work?**
#
# **You will** compute one step of MASAM by hand, see how it chooses, and remove its parts one by one to see which of them brings the gain.
# **Needs** [04 · M-SAM, line by line](04_msam_line_by_line.ipynb). **Takes** 1 to 2 minutes on two cores. **Regenerates** MASAM's traces of accord, on
# `avmnist_mini`, and its [ablation](../book/glossary.md#ablation) table from runs stored on `digits`.

# %%
import os
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F

import msam_lib as ml
from msam_lib import results
from msam_lib.figures.registry import ITEMS
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.plots import show, theme
from msam_lib.plots.browser import logged_curves
from msam_lib.results.comparison import accuracies

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## 1 · The idea
#
# MASAM's loss is the fused one plus one per modality, $L_f + \lambda\sum_m L_m$. In every step it asks two questions about every modality $m$:
#
# * **Is it learning?** $\mathrm{Decay}_m = \max(0,\; L_m(\text{step before}) - \mathrm{MA}_m)$, with a moving average $\mathrm{MA}_m$ of its loss.
# * **Is it in accord with the whole?** $\gamma_m = \cos(\nabla_m L_f, \nabla_m L_m)$, between two gradients of its encoder.
#
# The encoder with the largest $\mathrm{APS}_m = \alpha\,\mathrm{Decay}_m + (1-\alpha)\,\gamma_m$ takes a sharpness-aware step (*adaptive perturbation
# selection*). It is displaced by $\rho\,\gamma_m$ along the fused gradient, so that the less it agrees, the less it is displaced (*modality-decoupled
# perturbation scaling*). All other weights take an ordinary step.
#
# **Predict.** At an angle of 60 degrees between the two gradients, how far does MASAM displace the encoder with $\rho = 0.5$? And at 120 degrees?

# %%
from msam_lib.interactive.course import accord_explorer

explorer = accord_explorer()
explorer

# %%
show(explorer.draw(angle=120, rho=0.5), alt=explorer.alt(angle=120, rho=0.5))

# %% [markdown]
# Beyond 90 degrees $\gamma$ is negative, and the encoder is displaced *down* the fused loss instead of up.

# %% [markdown]
# ## 2 · One step by hand

# %%
data = ml.load_dataset("avmnist_mini")
batch = data.train[:64]
ml.seed_everything(0)
model = ml.build_model(data, fusion="late", width=8).train()

output = model(batch.inputs)
fused = F.cross_entropy(output.logits, batch.targets)
unimodal = {m: F.cross_entropy(z, batch.targets) for m, z in output.unimodal.items()}

# %% [markdown]
# The accord of each encoder is the cosine between two gradients:


# %%
def gradient(loss, m):
    """The gradient of a loss in one encoder, as one vector (D,)."""
    parts = torch.autograd.grad(loss, list(model.parameters_of(m)), retain_graph=True)
    return torch.cat([g.flatten() for g in parts])


gamma = {
    m: float(F.cosine_similarity(gradient(fused, m), gradient(loss, m), dim=0))
    for m, loss in unimodal.items()
}
gamma

# %% [markdown]
# The library's step must report the same. With a learning rate of 0 it changes no weight:

# %%
ml.seed_everything(0)
again = ml.build_model(data, fusion="late", width=8).train()
logs = ml.build_method("masam", rho=0.3).step(
    again, batch, torch.optim.SGD(again.parameters(), lr=0.0)
)
for m in gamma:
    assert abs(float(logs[f"accord/{m}"]) - gamma[m]) < 1e-4, "The accord is a cosine of gradients."
print(
    {m: f"{g:.3f}" for m, g in gamma.items()}, "- before training both encoders are in full accord"
)

# %% [markdown]
# ## 3 · How it chooses
#
# Joint training, M-SAM confined to the dominant encoder (`reading="encoder"`), and MASAM, with and without its perturbation (`rho=0`).

# %%
CASES = {
    "joint": ("joint", {}),
    "msam": ("msam", {"reading": "encoder"}),
    "losses": ("masam", {"rho": 0.0}),
    "masam": ("masam", {}),
}
TITLES = {
    "joint": "Joint training",
    "msam": "M-SAM (encoder)",
    "losses": "MASAM, ρ = 0",
    "masam": "MASAM",
}


# %%
seeds = (0, 1) if PRESET != "smoke" else (0,)


def rows(case, seed):
    method, options = CASES[case]
    changes = {"method": method, "method_options": options, "seed": seed}
    experiment = ml.Experiment.preset(PRESET, **changes)
    run = ml.run_experiment(experiment, STORE, progress=False)
    return run.metrics().assign(label=case, seed=seed)


# %%
from tqdm.auto import tqdm

pairs = [(case, seed) for case in CASES for seed in seeds]
frame = pd.concat([rows(*pair) for pair in tqdm(pairs)], ignore_index=True)
shown = {k: TITLES[k] for k in ("losses", "masam")}
accord = frame[(frame.split == "step") & (frame.metric == "accord") & (frame.label == "masam")]
end = accord[accord.epoch == accord.epoch.max()].groupby("modality")["value"].mean()
first = accord[accord.epoch == 1].groupby("modality")["value"].mean()
change = ", ".join(f"{m} from {first[m]:.2f} to {end[m]:.2f}" for m in end.index)
show(
    logged_curves(frame, "accord", shown, ylabel="accord γ"),
    alt=f"The accord falls over epochs under MASAM: {change}.",
)

# %%
assert (end < first).all(), "The gradients should agree less as training continues."
print("accord falls:", change)
scores = frame[(frame.split == "step") & (frame.metric == "score") & (frame.label == "masam")]
scores = scores[scores.epoch == scores.epoch.max()].groupby("modality")["value"].mean()
print("score at the end:", {m: round(float(v), 2) for m, v in scores.items()})
if PRESET != "smoke":
    assert scores["audio"] < scores["visual"] - 0.01, "The weaker modality should score lower."

# %% [markdown]
# **What it means.** In the beginning what helps the whole helps every encoder. Later the fused loss is small and its gradient differs in
# direction from that of an encoder's own loss. Under MASAM the accord falls further for the modality that lags behind, the audio, and with it its score. So MASAM
# displaces it less: it is spared, which is also M-SAM's intention, reached by another measurement.

# %% [markdown]
# ## 4 · What makes it work?
#
# **Predict.** MASAM adds three things to joint training: losses for each modality, a choice, a perturbation. Which one raises the fused accuracy?

# %%
last = frame[(frame.epoch == frame.epoch.max()) & (frame.split == "test")]
table = last[last.metric == "accuracy"].pivot_table(
    index="label", columns="modality", values="value"
)
table.loc[list(CASES)].rename(TITLES).mul(100).round(1)

# %%
gain = table["fused"] - table.loc["joint", "fused"]
print(f"losses alone {100 * gain['losses']:+.1f}, with perturbation {100 * gain['masam']:+.1f}")
if PRESET != "smoke":
    assert gain["losses"] > 0.5 * gain["masam"], (
        "Most of MASAM's gain should come from its losses per modality."
    )
    assert gain["masam"] > gain["msam"] + 0.01, "MASAM should be above M-SAM here."
    learnt = table.loc["losses", "audio"] - table.loc["joint", "audio"]
    assert learnt > 0.05, "The weaker encoder should learn more with a loss of its own."

# %% [markdown]
# The losses per modality already raise the fused accuracy, and with it what both encoders learn; what the perturbation adds is about a point, too
# little for two seeds to be sure of. The stored ablation on `digits` has five seeds; in it MASAM's variants have the values tuned for the whole method:

# %%
ablation = results.load("ablation_digits")
ITEMS["table_masam_ablation_digits"].build({"ablation_digits": ablation})

# %%
ends = results.reported_epoch(ablation)
ends = ends[(ends.split == "test") & (ends.metric == "accuracy") & (ends.modality == "fused")]
mean = 100 * ends.groupby("label")["value"].mean()
variants = mean[mean.index.str.startswith("masam")]
print(variants.round(1).to_string())
assert variants.max() - variants.min() < mean["masam"] - mean["joint"], (
    "The ablated versions should lie closer together than MASAM and joint training."
)

# %% [markdown]
# **What it means.** On `digits` leaving out the choice (APS) or the scaling (MDPS) changes little: the intervals overlap.
#
# **What it does not mean.** That the parts never matter: the paper's ablation used other data, larger networks and longer training. The paper does not
# say what exactly replaces a missing part; the docstring of `masam` says what we chose.

# %% [markdown]
# ## 5 · On AV-MNIST, with more pairs, beside M-SAM and SAM

# %%
stored = results.load("methods_avmnist")
KEPT = [(f, k) for f in ("late", "maxout") for k in ("joint", "sam", "msam", "masam")]
measured = {
    m: accuracies(stored, m).xs("avmnist").loc[KEPT].mean(axis=1)
    for m in ("fused", "audio", "visual")
}
pd.DataFrame(measured).round(1)

# %%
audio = measured["audio"]
for fusion in ("late", "maxout"):
    assert audio[fusion, "masam"] > audio[fusion, "msam"] + 3, "MASAM helps audio more than M-SAM."
print("MASAM's weaker modality is more than 3 points above M-SAM's, in both fusions")

# %% [markdown]
# ## 6 · The wider family
#
# | method | what it changes about SAM's displacement |
# | --- | --- |
# | SAM | all weights, $\rho\,g/\lVert g\rVert$ |
# | ASAM | every weight in proportion to its size, so that rescaled networks are treated alike |
# | Momentum-SAM | along the momentum instead of the gradient: one pass instead of two |
# | LookSAM | computes the extra gradient every fifth step and reuses a part of it |
# | CR-SAM | adds a penalty on a normalised Hessian trace |
# | X-SAM | corrects with the direction of the top eigenvector |
# | M-SAM | weights the displaced loss by the dominant modality's contribution (notebook 04) |
# | MASAM | displaces one encoder, chosen and scaled as above |
#
# Their cost, measured side by side, as a multiple of an epoch of joint training:

# %%
every = results.load("methods")
cost = every[(every.split == "cost") & (every.metric == "epoch") & (every.fusion == "late")]
family = ["sam", "asam", "momentum_sam", "look_sam", "cr_sam", "x_sam", "msam", "masam"]
cost[cost.label.isin(family)].set_index("label")["value"].reindex(family).round(2)

# %% [markdown]
# ## Exercises
#
# **★ Exercise 11.1** With $\gamma = -0.4$ and $\rho = 0.5$, by how much does MASAM displace the encoder along the fused gradient?

# %% tags=["exercise"]
# Exercise 11.1: a number with its sign.
# solution
move = 0.5 * -0.4


# %%
@exercise("11.1", move)
def _():
    assert abs(move + 0.2) < 1e-9, "Radius times accord."


# %% [markdown]
# **★★ Exercise 11.2** At the first step the moving average equals the loss, so every decay is 0. Which modality is chosen then? Use `gamma` of section 2.

# %% tags=["exercise"]
# Exercise 11.2: the name of a modality.
# solution
chosen = max(gamma, key=gamma.get)


# %%
@exercise("11.2", chosen)
def _():
    assert float(logs[f"score/{chosen}"]) == max(float(logs[f"score/{m}"]) for m in gamma), (
        "With no decay, the score is the accord times 1 - alpha."
    )
    print(f"{chosen} is perturbed first")


# %% [markdown]
# **★★★ Exercise 11.3** Section 4 says that the losses do most of the work. What does MASAM do without them (`weight=0.0`)? Give its fused test accuracy at the last
# epoch for seed 0.

# %% tags=["exercise"]
# Exercise 11.3: a number between 0 and 1.
# solution
options = {"weight": 0.0}
without = ml.Experiment.preset(PRESET, method="masam", method_options=options)
fused_accuracy = ml.run_experiment(without, STORE, progress=False).history()
fused_accuracy.keep_until(10**6)
answer = fused_accuracy.last("accuracy")


# %%
@exercise("11.3", answer)
def _():
    assert 0 < answer <= 1, "An accuracy."
    print(
        f"without its losses {100 * answer:.1f} %, with them {100 * table.loc['masam', 'fused']:.1f} %"
    )


# %% [markdown]
# ## You have seen
#
# one step of MASAM by hand; how its accord falls and which modality it spares; and that its losses per modality bring most of its gain here.
#
# **Questions.** 1. What are the two questions that MASAM asks about every modality? 2. What happens at $\gamma < 0$? 3. Why does the accord fall? 4. How do M-SAM
# and MASAM choose what to perturb? 5. Which part of MASAM brings the gain on this data? 6. Which relative of SAM needs one pass only?
#
# **Limits.** Two small data sets, two seeds live and five stored; the paper's clinical data (MIMIC) cannot be redistributed.
#
# **Next:** [12 · Write your own method](12_write_your_own_method.ipynb).
#
# **References.** MASAM, ICLR 2026: equations of APS and MDPS, ablation table. Nowdeh et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919).
# Foret et al., ICLR 2021 (SAM); Kwon et al., ICML 2021 (ASAM); Becker et al., 2024 (Momentum-SAM); Liu et al., CVPR 2022 (LookSAM); Wu et al., AAAI 2024
# (CR-SAM).

# %%
solved("11.1", "11.2", "11.3")
