# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Reading loss landscapes
#
# **What does a picture of a loss surface show, and what does it hide?**
#
# **You will** read [landscapes](../book/glossary.md#landscape): draw [slices](../book/glossary.md#slice) through a bowl whose shape you know, see why directions have to be scaled to the weights, and read the surfaces
# of trained networks, for all weights and for one modality's encoder.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb). **Takes** about a minute on two cores. **Regenerates**
# Figure 1 of the paper (the surface from two viewpoints, and turned with the mouse), here on `avmnist_mini`.

# %%
import os
from pathlib import Path

import numpy as np

import msam_lib as ml
from msam_lib.diagnostics import Landscape, Sampling, line, plane, random_direction
from msam_lib.experiments import suite
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.geometry import landscape_viewer
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import display_names, show, theme
from msam_lib.plots.landscape import lines, surfaces, surfaces_alt

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## 1 · A bowl that we know
#
# A network's loss is a function of thousands of weights. A picture shows a *slice* through it: choose a direction $d$, move from the
# trained weights $\theta$ along it, and draw $f(\theta + x\,d)$.
#
# To see what a slice can show, take a function of 1,000 variables that is completely known,
# $f(\theta) = \frac12 \sum_i h_i \theta_i^2$, whose minimum is at 0. The number $h_i$ is the *curvature* along axis $i$. Ten axes are
# sharp, 990 are nearly flat.

# %%
h = np.full(1000, 0.1)
h[:10] = 50.0
x = np.linspace(-1, 1, 41)


def slice_along(d):
    """f(x d) for a direction d of length 1, as a line that can be drawn."""
    d = d / np.linalg.norm(d)
    return Landscape(x, None, 0.5 * (h * d**2).sum() * x**2)


# %% [markdown]
# **Predict.** The sharpest axis has curvature 50.

# %%
predict(
    "05.1",
    "What curvature will a slice along a random direction show?",
    choices=["about 50", "about 25", "less than 1"],
)

# %%
rng = np.random.default_rng(0)
sharp = np.eye(1000)[0]
slices = {"sharpest axis": slice_along(sharp), "flat axis": slice_along(np.eye(1000)[-1])}
slices |= {f"random {k}": slice_along(rng.normal(size=1000)) for k in (1, 2, 3)}
show(
    lines(slices),
    alt="Parabolas: the slice along the sharpest axis is steep, all three random slices are almost flat.",
)

# %%
seen = [2 * slice_along(rng.normal(size=1000)).loss[-1] for _ in range(500)]
print(f"mean curvature of 500 random slices {np.mean(seen):.3f}; mean of all h {h.mean():.3f}")
assert abs(np.mean(seen) - h.mean()) < 0.05, "A random slice should show the mean curvature."
assert max(seen) < 5, "No random slice should come near the sharpest axis."
steep = "about 50" if np.mean(seen) > 37 else "about 25"
compare("05.1", "less than 1" if np.mean(seen) < 1 else steep)

# %% [markdown]
# **What it means.** A random slice shows the *average* curvature, the sum of all $h_i$ (the *trace*, notebook 06) divided by their number.
#
# **What it does not mean.** That nothing is sharp. The ten sharp axes are invisible in every random slice. A picture that looks flat
# is evidence about the trace, never about the worst direction.

# %% [markdown]
# ## 2 · Scale: the same network, another picture
#
# In a network with ReLU activations one can multiply the weights of a layer by 4 and divide those of the next one by 4: every output
# stays the same. The picture should stay the same as well.

# %%
import torch

data = ml.load_dataset("synthetic", snr=(2.0, 1.0), n_train=500, n_val=100, n_test=200)
ml.seed_everything(0)
net = ml.build_model(data, fusion="late", encoder="mlp", width=8)
optimizer = ml.build_optimizer(net.parameters(), lr=0.1)
_ = ml.Trainer(net, ml.build_method("joint"), data, optimizer=optimizer, progress=False).fit(5)

# %%
import copy


def rescaled(model, factor):
    """The same function: first layers times `factor`, second layers divided by it."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for m in model.modalities:
            first, second = [layer for layer in model.encoders[m].net if hasattr(layer, "weight")]
            first.weight *= factor
            first.bias *= factor
            second.weight /= factor
    return model


# %%
twin = rescaled(net, 4.0)
batch = data.test[:50]
with torch.no_grad():
    difference = (net(batch.inputs).logits - twin(batch.inputs).logits).abs().max()
print(f"largest difference of the outputs: {float(difference):.1e}")

# %% [markdown]
# A direction of plain random numbers moves small weights relatively more than large ones. *Filter normalisation* (Li et al., NeurIPS
# 2018, section 4) gives each filter (each row of a weight matrix) of the direction the length of the filter it moves.
#
# A curve also depends on the samples over which the loss is averaged. `Sampling` says which: here 300 training samples, the same for
# every curve.
#
# **Predict:**

# %%
predict(
    "05.2",
    "Along which directions do the network and its twin have the same curve?",
    choices=["plain ones only", "normalised ones only", "both", "neither"],
)

# %%
few = Sampling(samples=300)
curves = {}
for kind, normalise in (("plain", "none"), ("normalised", "filter")):
    for name, model in (("network", net), ("twin", twin)):
        along = random_direction(model, seed=0, normalise=normalise)
        size = 1.0 if kind == "normalised" else 0.1
        along = {k: size * v for k, v in along.items()}
        curves[f"{name}, {kind}"] = line(model, data.train, direction=along, steps=21, sampling=few)

show(
    lines(curves),
    alt="The two normalised curves coincide; the two plain ones do not.",
)

# %%
gap = {
    kind: np.abs(curves[f"network, {kind}"].loss - curves[f"twin, {kind}"].loss).max()
    for kind in ("plain", "normalised")
}
print({k: f"{v:.2g}" for k, v in gap.items()})
assert gap["normalised"] < 1e-3 < gap["plain"], "Only normalised directions should agree."
agree = [f"{kind} ones only" for kind, difference in gap.items() if difference < 1e-3]
compare("05.2", agree[0] if len(agree) == 1 else "both" if agree else "neither")

# %% [markdown]
# **What it means.** Pictures of different networks can be compared only along directions that are scaled to the weights. **What it does
# not mean:** that the picture is free of choices. Here biases and batch-norm parameters stay where they are, as in Li et al.

# %% [markdown]
# ## 3 · Trained networks, all weights
#
# The same data and the same initial weights, trained by joint training, by SAM and by two readings of M-SAM. Two random directions
# span a plane; all methods get *the same* random numbers (scaled to the weights of each), the same samples, and one scale of height and
# colour. The paper's Figure 1 shows such surfaces from two viewpoints.

# %%
wanted = {("joint", None), ("sam", None), ("msam", None), ("msam", "encoder")}
experiments = [
    e
    for e in suite.table_experiments("late", PRESET, (0,))
    if (e.method, e.method_options.get("reading")) in wanted and "ascent" not in e.method_options
]
names = display_names(e.label for e in experiments)
models = {names[e.label]: ml.trained_model(ml.run_experiment(e, STORE)) for e in experiments}
pairs = ml.load_dataset("avmnist_mini")
list(models)

# %%
steps, samples = (13, 300) if PRESET != "smoke" else (5, 60)
options = {"steps": steps, "sampling": Sampling(samples=samples), "progress": False}
planes = {name: plane(model, pairs.train, **options) for name, model in models.items()}
show(surfaces(planes, ceiling=4.0), alt=surfaces_alt(planes))

# %% [markdown]
# Read it in this order: the value in the centre (the training loss itself), how wide the valley is (contours below), and only then the
# shape of the walls. **Check** what every sharpness-aware method claims, a wider valley than that of joint training:

# %%
rise = {name: s.rise(0.5) for name, s in planes.items()}
print({name: f"{r:.2f} nats above the centre within half a step" for name, r in rise.items()})
if PRESET != "smoke":
    assert rise["SAM"] < 0.8 * rise["Joint training"], "SAM's valley should be the wider one."
    assert planes["SAM"].at_origin > planes["Joint training"].at_origin, "And the higher one."

# %% [markdown]
# SAM's valley is the wider one, and it lies higher: the training loss in its centre is larger. Wide is not the same as deep.

# %% [markdown]
# ## 4 · One modality at a time
#
# The claim of M-SAM is about *modalities*: the dominant one should end in a flat valley, the others should be free to explore. A plane
# can be confined to one encoder, or have its first direction in one encoder and its second in the other. That is cheap: what a
# direction leaves unchanged is computed once.

# %%
first, second = pairs.modalities
views = {
    "all weights": (),
    f"{first} x {second}": (first, second),
    f"{first} encoder": (first,),
    f"{second} encoder": (second,),
}
every = {
    (name, weights): plane(model, pairs.train, *blocks, **options) if blocks else planes[name]
    for weights, blocks in views.items()
    for name, model in models.items()
}

# %%
landscape_viewer(every, ceiling=4.0)

# %% [markdown]
# *Find* the encoder in which the methods differ most. The same without a kernel, every method over the plane that has one axis
# per encoder:

# %%
pair = {name: every[name, f"{first} x {second}"] for name in models}
show(surfaces(pair, ceiling=4.0, views=[(30, -60)]), alt=surfaces_alt(pair))

# %%
table = {
    weights: {name: round(every[name, weights].rise(), 2) for name in models} for weights in views
}
import pandas as pd

table = pd.DataFrame(table).rename_axis("mean rise of the loss (nats) over the plane of")
table

# %%
if PRESET != "smoke":
    audio, visual = (table[f"{m} encoder"] for m in (first, second))
    assert audio["M-SAM"] < 0.7 * audio["Joint training"], "The valley of the audio is widened."
    assert np.ptp(audio) > np.ptp(visual), "The methods should differ most in the audio encoder."
    assert visual.idxmin() == "M-SAM (encoder)", "This reading flattens the visual encoder most."

# %% [markdown]
# **What it means.** The methods differ most in the audio encoder, the *starved* one: SAM and M-SAM as printed widen its valley. Only the reading
# `encoder`, which perturbs the dominant encoder alone, widens the visual encoder's valley most and leaves the audio's nearly as it was.
#
# **What it does not mean.** That these differences are certain: there is one seed, and exercise 05.2 shows how much the choice of directions
# alone changes. Notebook 06 measures the same with three seeds.

# %% [markdown]
# ## 5 · The paper's Figure 1 at tuned values
#
# AGM, SAM and M-SAM, each with its tuned learning rate and main option, as frozen with this collection (51 steps per axis, first of five
# seeds). **Turn** the surfaces with the mouse or the arrow keys; no kernel is needed. *Compare* SAM and M-SAM from several sides: which
# valley would you call the wider one?

# %%
from msam_lib import results
from msam_lib.interactive.viewer import surface_viewer
from msam_lib.results.landscape import rises, surfaces_by_block

frozen = results.load("surfaces_late_avmnist_mini")
tuned = {name: blocks["all"] for name, blocks in surfaces_by_block(frozen).items()}
surface_viewer(tuned, start=["SAM", "M-SAM"], ceiling=4.0)

# %% [markdown]
# The same as the figures that answer to the paper's, with the spread over seeds; first all weights, then each encoder:

# %%
from msam_lib.figures.registry import ITEMS

for name in ("surfaces_late", "surfaces_encoders_late"):
    item = ITEMS[name]
    frames = {source: results.load(source) for source in item.sources}
    show(item.build(frames), alt=item.alt(frames), dpi=75)

# %%
by_seed = rises(frozen)["all"]
print(by_seed.round(2))
assert (by_seed["SAM"] < by_seed["AGM"]).all(), "SAM's valley is the wider one with every seed."
between = by_seed["M-SAM"] - by_seed["SAM"]
assert between.abs().max() < 0.1 < (by_seed["AGM"] - by_seed["SAM"]).mean(), "These two are alike."

# %% [markdown]
# How wide a valley looks depends on where you stand, its rise does not. SAM's and M-SAM's valleys are alike over all weights, and both are
# wider than AGM's on average.

# %% [markdown]
# ## 6 · Is the picture right?
#
# Check a tool against another one before you trust it. The package *loss-landscapes* also computes losses at given
# points. (The grid that it makes by itself is shifted from row to row, so it is given ours.)

# %%
from msam_lib.diagnostics.external import loss_landscapes_plane

model = models["Joint training"]
points, hundred = np.linspace(-1, 1, 5), Sampling(samples=100)
a, b = (random_direction(model, seed=s) for s in (1, 2))
theirs = loss_landscapes_plane(model, pairs.train, a, b, points, points, sampling=hundred)
same = {"directions": (a, b), "steps": 5, "sampling": hundred, "progress": False}
ours = plane(model, pairs.train, **same).loss
worst = np.abs(theirs / ours - 1).max()
print(f"largest relative difference over 25 points: {worst:.1e}")
assert worst < 1e-4, "Both tools should give the same losses."

# %% [markdown]
# ## Exercises
#
# **★ Exercise 05.1** For the bowl of section 1: by which number must one multiply the curvature that a random slice shows (in
# expectation) to get the trace $\sum_i h_i$?

# %% tags=["exercise"]
# Exercise 05.1: the factor, a number.
# solution
factor = len(h)


# %%
@exercise("05.1", factor)
def _():
    assert abs(factor * h.mean() - h.sum()) < 1e-6, "Mean times number is the sum."


# %% [markdown]
# **★★ Exercise 05.2** Random directions differ. Compute the `rise()` of five planes over all weights of joint training, whose directions
# have the seeds 1 to 5 (`plane(..., seed=s, **options)`), as a list. The samples stay the same.

# %% tags=["exercise"]
# Exercise 05.2: five numbers.
# solution
rises = [
    plane(models["Joint training"], pairs.train, seed=s, **options).rise() for s in range(1, 6)
]


# %%
@exercise("05.2", rises)
def _():
    assert len(rises) == 5 and min(rises) > 0, "Five planes with different seeds."
    print(
        f"{np.mean(rises):.2f} ± {np.std(rises, ddof=1):.2f}: the spread due to the directions alone"
    )


# %% [markdown]
# **★★★ Exercise 05.3** Move in a straight line from joint training's weights to SAM's (`interpolate(model, other, data)` from
# `msam_lib.diagnostics`; 0 is the first, 1 the second). How high is the barrier: the highest loss on the way minus the larger of the two
# ends?

# %% tags=["exercise"]
# Exercise 05.3: the barrier in nats.
# solution
from msam_lib.diagnostics import interpolate

ends = (models["Joint training"], models["SAM"])
way = interpolate(*ends, pairs.train, span=(0, 1), steps=21, sampling=Sampling(samples=300))
barrier = way.loss.max() - max(way.loss[0], way.loss[-1])


# %%
@exercise("05.3", barrier)
def _():
    assert barrier >= 0, "The highest loss is at least as high as both ends."
    print(f"barrier: {barrier:.2f} nats")


# %% [markdown]
# ## You have seen
#
# slices through a bowl whose shape you know; why directions are scaled filter by filter; the surfaces of trained networks over all
# weights and over one modality's encoder, and those of the tuned methods from every side; and a check of the tool against another one.
#
# **Questions.** 1. What does a random slice show, the mean or the largest curvature? 2. Why can a picture that looks flat hide a sharp
# direction? 3. What does filter normalisation make comparable? 4. Why must all methods share random numbers, samples and scale? 5. What
# is kept fixed in a plane confined to one encoder? 6. Which number of a surface would you put in a table?
#
# **Limits.** One small data set whose noise level was chosen, two directions out of thousands, one seed per method, batch normalisation in evaluation mode, losses cut off above 4 [nats](../book/glossary.md#nat) (the
# unit of a loss with natural logarithms).
#
# **Next:** [06 · Curvature per modality](06_curvature_per_modality.ipynb) measures what pictures suggest, with error bars; the course continues with
# [07 · Does flat mean general?](07_does_flat_mean_general.ipynb).
#
# **References.** Li et al., *Visualizing the Loss Landscape of Neural Nets*, NeurIPS 2018, sections 3 and 4. Dinh et al., *Sharp Minima Can
# Generalize for Deep Nets*, ICML 2017, section 3 (rescaling). Nowdeh et al., NeurIPS 2025,
# [arXiv 2510.24919](https://arxiv.org/abs/2510.24919), Figure 1.

# %%
solved("05.1", "05.2", "05.3")
