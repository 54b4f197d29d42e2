# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Curvature per modality
#
# **How sharp is the valley in which each modality's encoder ends up, and how well do we know it?**
#
# **You will** estimate the trace of a Hessian with an error bar and check it against the exact number, follow the curvature of each
# encoder during training, and look at the whole [spectrum](../book/glossary.md#spectrum).
# **Needs** [05 · Reading loss landscapes](05_reading_loss_landscapes.ipynb). **Takes** under a minute on two cores. **Regenerates** the
# Hessian traces per modality over epochs (the observation of the [MASAM](../book/glossary.md#masam) paper), here on `avmnist_mini`.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import msam_lib as ml
from msam_lib import results
from msam_lib.diagnostics import HessianOperator, Sampling, block_traces, hessian_trace
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.plots import display_names, show, theme

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## 1 · An exact answer first
#
# The *Hessian* $H$ of a loss holds the second derivatives with respect to every pair of weights. Its *trace*, the sum of the diagonal, is the
# number of weights times the mean curvature (notebook 05). For a network with a few hundred weights one can write $H$ down.

# %%
data = ml.load_dataset("synthetic", snr=(2.0, 1.0), n_train=300, n_val=60, n_test=60)
ml.seed_everything(0)
tiny = ml.build_model(data, fusion="late", encoder="mlp", width=2)
optimizer = ml.build_optimizer(tiny.parameters(), lr=0.1)
ml.Trainer(tiny, ml.build_method("joint"), data, optimizer=optimizer, progress=False).fit(3)

block = tiny.modalities[0]
H = HessianOperator(tiny, data.train, block).dense()  # (P, P), one column per weight
exact = float(H.trace())
print(f"{len(H)} weights in the encoder of {block}, trace {exact:.3f}")

# %% [markdown]
# For a real network $H$ has billions of entries, but its product with a vector, $Hz$, costs about two gradients. **Hutchinson's
# estimator**: draw $z$ with entries $\pm 1$ at random. Then $z^\top H z$ is the trace plus terms $z_i z_j H_{ij}$, $i \ne j$, that cancel on average.
#
# **Predict.** One probe $z$: how far off will it typically be: 1 %, 10 % or 50 %?

# %%
trace = hessian_trace(tiny, data.train, block, probes=200, seed=0, progress=False)
spread = trace.samples.std(ddof=1) / exact
print(f"200 probes: {trace.value:.3f} ± {trace.std_error:.3f}; exact {exact:.3f}")
print(f"a single probe is typically {100 * spread:.0f} % off")
assert abs(trace.value - exact) < 4 * trace.std_error, "The estimate should lie within its error."

# %%
from msam_lib.plots.curvature import estimates

counts = [5, 10, 20, 50, 100, 200]
means = [trace.samples[:n].mean() for n in counts]
errors = [trace.samples[:n].std(ddof=1) / np.sqrt(n) for n in counts]
show(
    estimates(counts, means, errors, exact=exact),
    alt=f"Estimates with error bars that shrink from {errors[0]:.2f} to {errors[-1]:.2f} around {exact:.2f}.",
)

# %% [markdown]
# **What it means.** A trace without its standard error is not a result. Four times the probes halve the error.

# %% [markdown]
# ## 2 · All blocks from the same probes
#
# Split each probe by modality: $z_m^\top (Hz)_m$ estimates the trace of modality $m$'s block, and one product serves them all.
# Here for joint training on `avmnist_mini`. The loss is averaged over a fixed part of the training samples, which `Sampling` draws.

# %%
from msam_lib.experiments import suite

joint = suite.table_experiments("late", PRESET, seeds=(0,))[0]
model = ml.trained_model(ml.run_experiment(joint, STORE))
pairs = ml.load_dataset("avmnist_mini")
first, second = pairs.modalities

samples, probes = (300, 30) if PRESET != "smoke" else (60, 5)
sampling = Sampling(samples=samples)
traces = block_traces(model, pairs.train, sampling=sampling, probes=probes, progress=False)
rows = {b: (t.value, t.std_error, t.parameters) for b, t in traces.items()}
pd.DataFrame(rows, index=["trace", "standard error", "weights"]).T.round(2)

# %% [markdown]
# **Check it with another tool.** *PyHessian* also computes $z^\top H z$; with the same vectors it should return the same numbers.

# %%
from msam_lib.diagnostics.external import PyHessian

part = pairs.train.subset(range(100))
ours = hessian_trace(model, part, first, probes=3, seed=1, progress=False)
theirs = PyHessian(model, part, first).trace(probes=3, seed=1)
difference = abs(theirs.mean() / ours.value - 1)
print(f"ours {ours.value:.4f}, PyHessian {theirs.mean():.4f}, relative difference {difference:.0e}")
assert difference < 1e-3, "Both should compute the same quadratic forms."

# %% [markdown]
# ## 3 · During training
#
# In the runs behind `make figures`, a probe measured the traces every seven epochs; the measurements of three seeds are stored. **Predict:** under joint
# training, which encoder is in the sharper valley: the dominant one (visual) or the weaker one (audio)? And what will M-SAM change?

# %%
from msam_lib.plots.curvature import trace_alt, trace_curves
from msam_lib.results.rows import traced_rows

frame = traced_rows(results.load("avmnist_mini"))
show(trace_curves(frame), alt=trace_alt(frame))

# %%
from msam_lib.interactive.geometry import curvature_scrubber

curvature_scrubber(frame)

# %% [markdown]
# *Find* the epoch at which SAM's visual encoder is the sharper one. The table shows the last epoch measured:

# %%
last = frame[(frame["epoch"] == frame["epoch"].max()) & (frame["metric"] == "hessian_trace")]
table = last.pivot_table(index="label", columns="modality", values="value", aggfunc="mean")
names = display_names(table.index)
table.rename(names).round(1)

# %%
flatter = (1 - table.div(table.loc["joint"])).mul(100)
for label, row in flatter.drop("joint").iterrows():
    print(f"{names[label]}: {row['audio']:.0f} % flatter in audio, {row['visual']:.0f} % in visual")
assert table.loc["joint", "audio"] > 5 * table.loc["joint", "visual"], "The weak one is sharp."
everywhere = [k for k in table.index if k.startswith(("sam", "msam:rho"))]
assert flatter.loc[everywhere, "audio"].min() > 50, "SAM and M-SAM flatten the weak encoder."
encoder = flatter.loc["msam:reading=encoder"]
assert abs(encoder["audio"]) < 10 < encoder["visual"], "It flattens the dominant one only."

# %% [markdown]
# **What it means.** The valley of the *starved* encoder is the sharp one, and that is the one which SAM and M-SAM as printed flatten most: its trace falls to
# about a third. The dominant encoder was flat already and changes little. Only the reading `encoder`, which perturbs nothing but the dominant encoder, flattens that one
# (by a fifth) and leaves the weak one as sharp as it was. So the geometric half of M-SAM's claim, that the dominant modality ends in a flat valley,
# holds here for that reading.
#
# **What it does not mean.** That a flatter weak encoder is a better one: under SAM and M-SAM the audio alone is not more accurate than under joint
# training, but rather less (23 against 27 %, `figures/table_late.md`). Whether flatness goes with generalisation is the question of notebook 07.

# %% [markdown]
# **The same once each method is tuned.** The runs above share the preset's learning rate and radius. Here each method has what its own search chose (for SAM
# and M-SAM a radius near 0), with ten seeds:

# %%
from msam_lib.figures.registry import ITEMS

item, tuned = ITEMS["encoder_traces_late"], results.load("encoders_avmnist_mini")
show(item.build({item.needs: tuned}), alt=item.alt({item.needs: tuned}))

# %%
rows = tuned[tuned["metric"] == "hessian_trace"]
rows = rows[rows["epoch"] == rows["epoch"].max()]
ends = rows.pivot_table(index="label", columns="modality", values="value", aggfunc="mean")
print(ends.rename(display_names(ends.index)).round(0).to_string())
assert (ends["audio"] > 5 * ends["visual"]).all(), "The weak encoder is the sharp one, always."
assert ends.loc[["sam", "msam"], "audio"].min() > ends.loc["joint", "audio"], "Not flatter now."

# %% [markdown]
# **What it means.** That the starved encoder is the sharp one holds either way. That SAM and M-SAM flatten it does not: it was the radius and the common learning
# rate, not the method as it is used best.

# %% [markdown]
# ## 4 · More than one number: the spectrum
#
# Two Hessians with equal traces can differ: a few sharp directions or many gentle ones. *Stochastic Lanczos quadrature* estimates the
# density of all [eigenvalues](../book/glossary.md#eigenvalue) from a few products $Hz$.

# %%
from msam_lib.diagnostics import spectral_density, top_eigenvalues
from msam_lib.plots.curvature import spectral_density_plot

steps = 40 if PRESET != "smoke" else 10
same = {"sampling": sampling, "progress": False}
densities, tops = {}, {}
for m in pairs.modalities:
    densities[m] = spectral_density(model, pairs.train, m, probes=2, steps=steps, **same)
    tops[m] = float(top_eigenvalues(model, pairs.train, m, k=1, **same).values[0])
words = ", ".join(f"{m} up to {v:.1f}" for m, v in tops.items())
show(
    spectral_density_plot(densities),
    alt=f"Most eigenvalues lie at zero; a few are large: {words}.",
)

# %%
for m, d in densities.items():
    share = tops[m] / (d.moment(1) * d.parameters)
    print(f"{m}: one of {d.parameters} directions carries {100 * share:.0f} % of the trace")

# %% [markdown]
# ## 5 · Do the modalities interfere?
#
# The block of $H$ between two encoders says how a step in one changes the gradient of the other. If it were zero, each encoder would
# learn as if it were alone. The table shows its size (Frobenius norm) and, on the diagonal, the size of each encoder's block:

# %%
from msam_lib.diagnostics import block_norms

norms = block_norms(model, pairs.train, probes=max(4, probes // 3), **same)
pd.DataFrame(norms.norms, norms.blocks, norms.blocks).round(2)

# %% [markdown]
# ## Exercises
#
# **★ Exercise 06.1** By how much does the standard error fall when one takes 16 times as many probes? Give the factor as a number
# smaller than 1.

# %% tags=["exercise"]
# Exercise 06.1: the factor.
# solution
factor = 1 / np.sqrt(16)


# %%
@exercise("06.1", factor)
def _():
    assert abs(factor - 0.25) < 1e-9, (
        "The error falls with the square root of the number of probes."
    )


# %% [markdown]
# **★★ Exercise 06.2** A trace belongs to one loss. Compute the total trace of `model` for the loss on the *test* split (use
# `block_traces(...)["total"]` with the sampling and as many probes as in section 2). Is the valley as sharp there?

# %% tags=["exercise"]
# Exercise 06.2: the total trace of the test loss.
# solution
options = {"sampling": sampling, "probes": probes, "progress": False}
on_test = block_traces(model, pairs.test, **options)["total"].value


# %%
@exercise("06.2", on_test)
def _():
    again = block_traces(model, pairs.test, sampling=sampling, probes=probes, progress=False)
    assert abs(on_test - again["total"].value) < 1e-3 * abs(on_test), "Same samples, same probes."
    print(f"training loss {traces['total'].value:.0f}, test loss {on_test:.0f}")


# %% [markdown]
# **★★★ Exercise 06.3** A probe is one vector of signs. Compute $z^\top H z$ for the first encoder of `tiny` and `z = torch.ones(P)` from the
# matrix `H` of section 1, without any estimator.

# %% tags=["exercise"]
# Exercise 06.3: a number.
# solution
form = float(torch.ones(len(H)).to(H) @ H @ torch.ones(len(H)).to(H))


# %%
@exercise("06.3", form)
def _():
    assert abs(form - float(H.sum())) < 1e-3 * max(1.0, abs(float(H.sum()))), (
        "All entries of H, summed."
    )


# %% [markdown]
# ## You have seen
#
# a trace estimated with an error bar and checked against the exact one; the curvature of each encoder during training; the density of
# all eigenvalues; and the block between two modalities.
#
# **Questions.** 1. Why is $z^\top H z$ right on average? 2. What does it cost, in gradients? 3. Why does every number here carry a
# standard error? 4. In what can two Hessians with equal traces differ? 5. What does the block between two encoders say? 6. Over which
# samples was the loss averaged, and does it matter? 7. Which half of M-SAM's claim does section 3 test, and which not?
#
# **Limits.** One small data set whose noise level was chosen, small networks without batch normalisation (with it, a trace also depends on whose
# statistics are used), 300 samples, three seeds: the intervals of section 3 are those of three runs.
#
# **Next:** [07 · Does flat mean general?](07_does_flat_mean_general.ipynb)
#
# **References.** Hutchinson, *A stochastic estimator of the trace of the influence matrix*, 1990. Yao et al., *PyHessian*, 2020, section
# 3. Ghorbani, Krishnan, Xiao, *An Investigation into Neural Net Optimization via Hessian Eigenvalue Density*, ICML 2019, Algorithm 1. Nowdeh
# et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919).

# %%
solved("06.1", "06.2", "06.3")
