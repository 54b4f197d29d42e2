# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · Stress tests
#
# **What remains of a network when labels are wrong, a modality is missing, or one turns noisy?**
#
# **You will** compare methods under wrong training labels, remove modalities at test time, and disturb them with noise.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb). **Takes** 1 to 2 minutes on two cores. **Regenerates** the label-noise figure
# (20 to 60 %) of the MASAM paper on `digits`; the rest is trained on `avmnist_mini`.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd

import msam_lib as ml
from msam_lib import results
from msam_lib.figures.registry import ITEMS
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.results import noise_explorer
from msam_lib.plots import show, theme
from msam_lib.plots.noise import robustness_curves
from msam_lib.results.comparison import noise_summary

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## 1 · Wrong labels
#
# In stored runs on `digits`, eight methods with five seeds each, a share of the training labels was replaced by wrong ones; validation and test labels are correct. A large network can memorise wrong labels.
# SAM looks for flat minima (notebook 03), where a few samples cannot pull the weights far.
#
# **Predict.** At 60 % wrong labels, by how many points will SAM be above joint training: (a) 0, (b) 5, (c) more than 10?

# %%
noisy = results.load("noise_digits")
item = ITEMS["label_noise_digits"]
show(item.build({"noise_digits": noisy}), alt=item.alt({"noise_digits": noisy}))

# %% [markdown]
# Bars are 95 % intervals over the seeds, drawn side by side. Choose a noise level, and the fused accuracy or that of one modality:

# %%
noise_explorer(noisy)

# %%
summary, names = noise_summary(noisy)
mean = summary.pivot_table(index="label", columns="noise", values="mean")
mean.rename(names).round(1)

# %% [markdown]
# **Check.**

# %%
lead = mean.loc["sam"] - mean.loc["joint"]
print("SAM above joint training by", {f"{100 * k:.0f} %": f"{v:+.1f}" for k, v in lead.items()})
assert lead[0.6] > lead[0.0] + 5, "The lead of SAM should grow with the share of wrong labels."
assert mean.loc["mmpareto", 0.6] < mean.loc["mmpareto", 0.0] - 30, (
    "MMPareto falls with joint training."
)
assert mean.loc["sam", 0.6] > mean.loc["mmpareto", 0.6] + 5, "At the same learning rate."
assert mean[0.6].idxmax() in ("sam", "msam"), "A sharpness-aware method should be on top at 60 %."

# %% [markdown]
# **What it means.** On clean labels the methods with a loss per modality lead; under label noise the sharpness-aware ones do: SAM and M-SAM. MASAM
# has both, and lies between them.
#
# **What it does not mean.** That all of the lead over joint training is due to SAM: joint training has twice the learning rate of the others here (0.1
# against 0.05, chosen on clean labels in an older search); MMPareto, at SAM's rate, falls as far.
#
# So once more, by the [protocol](../book/protocol.md): five methods, each *searched anew at every share of wrong labels*, ten seeds, gains over joint training that
# was tuned for them, too.
#
# **Predict.** Will joint training catch up? And is it the perturbation or the loss per modality that helps MASAM here?

# %%
item = ITEMS["label_noise_tuned"]
tuned = {name: results.load(name) for name in item.sources}
show(item.build(tuned), alt=item.alt(tuned))

# %%
from msam_lib.figures.label_noise import wrong_labels

gained = wrong_labels(*(tuned[name] for name in item.sources))
print(gained.pivot_table(index="name", columns="level", values="fused").round(1).to_string())
most = gained[gained["level"] == gained["level"].max()].set_index("label")
assert most.loc[["sam", "msam", "masam"], "fused"].min() > 5, "They perturb the weights."
assert abs(most.loc["joint_unimodal", "fused"]) < most.loc["sam", "fused"] / 2, "A loss alone."

# %% [markdown]
# **What it means.** Tuning for wrong labels does not close the gap: the methods that perturb the weights stay ahead of joint training, by more the more
# labels are wrong. A loss per modality alone does not help: here it is the other half of MASAM that counts. And it is not modality awareness either: plain SAM is as good
# as M-SAM and MASAM.
#
# **What it does not mean.** That labels of your own are wrong in this way. Here they are wrong at random; annotators err where it is hard.

# %% [markdown]
# ## 2 · Missing modalities
#
# Now the networks are trained on clean data, `avmnist_mini`, and modalities are missing at *test* time: each sample loses a modality with some probability.
# Nothing has to be sampled: the accuracies of all coalitions give the exact expected accuracy.

# %%
from msam_lib.diagnostics import missing_modality_curve, noisy_modality_curve

METHODS = ("joint", "unimodal", "sam", "mmpareto", "masam", "msam")
TITLES = {name: ml.catalogue.METHODS[name].title for name in METHODS}
data = ml.load_dataset("avmnist_mini", **ml.Experiment.preset(PRESET).data_options)


def train(name):
    experiment = ml.Experiment.preset(PRESET, method=name)
    return ml.run_experiment(experiment, STORE, progress=False)


# %%
from tqdm.auto import tqdm

models = {name: ml.trained_model(train(name)) for name in tqdm(METHODS)}

# %%
rates = np.linspace(0, 1, 11)
missing = {name: missing_modality_curve(model, data.test, rates) for name, model in models.items()}
who = {f"{m} missing": m for m in data.modalities} | {"any missing": "any"}
curves = {title: {TITLES[n]: missing[n][k] for n in models} for title, k in who.items()}
ends = {t: {n: f"{100 * v[-1]:.0f} %" for n, v in c.items()} for t, c in curves.items()}
show(
    robustness_curves(curves, 100 * rates, xlabel="samples without it (%)"),
    alt=f"Accuracy falls as modalities are removed. With all samples affected: {ends}.",
)

# %% [markdown]
# **Predict, then check.** The right end of the first panel is a known number: the accuracy of the *other* modality alone.


# %%
def last(name, m):
    measured = train(name).metrics()
    rows = measured[(measured.split == "test") & (measured.metric == "accuracy")]
    return rows[rows.modality == m].sort_values("epoch")["value"].iloc[-1]


first, second = data.modalities
for name in models:
    assert abs(missing[name][first][-1] - last(name, second)) < 1e-6, "The other modality remains."
    if PRESET != "smoke":  # whose networks are near chance
        assert missing[name]["any"][-1] < missing[name]["any"][0], "No input cannot be better."
print("without one modality the accuracy is exactly that of the other one alone")

# %% [markdown]
# ## 3 · Noisy modalities
#
# Gaussian noise on one modality's input, in units of that input's standard deviation; the same noise, scaled, at every level.

# %%
levels = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
disturbed = {
    f"{m} noisy": {
        TITLES[n]: noisy_modality_curve(model, data.test, m, levels) for n, model in models.items()
    }
    for m in data.modalities
}
falls = {t: {n: f"{100 * (v[0] - v[-1]):.0f}" for n, v in c.items()} for t, c in disturbed.items()}
show(
    robustness_curves(disturbed, levels, xlabel="noise (standard deviations)"),
    alt=f"Accuracy falls with noise on one modality. Points lost at the strongest: {falls}.",
)

# %%
if PRESET != "smoke":
    for title, by_method in disturbed.items():
        worse = [n for n, v in by_method.items() if v[-1] < v[0]]
        assert len(worse) == len(by_method), f"{title}: the strongest noise should cost accuracy."
loss = {t: {n: v[0] - v[-1] for n, v in c.items()} for t, c in disturbed.items()}
loss = pd.DataFrame(loss)
loss.mul(100).round(1)

# %%
pixels = data.train.inputs["visual"].flatten(1)
variances = (pixels - pixels.mean(0)).svd().S.square()
five = float(variances[:5].sum() / variances.sum())
print(f"5 of {pixels.shape[1]} directions hold {100 * five:.0f} % of the images' variance")
if PRESET == "teach":
    gone = {m: {TITLES[n]: missing[n][m][-1] for n in models} for m in data.modalities}
    left, costs = pd.Series(gone["visual"]), loss["audio noisy"]
    lead = left[["Unimodal", "MMPareto", "MASAM"]].min() - left[["SAM", "M-SAM"]].max()
    assert lead > 0.05, "Without the image the better audio encoder should lead."
    more = costs[["Unimodal", "MMPareto"]].min() - costs[["SAM", "M-SAM"]].max()
    assert more > 0.05, "Noise on the audio should cost those most that learnt most of it."
    for n in TITLES.values():
        assert disturbed["audio noisy"][n][-1] < gone["audio"][n], "Noise is worse here."
        assert disturbed["visual noisy"][n][-1] > gone["visual"][n], "Absence is worse here."

# %% [markdown]
# **What it means.** When the image is missing, what counts is what the audio encoder has learnt: see the right end of *visual missing*. Separate
# models and the methods with a loss per modality (MMPareto, MASAM) are more than 5 points above SAM and M-SAM there. But what a network has learnt to use can
# mislead it: noise on the audio costs MMPareto and the separate models most, and SAM and M-SAM, which have learnt least of it, least. Balance protects against
# one failure at the price of another.
#
# Is noise worse than absence? For the audio it is, with every method: a disturbed modality gives confident wrong logits, and a sum of logits cannot detect them. For
# the image it is not. These blurred images vary along five directions only, and little of a noise that is independent in every pixel falls
# into these.
#
# **What it does not mean.** That zeros are a fair replacement for a missing modality: a network may never have seen them. `absent="mean"` is the alternative
# (exercise 13.2).

# %% [markdown]
# ## Exercises
#
# **★ Exercise 13.1** Which method has the highest expected accuracy when *any* modality is missing from half of the samples (`rates[5]`)? Give its name in
# `METHODS`.

# %% tags=["exercise"]
# Exercise 13.1: a name.
# solution
sturdy = max(models, key=lambda n: missing[n]["any"][5])


# %%
@exercise("13.1", sturdy)
def _():
    assert missing[sturdy]["any"][5] == max(m["any"][5] for m in missing.values()), "The largest."
    print(f"{TITLES[sturdy]}: {100 * missing[sturdy]['any'][5]:.0f} %")


# %% [markdown]
# **★★ Exercise 13.2** Train joint training with `absent="mean"`: an absent modality is then its mean over the training split. Give the accuracy of the two
# modalities alone at the end as a dictionary.

# %% tags=["exercise"]
# Exercise 13.2: {modality: accuracy}.
# solution
experiment = ml.Experiment.preset(PRESET, absent="mean")
history = ml.run_experiment(experiment, STORE, progress=False).history()
history.keep_until(10**6)
alone = {m: history.last("accuracy", modality=m) for m in data.modalities}


# %%
@exercise("13.2", alone)
def _():
    assert set(alone) == set(data.modalities) and all(0 <= v <= 1 for v in alone.values())
    print(
        {
            m: f"{100 * last('joint', m):.0f} % with zeros, {100 * alone[m]:.0f} % with means"
            for m in alone
        }
    )


# %% [markdown]
# **★★★ Exercise 13.3** Expected accuracy is linear in the coalitions' accuracies. With two modalities and rate $r$ for each, write it down and compute it at
# $r = 0.3$ for `joint` from `missing["joint"]` at rates 0 and 1 only.

# %% tags=["exercise"]
# Exercise 13.3: a number.
# solution
both, nothing = missing["joint"]["any"][0], missing["joint"]["any"][-1]
without = [missing["joint"][m][-1] for m in data.modalities]  # that modality gone, the other there
expected = 0.7**2 * both + 0.7 * 0.3 * sum(without) + 0.3**2 * nothing


# %%
@exercise("13.3", expected)
def _():
    assert abs(expected - missing["joint"]["any"][3]) < 1e-6, (
        "(1-r)^2 both + r(1-r)(one + other) + r^2 none"
    )


# %% [markdown]
# ## You have seen
#
# which methods withstand wrong labels; what a missing modality costs, exactly; and how noise differs from absence.
#
# **Questions.** 1. Why are the test labels kept correct? 2. Which methods lead on clean, which on noisy labels? 3. Why need nothing be sampled for
# missing modalities? 4. What does the right end of a curve show? 5. When is noise worse than absence? 6. What does "absent" mean to a network?
#
# **Limits.** Two small data sets; label noise is uniform; one seed in parts 2 and 3.
#
# **Next:** [99 · All figures](99_all_figures.ipynb).
#
# **References.** MASAM, ICLR 2026, figure on label noise. Foret et al., *Sharpness-Aware Minimization*, ICLR 2021, section 3.3 and Table 4 (label noise).
# Ma et al., *Are Multimodal Transformers Robust to Missing Modality?*, CVPR 2022.

# %%
solved("13.1", "13.2", "13.3")
