# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Does flat mean general?
#
# **Networks in flat valleys are said to generalise better. Do ours?**
#
# **You will** compute the sharpness of a network and make it 10 times larger without changing one prediction, compare five measures of
# sharpness with the [generalisation gap](../book/glossary.md#generalisation-gap) of 24 runs (how much worse they [generalise](../book/glossary.md#generalise) than they learn), and read a
# [rank correlation](../book/glossary.md#rank-correlation) with its interval.
# **Needs** [05 · Reading loss landscapes](05_reading_loss_landscapes.ipynb); [06](06_curvature_per_modality.ipynb) is not needed.
# **Takes** half a minute on two cores. **Regenerates** the sharpness and generalisation measures of the paper's section on
# quantifying generalisation, on `avmnist_mini`.

# %%
import copy
import os

import numpy as np
import pandas as pd
import torch

import msam_lib as ml
from msam_lib import results
from msam_lib.diagnostics import ascent_sharpness, kendall_tau, keskar_sharpness, normalised_gap
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import show, theme
from msam_lib.plots.sharpness import NAMES, sharpness_against_gap, sharpness_alt
from msam_lib.results.sharpness import correlations, gaps

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper

# %% [markdown]
# ## 1 · Two numbers
#
# The **normalised generalisation gap** compares the accuracies on the training and on the test split:
# $100 \cdot (\mathrm{Acc}_{train} - \mathrm{Acc}_{test}) / \mathrm{Acc}_{train}$, in percent.

# %%
print(f"{normalised_gap(train=0.98, test=0.90):.1f} % lost between training and test")

# %% [markdown]
# **Keskar's sharpness** asks how far the loss $f$ can rise inside a small box $C_\varepsilon$ around the weights $\theta$:
#
# $$Q = 100 \cdot \frac{\max_{y \in C_\varepsilon} f(\theta + A y) - f(\theta)}{1 + f(\theta)}, \qquad
# C_\varepsilon = \{z : |z_i| \le \varepsilon (|(A^+\theta)_i| + 1)\}.$$
#
# $A$ spans a random subspace ($A^+$ is its pseudo-inverse), or is the identity: all weights. The maximum is searched for, so $Q$ is a lower bound.

# %%
data = ml.load_dataset("synthetic", snr=(2.0, 1.0), n_train=500, n_val=100, n_test=200)
ml.seed_everything(0)
net = ml.build_model(data, fusion="late", encoder="mlp", width=4)
optimizer = ml.build_optimizer(net.parameters(), lr=0.1)
ml.Trainer(net, ml.build_method("joint"), data, optimizer=optimizer, progress=False).fit(5)
before = keskar_sharpness(net, data.train, progress=False)
print(f"Q = {before.value:.2f} %, epsilon {before.epsilon}, {before.convention}")

# %% [markdown]
# ## 2 · As sharp as you like
#
# As in notebook 05, multiply the weights of the first layers by $a$ and divide those of the second layers by $a$. With ReLU no output changes.
#
# **Predict.** What should a good measure of sharpness do then?

# %%
predict(
    "07.1",
    "What does Keskar's Q do when a = 30, although every output stays the same?",
    choices=["it stays, within a tenth", "it falls", "it rises"],
)


# %%
def rescaled(model, factor):
    """The same function: first layers times `factor`, second layers divided by it."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for m in model.modalities:
            one, two = [layer for layer in model.encoders[m].net if hasattr(layer, "weight")]
            one.weight *= factor
            one.bias *= factor
            two.weight /= factor
    return model


# %%
rows, inputs = {}, data.test[:50].inputs
for a in (1.0, 3.0, 10.0, 30.0):
    twin = rescaled(net, a)
    with torch.no_grad():
        change = (net(inputs).logits - twin(inputs).logits).abs().max()
    rows[a] = {
        "largest change of an output": float(change),
        "Keskar's Q (%)": keskar_sharpness(twin, data.train, progress=False).value,
        "SAM (nats)": ascent_sharpness(twin, data.train, rho=0.05).value,
        "adaptive (nats)": ascent_sharpness(twin, data.train, rho=0.5, adaptive=True).value,
    }
table = pd.DataFrame(rows).T.rename_axis("a")
table.round(4)

# %%
first, last = table.iloc[0], table.iloc[-1]
assert last["largest change of an output"] < 1e-3, "Rescaling should not change the function."
assert last["Keskar's Q (%)"] > 2 * first["Keskar's Q (%)"], "Q should depend on the scale."
assert abs(last["adaptive (nats)"] / first["adaptive (nats)"] - 1) < 0.02, (
    "The adaptive sharpness should not depend on the scale."
)
ratio = last["Keskar's Q (%)"] / first["Keskar's Q (%)"]
direction = "it rises" if ratio > 1 else "it falls"
compare("07.1", direction if abs(ratio - 1) > 0.1 else "it stays, within a tenth")

# %% [markdown]
# **What it means.** $Q$ and SAM's sharpness depend on how the same function is parametrised (Dinh et al., ICML 2017). *Adaptive* sharpness
# measures steps relative to each weight and does not.
#
# **What it does not mean.** That $Q$ is useless: networks trained in the same way from the same initial weights do not differ by such
# rescalings, and $Q$ may still rank them. That is a question for an experiment.

# %% [markdown]
# ## 3 · The experiment
#
# All late-fusion runs of `make figures` on `avmnist_mini`: eight methods, three seeds each. For each, five measures on the same 300
# training samples, for each modality's encoder and for all weights ("fused"), and the gap of the fused accuracy. The measurements are
# stored; `make figures` repeats them.
#
# | measure | the rise of the loss ... |
# | --- | --- |
# | Keskar's Q | at the worst point of a box around the weights, in percent |
# | SAM, one step | after one step of length $\rho$ along the gradient |
# | SAM, ascent | at the worst point within that radius, as far as several steps of ascent reach it |
# | adaptive | the same with every weight's step in proportion to its size |
# | average case | on average over Gaussian displacements, equally large in every weight |
#
# **Predict:**

# %%
predict(
    "07.2",
    "For how many of the five measures will a sharper network clearly have the larger gap?",
    choices=range(6),
)

# %%
frame = gaps(results.load("sharpness"))
taus = correlations(frame)
show(sharpness_against_gap(frame, taus), alt=sharpness_alt(frame, taus))

# %% [markdown]
# $\tau$ is **Kendall's rank correlation**: take all pairs of runs; $\tau$ is the share of pairs in which the sharper run has the larger gap,
# minus the share in which it has the smaller one. The brackets hold a 95 % interval from a bootstrap: the runs are drawn again, with
# replacement.

# %%
pd.DataFrame(
    {NAMES[m]: {"τ": c.tau, "low": c.low, "high": c.high, "p": c.p_value} for m, c in taus.items()}
).T.round(3)

# %%
clear = [NAMES[m] for m, c in taus.items() if c.low > 0]
print(f"{len(clear)} of {len(taus)} measures have an interval above 0: {', '.join(clear)}")
assert len(clear) < len(taus), "Here not every measure of sharpness explains the gap."
compare("07.2", len(clear))

# %% [markdown]
# ## 4 · A closer look
#
# Choose a measure, and whose weights are moved. *Find* a measure that orders the runs for one encoder but not for the other.

# %%
from msam_lib.interactive.geometry import gap_explorer

gap_explorer(frame)

# %% [markdown]
# The same as a table: $\tau$ by measure and weights.

# %%
every = {w: correlations(frame, w) for w in frame["modality"].unique()}
pd.DataFrame({w: {NAMES[m]: c.tau for m, c in t.items()} for w, t in every.items()}).round(2)

# %% [markdown]
# ## 5 · Between methods, or within one?
#
# A correlation over all runs can come from the methods alone: SAM flattens *and*, for whatever reason, has the smaller gap here. Subtract
# the mean of each method, and repeat the question: among runs of one method, has the flatter one the smaller gap?

# %%
one = frame[(frame["measure"] == "average") & (frame["modality"] == "fused")]
inside = one.groupby("label")[["value", "gap"]].transform(lambda v: v - v.mean())
between = one.groupby("label")[["value", "gap"]].mean()
for name, rows in (("all runs", one), ("means of methods", between)):
    print(f"{name:16} {kendall_tau(rows['value'], rows['gap']).tau:.2f}")
within = kendall_tau(inside["value"], inside["gap"])
print(f"{'within methods':16} {within.tau:.2f} [{within.low:.2f}, {within.high:.2f}]")
assert within.low < 0 < within.high, "Within methods, flatness should not decide here."
average = {w: t["average"].tau for w, t in every.items()}
assert average["audio"] > 0.3 and average["visual"] < -0.3, "The encoders differ in sign."

# %% [markdown]
# **What it means.** On this data every measure but the adaptive one, which is the only one that rescaling cannot change, clearly orders the
# runs, and the average case does so *between* methods: those that flatten have the smaller gap. Among runs of one method, which differ only in the
# seed, it says nothing. And it is the flatness of the *weak* encoder (audio) that goes with a small gap. For the dominant one (visual)
# the order is the reverse.
#
# **What it does not mean.** That a small gap is a good network: the reading `unimodal_loss` of M-SAM has by far the smallest, because it does
# not learn the audio at all, and the lowest test accuracy of the eight; joint training has a larger gap than SAM and a higher test accuracy
# (`figures/table_late.md`). Nor that flatness is the *cause*: the methods differ in more than flatness, 24 runs of one small data set are
# few, and a measure that rescaling can change as one likes (section 2) cannot be the whole explanation.

# %% [markdown]
# ## Exercises
#
# **★ Exercise 07.1** A model has 100 % training accuracy and 80 % test accuracy. What is its normalised gap in percent?

# %% tags=["exercise"]
# Exercise 07.1: a number.
# solution
gap = 100 * (1.0 - 0.8) / 1.0


# %%
@exercise("07.1", gap)
def _():
    assert abs(gap - normalised_gap(1.0, 0.8)) < 1e-9, "100 (train - test) / train."


# %% [markdown]
# **★★ Exercise 07.2** Compute Kendall's $\tau$ by hand for `sharp = [1, 2, 3, 4]` and `gaps4 = [10, 30, 20, 40]`: count the pairs in the
# same order and in the opposite order.

# %% tags=["exercise"]
# Exercise 07.2: tau, a number between -1 and 1.
# solution
sharp, gaps4 = [1, 2, 3, 4], [10, 30, 20, 40]
signs = [np.sign((sharp[i] - sharp[j]) * (gaps4[i] - gaps4[j])) for i in range(4) for j in range(i)]
tau = sum(signs) / len(signs)


# %%
@exercise("07.2", tau)
def _():
    assert abs(tau - kendall_tau([1, 2, 3, 4], [10, 30, 20, 40]).tau) < 1e-9, "Six pairs in all."


# %% [markdown]
# **★★★ Exercise 07.3** Make `net` *flatter* by Keskar's measure without changing the function: find a factor `a` between 0.1 and 10 whose twin has
# a smaller $Q$ than `net`, if there is one, and the smallest $Q$ among ten values of `a`.

# %% tags=["exercise"]
# Exercise 07.3: the smallest Q you found (percent).
# solution
factors = np.geomspace(0.1, 10, 10)
smallest = min(
    keskar_sharpness(rescaled(net, float(a)), data.train, progress=False).value for a in factors
)


# %%
@exercise("07.3", smallest)
def _():
    assert smallest <= 1.05 * before.value, (
        "A factor near 1 is among the ten and gives about Q itself."
    )
    print(f"Q of the same function goes down to {smallest:.2f} % (from {before.value:.2f} %)")


# %% [markdown]
# ## You have seen
#
# a sharpness that grows without any change of the function; five measures compared with the gap of 24 runs; and rank correlations
# with intervals, over all runs and within methods.
#
# **Questions.** 1. What does the normalised gap leave out? 2. Why is $Q$ a lower bound? 3. Which measure survives rescaling, and why?
# 4. What does $\tau = 0$ mean? 5. What does an interval that contains 0 tell you? 6. Why look within methods? 7. Which experiment would
# show that flatness *causes* a small gap?
#
# **Limits.** One data set, small networks, three seeds per method, one choice of $\varepsilon$, $\rho$ and $\sigma$.
#
# **Next:** back to [00 · Start here](00_start_here.ipynb) for an overview of all figures.
#
# **References.** Keskar et al., *On Large-Batch Training for Deep Learning*, ICLR 2017, Metric 2.1. Dinh et al., *Sharp Minima Can
# Generalize for Deep Nets*, ICML 2017. Kwon et al., *ASAM*, ICML 2021, section 3. Jiang et al., *Fantastic Generalization Measures and Where
# to Find Them*, ICLR 2020, section 4. Nowdeh et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919).

# %%
solved("07.1", "07.2", "07.3")
