# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · M-SAM, line by line
#
# **What exactly does Algorithm 1 of the paper do, and what does it leave open?**
#
# **You will** write M-SAM's step in ten lines, derive a one-line identity for it, and train with three readings of the algorithm.
# **Needs** [02 · Who contributed?](02_who_contributed.ipynb), [03 · Sharpness and SAM](03_sharpness_and_sam.ipynb). **Takes** about a minute on two
# cores. **Regenerates** Algorithm 1 and the comparison of [perturbing](../book/glossary.md#perturbation) the strong or the weak encoder.

# %%
import copy
import os
from pathlib import Path

import torch
import torch.nn.functional as F

import msam_lib as ml
from msam_lib import results
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import show, strong_versus_weak, strong_versus_weak_alt, theme

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated
RHO = 0.2

# %% [markdown]
# ## 1 · The algorithm
#
# Per batch, with the loss $L$ of the fused prediction and the radius $\rho$:
#
# 1. the shares $v_m$ of the modalities (notebook 02), the dominant one $d = \arg\max v$;
# 2. the loss in two parts, $L_d = v_d L$ and $L_s = (1 - v_d) L$;
# 3. climb with the dominant part: $\varepsilon = \rho\, \nabla L_d / \|\nabla L_d\|$;
# 4. step with $\nabla L_d(\theta + \varepsilon) + \nabla L_s(\theta)$.
#
# A model, a batch, and the same in code:

# %%
data = ml.load_dataset("avmnist_mini")
ml.seed_everything(0)
model = ml.build_model(data, fusion="late", width=4).eval()  # no batch statistics: comparable
batch = data.train[:64]


def gradient(net, weight=1.0):
    """Gradients of weight * L, one tensor per parameter."""
    loss = weight * F.cross_entropy(net(batch.inputs).logits, batch.targets)
    return torch.autograd.grad(loss, list(net.parameters()))


# %% [markdown]
# The four lines:

# %%
v = ml.shapley_contributions(model, batch.inputs, batch.targets).weights  # line 1
v_d = float(v.max())
g_d = gradient(model, v_d)  # line 2
length = torch.sqrt(sum((g**2).sum() for g in g_d))
there = copy.deepcopy(model)
with torch.no_grad():  # line 3
    for p, g in zip(there.parameters(), g_d, strict=True):
        p += RHO * g / length
step = [  # line 4
    a + b for a, b in zip(gradient(there, v_d), gradient(model, 1 - v_d), strict=True)
]
print(f"share of the dominant modality {v_d:.2f}")

# %% [markdown]
# The library's step from the same point:


# %%
def library_step(name, **options):
    net = copy.deepcopy(model)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    ml.build_method(name, **options).step(net, batch, optimizer)
    return [b - p.detach() for b, p in zip(before, net.parameters(), strict=True)]


def distance(a, b):
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))


print(f"difference to the library: {distance(step, library_step('msam', rho=RHO)):.1e}")
assert distance(step, library_step("msam", rho=RHO)) < 1e-5, "Both should take the same step."

# %% [markdown]
# ## 2 · What the algorithm computes
#
# **Predict.** Both parts of the loss contain the *same* $L$.

# %%
predict(
    "04.1",
    "What does the share of the dominant modality change in the climb of line 3?",
    choices=["nothing", "its length", "its direction: which encoder is displaced more"],
)


# %%
def climb(gradients):
    """Line 3: the displacement along these gradients, one tensor per parameter."""
    size = torch.sqrt(sum((g**2).sum() for g in gradients))
    return [RHO * g / size for g in gradients]


with_share, without = climb(g_d), climb(gradient(model))
longer = sum((a**2).sum() for a in with_share) / sum((b**2).sum() for b in without)
found = "its direction: which encoder is displaced more"
if distance(with_share, without) < 1e-5:
    found = "nothing"
elif abs(float(longer) - 1) > 1e-3:
    found = "its length"
compare("04.1", found)

# %% [markdown]
# Since $\nabla L_d = v_d \nabla L$, the factor cancels in the normalisation: the climb is SAM's. And the step is
#
# $$g = (1 - v_d)\, \nabla L(\theta) + v_d\, \nabla L(\theta + \varepsilon),$$
#
# a mixture of the plain gradient and SAM's. **Check** the identity and both of its limits:

# %%
here, sam = gradient(model), library_step("sam", rho=RHO)
mixture = [(1 - v_d) * a + v_d * b for a, b in zip(here, sam, strict=True)]
print(f"mixture against Algorithm 1: {distance(mixture, step):.1e}")
assert distance(mixture, step) < 1e-5, (
    "The identity g = (1 - v) grad L(theta) + v grad L(theta + eps)."
)

# %%
assert distance(library_step("msam", rho=RHO, mixing=1.0, reading="literal"), sam) < 1e-5, (
    "A share of 1 is SAM."
)
assert distance(library_step("msam", rho=0.0), list(here)) < 1e-5, (
    "A radius of 0 is plain training."
)
assert distance(step, list(here)) > 1e-4, (
    "M-SAM's step equals the plain gradient: is RHO zero? With a radius of 0 there is no climb, and "
    "nothing of M-SAM is left. Set RHO to 0.2 and run the notebook again."
)

# %% [markdown]
# To first order $\nabla L(\theta + \varepsilon) \approx \nabla L(\theta) + H\varepsilon$ with the Hessian $H$ (notebook 03), so $g \approx \nabla L(\theta) + v_d H \varepsilon$: **M-SAM is SAM with the radius $\rho\, v_d$.** On
# a bowl this is exact. Vary radius and share:

# %%
from msam_lib.interactive.course import msam_step, step_explorer
from msam_lib.plots.teaching import step_vectors

step_explorer()

# %% [markdown]
# *Find* the share at which M-SAM's arrow lies on SAM's. The same without a kernel, and the check on the bowl:

# %%
show(
    step_vectors(*msam_step(0.4, 0.6), title="ρ = 0.4, v = 0.6"),
    alt="The mixture lies between the gradient here and the gradient there.",
)
_, _, _, _, mixed = msam_step(0.4, 0.6)
_, _, _, there_small, _ = msam_step(0.4 * 0.6, 1.0)
assert abs(mixed - there_small).max() < 1e-9, "On a bowl M-SAM is SAM with radius rho times v."

# %% [markdown]
# **What it means.** As printed, M-SAM is SAM with a radius that adapts to the imbalance: where one modality dominates a batch, it climbs further.
#
# **What it does not mean.** That the dominant *modality's* weights are treated differently. *Which* modality is dominant does not matter: swap the
# shares and the step is the same. The authors' text says more ("the dominant modality lands in flat minima, the others explore freely"), so
# the library has two further readings: `"encoder"` confines the climb to the dominant encoder, `"unimodal_loss"` takes true unimodal losses.


# %%
def moved(**options):
    """The largest difference of each block's step to the plain gradient."""
    taken = library_step("msam", rho=RHO, **options)
    place = {id(p): i for i, p in enumerate(model.parameters())}
    out = {}
    for block, parameters in model.blocks().items():
        at = [place[id(p)] for p in parameters.values()]
        out[block] = round(max(float((taken[i] - here[i]).abs().max()) for i in at), 4)
    return out


print("literal:", moved())
print("encoder:", moved(reading="encoder"))
dominant = ml.shapley_contributions(model, batch.inputs, batch.targets).dominant
only = moved(reading="encoder")
assert [b for b, far in only.items() if far > 0] == [dominant], "Only one encoder is perturbed."

# %% [markdown]
# ## 3 · Strong or weak?
#
# If it matters *which* encoder is perturbed (displaced before its gradient is taken), it should show when only one of them is. Four training runs with
# radius 0.2 perturb no weights, all weights (SAM), only the dominant encoder, or only the weaker one.
#
# **Predict:**

# %%
WORST = ["of no weights", "of the dominant encoder only", "of the weaker one, alone or with all"]
predict("04.2", "Which perturbation leaves the weaker modality least accurate?", choices=WORST)

# %%
from msam_lib.experiments.measurements import collect
from msam_lib.experiments.suite import perturbation_experiments
from msam_lib.results.rows import strong_weak_rows

seeds = (0,)  # each takes about 40 seconds
experiments = perturbation_experiments(PRESET, seeds)
runs = [ml.run_experiment(e, STORE) for e in experiments]
rows = strong_weak_rows(collect(runs))
show(strong_versus_weak(rows), alt=strong_versus_weak_alt(rows))

# %% [markdown]
# One seed could be luck. `make figures` stored the same four runs for three seeds:

# %%
stored = strong_weak_rows(results.load("avmnist_mini"))
show(strong_versus_weak(stored), alt=strong_versus_weak_alt(stored))


# %%
def by_target(rows):
    """(weaker modality, its mean accuracy by which encoder was perturbed)."""
    end = results.reported_epoch(rows)
    alone = end[(end.split == "test") & (end.metric == "accuracy") & (end.modality != "fused")]
    weaker = alone.groupby("modality")["value"].mean().idxmin()
    mean = alone[alone.modality == weaker].groupby("label")["value"].mean()
    targets = ("dominant", "weakest")
    return weaker, {t: float(mean[next(k for k in mean.index if k.endswith(t))]) for t in targets}


for name, measured in (("live", rows), ("stored", stored)):
    weaker, mean = by_target(measured)
    print(f"{name}: {weaker} alone", {t: f"{100 * a:.0f} %" for t, a in mean.items()})
    if PRESET != "smoke" or name == "stored":
        assert mean["weakest"] < mean["dominant"] - 0.05, (
            "Perturbing the weak encoder should cost the weak modality more."
        )

# %%
end = results.reported_epoch(stored)
end = end[(end.split == "test") & (end.metric == "accuracy") & (end.modality == weaker)]
lowest = end.groupby("label")["value"].mean().idxmin()
spared = WORST[1] if lowest.endswith("dominant") else WORST[2]
compare("04.2", WORST[0] if lowest == "joint" else spared)

# %% [markdown]
# **What it means.** A perturbation makes learning harder for the weights that it perturbs. Perturbing the weaker encoder, alone or with all
# others (SAM), leaves its modality little above chance (10 %). Confined to the dominant encoder, the perturbation spares the weaker one: its accuracy stays near
# that of joint training. On AV-MNIST the order is the same (notebook 08).
#
# **What it does not mean.** That sparing the weaker modality helps it: it ends no better than when nothing is perturbed, and neither does the whole
# model. Nor that M-SAM gives the best fused accuracy: see the tables.

# %% [markdown]
# ## 4 · What it costs
#
# Written naively, M-SAM takes three backward passes and $2^M$ forward passes per batch. Here the contributions reuse the features of the forward
# pass that is computed anyway, so a step costs what SAM's costs (`benchmarks/step_cost.py`). One more variant is cheaper still:
# `ascent="momentum"` climbs along the optimizer's [momentum](../book/glossary.md#momentum) and needs one pass.

# %%
import time


def seconds(name, **options):
    net, method = copy.deepcopy(model), ml.build_method(name, **options)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9)
    for _ in range(3):
        method.step(net, batch, optimizer)
    start = time.process_time()
    for _ in range(10):
        method.step(net, batch, optimizer)
    return time.process_time() - start


plain = seconds("joint")
for name, options in (("sam", {}), ("msam", {}), ("msam", {"ascent": "momentum"})):
    print(f"{name} {options or ''}: {seconds(name, **options) / plain:.1f} times a plain step")

# %% [markdown]
# ## Exercises
#
# **★ Exercise 04.1** With shares (0.5, 0.5) and radius 0.2, which radius would make SAM take the same step on a bowl?

# %% tags=["exercise"]
# Exercise 04.1: a number.
# solution
radius = 0.2 * 0.5


# %%
@exercise("04.1", radius)
def _():
    assert abs(radius - 0.1) < 1e-9, "The radius times the dominant share."


# %% [markdown]
# **★★ Exercise 04.2** M-SAM weights the perturbed gradient by $v_d$. Compute, from `here` and `sam`, the step for a share of 0.75 (a list of
# tensors).

# %% tags=["exercise"]
# Exercise 04.2: a list of tensors.
# solution
three_quarters = [0.25 * a + 0.75 * b for a, b in zip(here, sam, strict=True)]


# %%
@exercise("04.2", three_quarters)
def _():
    assert distance(three_quarters, library_step("msam", rho=RHO, mixing=0.75)) < 1e-5, (
        "The identity."
    )


# %% [markdown]
# **★★★ Exercise 04.3** Use M-SAM on a module of your own. Wrap a `torch.nn.Bilinear(3, 4, 2)` with the modalities `"a"` and `"b"`
# (`ml.wrap(net, [...], call="args")`), make a batch of random vectors and take one step of `msam`. Give what the step returns.

# %% tags=["exercise"]
# Exercise 04.3: the dictionary that `step` returns.
# solution
net = torch.nn.Bilinear(3, 4, 2)
wrapped = ml.wrap(net, ["a", "b"], call="args")
mine = ml.Batch({"a": torch.randn(8, 3), "b": torch.randn(8, 4)}, torch.randint(2, (8,)))
logs = ml.build_method("msam").step(wrapped, mine, torch.optim.SGD(net.parameters(), lr=0.1))


# %%
@exercise("04.3", logs)
def _():
    assert {"loss", "share/a", "share/b"} <= set(logs), "A loss, and a share per modality."


# %% [markdown]
# ## You have seen
#
# M-SAM's step in ten lines; that it is a mixture of two gradients, SAM with radius $\rho v_d$ to first order; and three readings of one
# algorithm.
#
# **Questions.** 1. Why does $v_d$ cancel in the climb? 2. What are the two limits of the mixture? 3. What changes when the two modalities' shares are
# swapped? 4. What does the reading `encoder` perturb? 5. Which forward passes do the contributions need? 6. What does the authors' text claim that
# the printed algorithm does not do?
#
# **Limits.** Small networks, three seeds, one radius.
#
# **Next:** [05 · Reading loss landscapes](05_reading_loss_landscapes.ipynb)
#
# **References.** Nowdeh et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919), Algorithm 1. Zhao, Zhang, Hu, *Penalizing Gradient
# Norm*, ICML 2022 (the same mixture with a fixed weight). Becker et al., *Momentum-SAM*, 2024.

# %%
solved("04.1", "04.2", "04.3")
