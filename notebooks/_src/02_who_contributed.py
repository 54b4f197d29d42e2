# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Who contributed? Shapley by hand
#
# **Three modalities made a prediction together. How much of its accuracy belongs to each?**
#
# **You will** measure the accuracy of every [coalition](../book/glossary.md#coalition) of modalities, compute a Shapley value with pencil and paper, and meet the
# formulas of the paper as special cases.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb). **Takes** under a minute on two cores. **Regenerates** the
# contributions $\varphi$ and the shares $v$ that [M-SAM](../book/glossary.md#m-sam) is built on.

# %%
import itertools
import math
import os
from pathlib import Path

import torch

import msam_lib as ml
from msam_lib.interactive.course import coalition_explorer
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import show, theme
from msam_lib.plots.teaching import coalition_bars

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## 1 · Coalitions
#
# `avmnist_mini` has two modalities, so this notebook trains on `digits`, which has a third: the digit's name as a misspelled word. We train on
# all three, and then ask: how accurate is the network when only *some* of the modalities are present? An absent modality is replaced by zeros. A set of modalities is a
# *coalition*; three modalities have $2^3 = 8$ coalitions, the empty one included.

# %%
names = ["audio", "visual", "text"]
run = ml.run_experiment(ml.Experiment.preset(PRESET, dataset="digits", modalities=names), STORE)
model = ml.trained_model(run)
test = ml.load_dataset("digits", modalities=names).test
values = ml.coalition_values(model, test.inputs, test.targets)  # (8,) accuracies
values

# %%
from msam_lib.contributions.shapley import coalition_masks

masks = coalition_masks(3)  # (8, 3): which modality is in which coalition
accuracy = {
    frozenset(m for m, here in zip(names, row, strict=True) if here): float(v)
    for row, v in zip(masks, values, strict=True)
}
show(
    coalition_bars(accuracy, names),
    alt="Accuracy of all eight coalitions: " + ", ".join(f"{v:.2f}" for v in accuracy.values()),
)

# %% [markdown]
# ## 2 · What does a modality add?
#
# That depends on which modalities are already present. The *marginal contribution* of a modality to a coalition is the accuracy with it
# minus the accuracy without it. Choose a coalition and see what each absent modality would add.

# %%
coalition_explorer(accuracy, names)

# %% [markdown]
# *Find* the modality whose gain depends most on which others are present. The same without a kernel:

# %%
for present in (frozenset(), frozenset({"visual"}), frozenset({"audio", "text"})):
    added = {m: accuracy[present | {m}] - accuracy[present] for m in names if m not in present}
    coalition = " + ".join(sorted(present)) or "nothing"
    print(f"{coalition} present:", {m: f"{100 * a:+.1f} points" for m, a in added.items()})

# %% [markdown]
# **Predict.** A fair share should not depend on the order in which the modalities happen to join. How would you average over the
# orders?

# %%
predict("02.1", "In how many orders can three modalities join?", unit="orders")

# %% [markdown]
# ## 3 · By hand
#
# Let the modalities enter one after the other, in every order, and note what each adds when it enters. The mean over the orders
# is its **Shapley value** (Shapley 1953).

# %%
added = {m: [] for m in names}
for order in itertools.permutations(names):
    present = frozenset()
    for m in order:
        added[m].append(accuracy[present | {m}] - accuracy[present])
        present |= {m}
phi = {m: sum(a) / len(a) for m, a in added.items()}
print({m: [round(100 * x, 1) for x in a] for m, a in added.items()})
print({m: f"{100 * p:.1f} points" for m, p in phi.items()})

# %%
library = ml.shapley_from_values(values)  # the same for any number of modalities
for m, p in zip(names, library.tolist(), strict=True):
    assert abs(p - phi[m]) < 1e-6, "The library also averages over the orders."
assert math.factorial(3) == len(added["audio"])
compare("02.1", len(added["audio"]))

# %% [markdown]
# ## 4 · What makes it fair
#
# **Efficiency.** Whatever the order, the steps lead from the empty coalition to the full one. So the Shapley values sum to the accuracy
# above that of the empty coalition, which is what there is to share.

# %%
total = sum(phi.values())
to_share = accuracy[frozenset(names)] - accuracy[frozenset()]
print(f"sum of the Shapley values {total:.4f}, accuracy above the empty coalition {to_share:.4f}")
assert abs(total - to_share) < 1e-6, "Efficiency: the values sum to what there is to share."

# %% [markdown]
# Two modalities that add the same everywhere get the same (*symmetry*), one that never adds anything gets nothing (*dummy*), and the
# values of a sum of games are the sums of the values (*linearity*). Only the Shapley value has all four properties.
#
# **The formulas of the paper.** For $M$ modalities, $\varphi_m = \sum_{S \not\ni m} \frac{|S|!\,(M-|S|-1)!}{M!}\,[\Phi(S \cup m) - \Phi(S)]$.
# With $M = 3$ the weights are 1/3, 1/6, 1/6, 1/3. (The talk's general line prints $m!$ for $M!$ and its line for two modalities lacks a
# factor 1/2; the general form is the right one.)


# %%
def weight(size, m=3):
    """|S|! (M - |S| - 1)! / M! for a coalition of this size."""
    return math.factorial(size) * math.factorial(m - size - 1) / math.factorial(m)


print([round(weight(s), 4) for s in (0, 1, 1, 2)])
others = ["audio", "text"]
by_formula = sum(
    weight(k) * (accuracy[frozenset(s) | {"visual"}] - accuracy[frozenset(s)])
    for k in range(3)
    for s in itertools.combinations(others, k)
)
assert abs(by_formula - phi["visual"]) < 1e-9, "The formula counts orders."

# %% [markdown]
# ## 5 · From values to shares
#
# M-SAM divides by the sum: $v_m = \varphi_m / \sum_i \varphi_i$, and calls the modality with the largest share *dominant*. A value can be
# negative (a modality that confuses the others); the sources do not say what to do then. Here it counts as 0.

# %%
found = ml.shapley_contributions(model, test.inputs, test.targets)
print({m: f"{100 * v:.0f} %" for m, v in found.as_dict().items()}, "dominant:", found.dominant)
show(
    coalition_bars(accuracy, names, phi=phi),
    alt=f"All coalitions, and beside them the Shapley values; the largest is that of {found.dominant}.",
)

# %%
assert abs(sum(found.as_dict().values()) - 1) < 1e-6, "Shares sum to 1."
assert found.dominant == max(phi, key=phi.get), "The dominant modality has the largest value."

# %% [markdown]
# **What it means.** A share says how much of *this network's* accuracy on *these samples* a modality carries.
#
# **What it does not mean.** How much the modality *could* carry: a starved encoder has a small share although its modality may be
# informative (notebook 01). And "absent" means replaced by zeros, which the network has never seen in training: a modality whose zeros happen to
# look like some digit is judged unfairly.

# %% [markdown]
# ## Exercises
#
# **★ Exercise 02.1** Two modalities: $\Phi(\emptyset) = 0.1$, $\Phi(a) = 0.4$, $\Phi(v) = 0.6$, $\Phi(a,v) = 0.8$. Compute the Shapley value of $a$
# with pencil and paper.

# %% tags=["exercise"]
# Exercise 02.1: a number.
# solution
phi_a = 0.5 * (0.4 - 0.1) + 0.5 * (0.8 - 0.6)


# %%
@exercise("02.1", phi_a)
def _():
    check = ml.shapley_from_values(torch.tensor([0.1, 0.4, 0.6, 0.8]))
    assert abs(phi_a - float(check[0])) < 1e-6, (
        "Half of what it adds first, half of what it adds last."
    )


# %% [markdown]
# **★★ Exercise 02.2** Replace zeros by the mean of the training inputs (`model.set_baseline({m: ...})` with one sample per modality) and compute
# the shares again, as a dictionary. Does the dominant modality stay the same?

# %% tags=["exercise"]
# Exercise 02.2: {modality: share} with the training mean in place of absent modalities.
# solution
train = ml.load_dataset("digits", modalities=names).train
means = {m: x.float().mean(0).to(x.dtype) for m, x in train.inputs.items() if x.is_floating_point()}
model.set_baseline(means)
with_means = ml.shapley_contributions(model, test.inputs, test.targets).as_dict()
model.set_baseline(None)


# %%
@exercise("02.2", with_means)
def _():
    assert set(with_means) == set(names) and abs(sum(with_means.values()) - 1) < 1e-6
    print("zeros:", {m: round(v, 2) for m, v in found.as_dict().items()})
    print("means:", {m: round(v, 2) for m, v in with_means.items()})


# %% [markdown]
# **★★★ Exercise 02.3** Make a game of three players in which the second player never adds anything: accuracies for the 8 coalitions (in the
# order of `coalition_masks(3)`) such that the *second* value is exactly 0 and the others are not.

# %% tags=["exercise"]
# Exercise 02.3: eight numbers.
# solution
game = [0.0, 0.4, 0.0, 0.4, 0.3, 0.9, 0.3, 0.9]


# %%
@exercise("02.3", game)
def _():
    first, second, third = ml.shapley_from_values(torch.tensor(game)).tolist()
    assert abs(second) < 1e-6 and min(abs(first), abs(third)) > 1e-3, (
        "A dummy adds nothing to any coalition."
    )


# %% [markdown]
# ## You have seen
#
# the accuracy of every coalition; a Shapley value computed from all orders; and the paper's weights as a way to count orders.
#
# **Questions.** 1. How many coalitions and how many orders do $M$ modalities have? 2. What is a marginal contribution? 3. Which of the four
# properties says that nothing is lost? 4. Why can a Shapley value be negative? 5. What replaces an absent modality, and what could be
# unfair about it? 6. Does a small share mean that a modality is uninformative?
#
# **Limits.** One trained network, the accuracy on one split; a [batch](../book/glossary.md#batch) of 64 samples, as in training, is much noisier.
#
# **Next:** [03 · Sharpness and SAM](03_sharpness_and_sam.ipynb)
#
# **References.** Shapley, *A Value for n-Person Games*, 1953. Nowdeh et al., NeurIPS 2025,
# [arXiv 2510.24919](https://arxiv.org/abs/2510.24919), section 3. Li et al., *AGM*, ICCV 2023, section 3.

# %%
solved("02.1", "02.2", "02.3")
