# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Write your own method
#
# **What does a new training rule need to stand beside the others?**
#
# **You will** write a balancing method in fifteen lines, run the tests that every method here passes, and compare it with joint
# training.
# **Needs** [04 · M-SAM, line by line](04_msam_line_by_line.ipynb). **Takes** under a minute on two cores. **Regenerates** nothing: this method is yours.

# %%
import os

import torch

import msam_lib as ml
from msam_lib.catalogue import MethodRow
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.methods import METHODS, Method, build_method
from msam_lib.plots import show, theme
from msam_lib.plots.curves import accuracy_curves, curves_alt

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper

# %% [markdown]
# ## 1 · What a method is
#
# A `Method` turns a batch into an update. It overrides as little as it needs: `loss` (another loss), `modulate` (edit gradients after the
# backward pass), or `step` (everything). The base class does the rest. This is all of joint training:

# %%
import inspect

print(inspect.getsource(METHODS["joint"]))

# %% [markdown]
# ## 2 · A new method
#
# **Idea:** scale each encoder's gradient to the length of the *shortest* one, so that no modality runs ahead.
#
# **Predict.** Will the fused accuracy go up, and the weaker modality's?


# %%
class EqualLengths(Method):
    """Shortens encoders' gradients to the shortest one. Changes: the gradient. Requires: encoders."""

    reference = "this notebook"
    requires = frozenset({"encoders"})
    neutral = {"strength": 0.0}

    def __init__(self, strength=1.0):
        super().__init__()
        self.strength = strength  # 0 changes nothing

    @torch.no_grad()
    def modulate(self, model, output, batch):
        grads = {m: [p.grad for p in model.parameters_of(m)] for m in model.modalities}
        size = {m: torch.stack(torch._foreach_norm(g)).norm() for m, g in grads.items()}
        least = min(size.values())
        for m, g in grads.items():
            torch._foreach_mul_(g, (least / size[m].clamp_min(1e-12)) ** self.strength)


# %% [markdown]
# ## 3 · Does it do what it says?
#
# The tests of this project ask the same questions of every method. Four of them:

# %%
data = ml.load_dataset("avmnist_mini")
batch = data.train[:64]


def fresh():
    ml.seed_everything(0)
    return ml.build_model(data, fusion="late", width=4)


def trained(method, steps=3, lr=0.1):
    model = fresh().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for k in range(steps):
        method.step(model, data.train[64 * k : 64 * (k + 1)], optimizer)
    return [p.detach() for p in model.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# %%
assert same(trained(EqualLengths(0.0)), trained(build_method("joint"))), (
    "Neutral is joint training."
)
assert same(trained(EqualLengths()), trained(EqualLengths())), (
    "The same seed gives the same weights."
)
assert not same(trained(EqualLengths()), trained(build_method("joint"))), "It changes something."
assert same(trained(EqualLengths(), lr=0.0), [p.detach() for p in fresh().parameters()]), (
    "With a learning rate of 0 every weight stays as it was."
)
print("neutral, deterministic, effective, and it leaves nothing behind")

# %% [markdown]
# And a test of its equation: after the step, all encoders' gradients have the same length.

# %%
model = fresh().train()
EqualLengths().step(model, batch, torch.optim.SGD(model.parameters(), lr=0.0))
lengths = {
    m: float(torch.stack([p.grad.norm() for p in model.parameters_of(m)]).norm())
    for m in model.modalities
}
print(lengths)
assert max(lengths.values()) - min(lengths.values()) < 1e-5, "All lengths should be equal."

# %% [markdown]
# ## 4 · Compare
#
# A row in the catalogue gives it a name, a title and a kind, as every method here has: `Experiment(method="equal_lengths")` and the figures
# then know it, and once the row is written in `msam_lib/catalogue`, so do the command line and the tables. Here both methods train with the
# same loop, data order and initial weights.

# %%
import pandas as pd

row = MethodRow("__main__:EqualLengths", title="Equal lengths", kind="gradient")
ml.catalogue.METHODS["equal_lengths"] = row
epochs = {"smoke": 2, "teach": 15, "paper": 40}[PRESET]
frames = []
for name in ("joint", "equal_lengths"):
    ml.seed_everything(0)
    net = ml.build_model(data, fusion="late", encoder="mlp", width=16)
    optimizer = ml.build_optimizer(net.parameters(), lr=0.005)
    trainer = ml.Trainer(net, build_method(name), data, optimizer=optimizer, progress=False)
    measured = trainer.fit(epochs).frame()
    same_run = {"dataset": "avmnist_mini", "fusion": "late", "preset": PRESET, "seed": 0}
    frames.append(measured.assign(run=name, method=name, label=name, **same_run))
frame = pd.concat(frames, ignore_index=True)
show(accuracy_curves(frame), alt=curves_alt(frame))

# %%
last = frame[(frame.epoch == epochs) & (frame.split == "test") & (frame.metric == "accuracy")]
table = last.pivot_table(index="modality", columns="label", values="value")
table.round(3)

# %%
gain = table["equal_lengths"] - table["joint"]
if PRESET == "teach":
    assert gain.abs().max() < 0.06, "Expected the rule to change little."
    print("points gained:", {m: f"{100 * g:+.1f}" for m, g in gain.items()})

# %% [markdown]
# **What it means.** A rule of fifteen lines runs in the same loop, with the same measurements, as every published method here. It trains, but it
# gains little or nothing: all accuracies end within 6 points of joint training's.
#
# **What it does not mean.** That one seed proves anything. Once its file and its row are in the library, `python -m msam_lib tune` and
# `comparison` give it what the others got: the same number of trials on the validation split, and several seeds.

# %% [markdown]
# ## 5 · In your own loop
#
# No `Trainer` is needed. `wrap` takes any module; a method is one call per batch.

# %%
net = torch.nn.Bilinear(3, 4, 2)
model = ml.wrap(net, ["a", "b"], call="args")
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
mine = ml.Batch({"a": torch.randn(16, 3), "b": torch.randn(16, 4)}, torch.randint(2, (16,)))
losses = [float(build_method("sam").step(model, mine, optimizer)["loss"]) for _ in range(20)]
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
assert losses[-1] < losses[0], "The loss should fall."

# %% [markdown]
# ## Exercises
#
# **★ Exercise 12.1** Which method of the base class must a rule override that only adds a term to the loss? Give its name.

# %% tags=["exercise"]
# Exercise 12.1: a string.
# solution
name = "loss"


# %%
@exercise("12.1", name)
def _():
    assert name in vars(Method) and name == "loss", "The least that is needed."


# %% [markdown]
# **★★ Exercise 12.2** Write a method `Smoothed` whose loss is cross-entropy with label smoothing 0.1
# (`torch.nn.functional.cross_entropy(..., label_smoothing=0.1)`).


# %% tags=["exercise"]
# Exercise 12.2: a class.
# solution
class Smoothed(Method):
    """Joint training with smoothed labels. Changes: the loss. Requires: nothing."""

    def loss(self, output, batch):
        return torch.nn.functional.cross_entropy(output.logits, batch.targets, label_smoothing=0.1)


# %%
@exercise("12.2", Smoothed)
def _():
    with torch.no_grad():
        out = fresh()(batch.inputs)
    expected = torch.nn.functional.cross_entropy(out.logits, batch.targets, label_smoothing=0.1)
    assert abs(float(Smoothed().loss(out, batch)) - float(expected)) < 1e-5, (
        "Label smoothing of 0.1."
    )


# %% [markdown]
# **★★★ Exercise 12.3** `EqualLengths` needs encoders. On a plain wrapped module without named encoders `setup` should refuse with advice. Catch the
# error and give its text.

# %% tags=["exercise"]
# Exercise 12.3: the text of the error.
# solution
try:
    EqualLengths().setup(ml.wrap(torch.nn.Bilinear(3, 4, 2), ["a", "b"], call="args"))
    text = ""
except ml.MsamError as error:
    text = str(error)


# %%
@exercise("12.3", text)
def _():
    assert "encoders=" in text, "The error says how to name the encoders."


# %% [markdown]
# ## You have seen
#
# what a method overrides; the questions that every method must answer; and how to compare one fairly.
#
# **Questions.** 1. When do you override `loss`, `modulate`, `step`? 2. What are neutral options for? 3. Why may a method not keep a reference to the
# model? 4. Where must a method keep its state, so that a killed run resumes exactly? 5. Which test shows that the statistics of batch
# normalisation are not updated twice? 6. What does a fair comparison give every method?
#
# **Limits.** One seed.
#
# **Next:** back to [00 · Start here](00_start_here.ipynb) for a list of all figures.
#
# **References.** `CONTRIBUTING.md` in this repository; the docstring of `msam_lib.methods.Method`.

# %%
solved("12.1", "12.2", "12.3")
