# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · When one modality wins
#
# **Does a network that sees more also learn more?**
#
# **You will** train a network on two modalities at once, train each modality alone, and compare what
# the [encoders](../book/glossary.md#encoder) have learnt.
# **Needs** [00 · Start here](00_start_here.ipynb). **Takes** 1 to 2 minutes on two cores. **Regenerates** the convergence curves
# (accuracy over epochs) of joint and of [unimodal training](../book/glossary.md#unimodal-training).

# %%
import os
from pathlib import Path

import msam_lib as ml
from msam_lib import results
from msam_lib.experiments.measurements import collect
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import accuracy_curves, contribution_curves, curves_alt, show, theme

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## The two modalities
#
# `avmnist_mini` pairs the image of a digit with a voice that says it. Both are made harder on purpose (notebook 00 shows how they were
# before).

# %%
data = ml.load_dataset("avmnist_mini")
# (samples, channels, height, width)
{modality: tuple(x.shape) for modality, x in data.train.inputs.items()}

# %%
from msam_lib.plots.samples import sample_grid

show(
    sample_grid(data, n=6, split="test"),
    alt="Six samples: spectrograms of spoken digits in noise above blurred images of the same digits.",
)

# %% [markdown]
# Each modality has an *encoder*, a small network (a multilayer perceptron) that turns a sample into a vector of *features*. With **late
# fusion** every modality has a linear *head* that turns its features into one number (a *logit*) per class, and the
# logits of the modalities are added. **Joint training** puts one loss on the sum.

# %%
model = ml.build_model(data, fusion="late", encoder="mlp", width=16)
{block: sum(p.numel() for p in parameters.values()) for block, parameters in model.blocks().items()}

# %% [markdown]
# ## Predict
#
# The image of a digit is easier to learn here than its sound. Answer before you continue:

# %%
predict(
    "01.1",
    "Trained jointly, how good will the audio encoder be, compared with one that is trained alone?",
    choices=["as good, within 2 points", "better", "worse"],
)

# %% [markdown]
# ## Run
#
# An `Experiment` describes one training run completely. `run_experiment` trains it, or returns the finished run if there is one.

# %%
seeds = (0, 1, 2) if PRESET != "smoke" else (0, 1)
runs = [
    ml.run_experiment(ml.Experiment.preset(PRESET, method=method, seed=seed), STORE)
    for method in ("joint", "unimodal")
    for seed in seeds
]
frame = collect(runs)

# %% [markdown]
# ## Figure
#
# Accuracy on the test split after every epoch. The *fused* line is the whole network. A modality's line is the accuracy of its
# head alone. Under unimodal training the two networks share nothing, and *fused* is their sum, an [ensemble](../book/glossary.md#ensemble).

# %%
labels = ["joint", "unimodal"]
figure = accuracy_curves(frame, labels=labels, metric="accuracy_head")
show(figure, alt=curves_alt(frame, labels=labels, metric="accuracy_head"))

# %% [markdown]
# The same as a race: each bar is a modality's accuracy as a share of what it has reached alone at the last epoch (the dashed line).

# %%
from msam_lib.plots.race import race

rows = frame.query("split == 'test' and metric == 'accuracy_head'")
wide = 100 * rows.pivot_table(index="epoch", columns=["label", "modality"], values="value")
lanes = {
    name: {m: list(wide[label, m]) for m in data.modalities}
    for name, label in (("Trained together", "joint"), ("Each alone", "unimodal"))
}
alone = {m: wide["unimodal", m].iloc[-1] for m in data.modalities}
ends = [f"{m} {wide['joint', m].iloc[-1]:.0f} of {alone[m]:.0f} %" for m in data.modalities]
alt = f"Bars grow over the epochs. Trained together they end at {' and '.join(ends)}; alone at the line."
race(lanes, alone, title="How far does each encoder get?", alt=alt)

# %%
# The epoch with the best validation accuracy, never chosen on the test split.
end = results.reported_epoch(frame)
heads = end[(end.split == "test") & (end.metric == "accuracy_head")]
heads.pivot_table(index="modality", columns="label", values="value", aggfunc="mean").round(3)

# %% [markdown]
# ## Check
#
# Both encoders are worse after joint training than after training alone, by about as many points. But the audio encoder could do less to
# begin with, so it lost a larger part of its accuracy. It was *starved*: the other modality brought the common loss down first, and
# the [gradient](../book/glossary.md#gradient) that was left carried little for it.

# %%
mean = heads.groupby(["label", "modality"])["value"].mean()
loss = {m: mean["unimodal", m] - mean["joint", m] for m in data.modalities}  # in accuracy
part = {m: loss[m] / mean["unimodal", m] for m in data.modalities}  # of what it reaches alone
starved = max(part, key=part.get)
for m in data.modalities:
    print(f"{m}: {100 * loss[m]:.1f} points, {100 * part[m]:.0f} % of its accuracy")
if PRESET != "smoke":
    assert min(loss.values()) > 0.02, "Expected either encoder to lose more than 2 points."
    assert part[starved] > 0.2, "Expected one encoder to lose a fifth of its accuracy."
moved = "as good, within 2 points" if abs(loss["audio"]) <= 0.02 else "better"
compare("01.1", "worse" if loss["audio"] > 0.02 else moved)

# %% [markdown]
# ## Epoch by epoch
#
# Accuracies and contributions of one training run, side by side. A *contribution* is defined in the next section; think of it as a share of
# the accuracy. **Find** the epoch after which the lead no longer changes.

# %%
from msam_lib.interactive.results import epoch_scrubber

epoch_scrubber(frame)

# %% [markdown]
# ## Who dominates?
#
# How accurate a modality is alone does not say how much it *contributes* to the fused prediction. The contribution of a modality is the
# accuracy that it adds when it joins, averaged over the orders of joining (its *Shapley value*; notebook 02 computes
# it by hand). An [absent](../book/glossary.md#absent) modality is replaced by zeros.

# %%
figure = contribution_curves(frame, labels=["joint"])
end_share = end[(end.metric == "contribution") & (end.split == "test") & (end.label == "joint")]
share = end_share.groupby("modality")["value"].mean()
dominant = share.idxmax()
show(
    figure,
    alt=f"Under joint training {dominant} holds {100 * share[dominant]:.0f} % of the accuracy at the end.",
)

# %%
if PRESET != "smoke":
    assert dominant != starved, "Expected the starved modality not to be the dominant one."
print(
    f"{dominant} dominates with {100 * share[dominant]:.0f} % of the accuracy; {starved} is starved."
)

# %% [markdown]
# **What it means.** Two modalities in one loss compete. The one that is learnt first dominates the prediction, and the
# encoder of the other learns less than it could.
#
# **What it does not mean.** That joint training is bad: on other data its fused accuracy may be the better one (exercise 01.1 asks about these). Nor that a network *cannot*
# use the weaker modality: it has not *learnt* to. The methods of this collection try to change exactly that.

# %% [markdown]
# ## Reverse the dominance
#
# What if the voices are clearer? The images stay as they are; the *signal-to-noise ratio* of the voices rises from -12 to 12 decibels, from
# a noise with 16 times their power to one with a sixteenth. **Predict:**

# %%
predict(
    "01.2",
    "The voices get clearer, the images stay the same. What will happen to the accuracy of the image alone?",
    choices=["it rises", "it stays, within 2 points", "it falls"],
)

# %%
ratios = (-12.0, -6.0, 0.0, 12.0)  # decibels; -12 is the data set's own
clearer = {}
for ratio in ratios:
    experiment = ml.Experiment.preset(PRESET, data_options={"snr_db": ratio})
    clearer[ratio] = ml.run_experiment(experiment, STORE).metrics()

# %% [markdown]
# Move the slider: each position shows one of these runs. The same as a static picture follows.

# %%
from msam_lib.interactive.explorer import Explorer
from msam_lib.plots.noise import share_against_noise


def at_end(history, metric, m):
    rows = history.query("split == 'test' and metric == @metric and modality == @m")
    return rows["value"].iloc[-1]


rows = {r: {m: at_end(h, "contribution", m) for m in data.modalities} for r, h in clearer.items()}
LABEL = "signal-to-noise ratio of the voices (decibels)"


def draw(ratio):
    return share_against_noise(rows, mark=ratio, xlabel=LABEL)


Explorer(draw, {"ratio": list(rows)}, lambda ratio: f"Shares at {ratio} decibels: {rows[ratio]}")

# %%
show(
    share_against_noise(rows, xlabel=LABEL),
    alt=f"The share of visual falls from {rows[-12.0]['visual']:.2f} to {rows[12.0]['visual']:.2f} as the voices get clearer.",
)

# %%
image = {r: at_end(h, "accuracy_head", "visual") for r, h in clearer.items()}
print({f"{r:+.0f} dB": f"image alone {100 * x:.0f} %" for r, x in image.items()})
if PRESET != "smoke":
    assert rows[-12.0]["visual"] > 0.5 > rows[12.0]["visual"], "The voice should take the lead."
    assert image[12.0] < image[-12.0] - 0.02, "The same images should be learnt less well."
change = image[12.0] - image[-12.0]
direction = "it rises" if change > 0 else "it falls"
compare("01.2", direction if abs(change) > 0.02 else "it stays, within 2 points")

# %% [markdown]
# Clear voices dominate. The images are the same all the time, yet their encoder learns less from them beside a clear voice: now *it* is starved.

# %% [markdown]
# ## Exercises
#
# **★ Exercise 01.1** By how many points does the fused accuracy of the ensemble of unimodal models (`unimodal`) exceed that of joint
# training? Use `end`, the test split and the metric `accuracy` of the modality `fused`.

# %% tags=["exercise"]
# Exercise 01.1: the difference in percentage points, as a number.
# solution
fused = end[(end.split == "test") & (end.metric == "accuracy") & (end.modality == "fused")]
by_label = fused.groupby("label")["value"].mean()
difference = 100 * (by_label["unimodal"] - by_label["joint"])


# %%
@exercise("01.1", difference)
def _():
    check = end.query("split == 'test' and metric == 'accuracy' and modality == 'fused'")
    check = check.pivot_table(index="seed", columns="label", values="value").mean()
    assert abs(difference - 100 * (check["unimodal"] - check["joint"])) < 0.01, (
        "Mean over seeds, in points."
    )
    print(f"The ensemble is {difference:+.1f} points away from joint training.")


# %% [markdown]
# **★★ Exercise 01.2** Repeat joint training with `fusion="maxout"`, which mixes the features before the logits, and
# give the share of the dominant modality at the last epoch.

# %% tags=["exercise"]
# Exercise 01.2: the largest share at the last epoch, between 0 and 1.
# solution
early = ml.run_experiment(ml.Experiment.preset(PRESET, fusion="maxout"), STORE).history()
early.keep_until(10**6)
largest = max(early.last("contribution", modality=m) for m in data.modalities)


# %%
@exercise("01.2", largest)
def _():
    assert 1 / len(data.modalities) <= largest <= 1, (
        "A share of the dominant modality lies between 1/M and 1."
    )
    print(f"With MaxOut fusion the dominant modality has {100 * largest:.0f} % of the accuracy.")


# %% [markdown]
# ## You have seen
#
# a network trained on two modalities at once; each modality trained alone; that an encoder learns less in joint training than alone; and
# the dominance reversed by nothing but clearer voices.
#
# **Questions.** 1. What does late fusion add up? 2. Why can an encoder be starved although its modality is informative? 3. What is
# the ensemble of unimodal models? 4. Does the modality that is more accurate alone always dominate? 5. What replaces
# an absent modality here, and what could be wrong with that? 6. On which split is the reported epoch chosen?
#
# **Limits.** One small data set whose noise level was chosen, small networks, few seeds.
#
# **Next:** [02 · Who contributed? Shapley by hand](02_who_contributed.ipynb).
#
# **References.** Peng et al., *Balanced Multimodal Learning via On-the-fly Gradient Modulation*, CVPR 2022, section 3 and Figure 1.
# Wang, Tran, Feiszli, *What Makes Training Multi-Modal Classification Networks Hard?*, CVPR 2020. Nowdeh et al., NeurIPS 2025,
# [arXiv 2510.24919](https://arxiv.org/abs/2510.24919), section 1.

# %%
solved("01.1", "01.2")
