# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Sharpness and SAM
#
# **Why climb first when you want to go down?**
#
# **You will** see what [sharpness](../book/glossary.md#sharpness)-aware minimisation ([SAM](../book/glossary.md#sam)) minimises, take its two steps by hand, and learn what its second pass costs and
# where it can go wrong.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb). **Takes** under a minute on two cores. **Regenerates** the idea behind
# the method figure of the paper.

# %%
import os

import numpy as np
import torch

import msam_lib as ml
from msam_lib.interactive.course import EXTENT, climbed, descend, sam_playground, two_valleys
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import show, theme
from msam_lib.plots.descent import descent
from msam_lib.plots.teaching import envelope, worst_case

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper

# %% [markdown]
# ## 1 · A narrow valley and a wide one
#
# A loss of one weight with two [valleys](../book/glossary.md#valley). The narrow one at 0 is slightly deeper than the wide one at 2. On *test* data the whole curve
# is slightly shifted, because the data are different. In a narrow valley a small shift costs much, in a wide one little. So we
# would like to end in the wide one. But gradient descent only uses the slope at the current weight.
#
# **SAM** (Foret et al., ICLR 2021) minimises, instead of the loss $L(\theta)$, the highest loss within a radius $\rho$:
# $\max_{\|\varepsilon\| \le \rho} L(\theta + \varepsilon)$.
#
# **Predict.** The two valleys are 2 apart.

# %%
rhos = (0.0, 0.03, 0.06, 0.1, 0.2, 0.3)
predict(
    "03.1",
    "From which radius on is the minimum of the worst-case curve in the wide valley?",
    choices=rhos,
)

# %%
x = np.linspace(*EXTENT, 2001)
lowest = {rho: float(x[envelope(two_valleys, x, rho).argmin()]) for rho in rhos}
lowest

# %%
show(
    worst_case(two_valleys, 0.2, extent=EXTENT),
    alt="The loss is lowest at 0, the highest loss within 0.2 is lowest near 2.",
)
assert abs(lowest[0.0]) < 0.1 < 1.5 < lowest[0.3], "The wide valley should win for a large radius."
compare("03.1", min(rho for rho in rhos if lowest[rho] > 1))

# %% [markdown]
# ## 2 · Two steps
#
# The maximum inside the ball is not computed. To first order it lies in the direction of the gradient, at
# $\varepsilon = \rho\, g / \|g\|$ with $g = \nabla L(\theta)$: **climb**. The gradient there, $\nabla L(\theta + \varepsilon)$, is the direction of the step: **descend**,
# from the original point. By hand, on the bowl $L = \frac12(w_1^2 + 4 w_2^2)$ from $w = (1, 1)$:

# %%
h, w, rho, lr = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]), 0.5, 0.1
g = h * w  # the gradient here
eps = rho * g / g.norm()  # climb
there = h * (w + eps)  # the gradient there
by_hand = w - lr * there  # descend, from w
print("climb", eps.tolist(), "gradient there", there.tolist(), "new weights", by_hand.tolist())

# %% [markdown]
# The library's SAM on the same bowl should arrive at the same point.


# %%
class Bowl(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        return 0.5 * (h * self.w**2).sum().view(1, 1)  # one sample, one output


bowl, sam = Bowl(), ml.build_method("sam", rho=rho)
sam.loss = lambda output, batch: output.logits.sum()  # the output is the loss itself
batch = ml.Batch({"x": torch.zeros(1, 1)}, torch.zeros(1, dtype=torch.long))
sam.step(ml.wrap(bowl, ["x"], call="args"), batch, torch.optim.SGD(bowl.parameters(), lr=lr))
print(bowl.w.tolist())
assert torch.allclose(bowl.w.detach(), by_hand, atol=1e-6), "Both should take the same step."

# %% [markdown]
# **Check** what the climb does to the step on a bowl: $\nabla L(\theta + \varepsilon) = H\theta + \rho H g/\|g\|$, where $H$ is the *Hessian*, the
# matrix of second derivatives (here 1 and 4 on its diagonal: the *curvatures* along the two axes). Along a direction with large curvature the step grows
# more than along a flat one: SAM moves away from sharp regions.

# %%
growth = there / g
print("growth of the step:", growth.tolist())
assert growth[1] > growth[0], "The sharper direction should grow more."

# %% [markdown]
# ## 3 · A playground
#
# Choose the radius and the starting point. Dots are SAM's steps, the dashed line is what it minimises.

# %%
sam_playground()

# %% [markdown]
# *Find* a radius for which the steps stay out of the narrow valley although they start above it. The same without a kernel:

# %%
for rho_ in (0.0, 0.3, 0.8):
    way = descend(-0.5, 0.02, rho_)
    show(
        worst_case(two_valleys, rho_, extent=EXTENT, way=way),
        alt=f"Radius {rho_}: from -0.5 the steps end at {way[-1]:.2f}.",
    )

# %% [markdown]
# Step by step: the ring is where SAM, having climbed, takes its gradient. Watch which way the ring points when the ball is at the bottom
# of the narrow valley, and where the ball stays in the end.

# %%
ways = {"Gradient descent": descend(-0.5, 0.02, 0.0, 250), "SAM": descend(-0.5, 0.02, 0.8, 250)}
plain, sharp = (way[-1] for way in ways.values())
assert abs(plain) < 0.1 < 0.5 < sharp < 1, "Only SAM should leave, and stop at the rim."
descent(
    two_valleys,
    ways,
    probes={"SAM": climbed(ways["SAM"], 0.8)},
    extent=(-1.5, 3.5),
    title="Both enter the narrow valley; SAM with radius 0.8 leaves it again",
    alt=f"A ball walks down from -0.5: gradient descent ends at {plain:.2f} in the narrow valley, SAM at {sharp:.2f} on its rim.",
)

# %% [markdown]
# **What it means.** SAM's *objective* prefers wide valleys, and with a large radius its steps do not settle in the narrow one.
#
# **What it does not mean.** That it always finds the wide valley. Its one-step climb can point the wrong way near a narrow valley, and
# the steps then oscillate at its rim. In real training the noise of the batches can move them out of it.

# %% [markdown]
# ## 4 · Two traps
#
# **The second pass costs.** A step of SAM takes two forward and two backward passes.

# %%
calls = {"forward": 0}
data = ml.load_dataset("avmnist_mini")
ml.seed_everything(0)
model = ml.build_model(data, fusion="late", width=4)
encoder = model.encoders[data.train.modalities[0]]
encoder.register_forward_hook(lambda *a: calls.update(forward=calls["forward"] + 1))
first = data.train[:64]
for name in ("joint", "sam"):
    calls["forward"] = 0
    ml.build_method(name).step(model, first, torch.optim.SGD(model.parameters(), lr=0.0))
    print(f"{name}: {calls['forward']} forward passes through this encoder")
assert calls["forward"] == 2, "SAM passes twice."

# %% [markdown]
# **Batch normalisation keeps statistics.** Such a layer scales its input by mean and variance of the batch, and keeps a running mean of both
# for evaluation. These running statistics are updated in every training pass. In the second pass they would be updated at weights
# that the network never has. The library freezes them there: they are updated once per step.

# %%
norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
before = int(norm.num_batches_tracked)
ml.build_method("sam", rho=5.0).step(model, first, torch.optim.SGD(model.parameters(), lr=0.0))
print(
    "updates of the running statistics in one step of SAM:", int(norm.num_batches_tracked) - before
)
assert int(norm.num_batches_tracked) - before == 1, "Once per step."

# %% [markdown]
# ## Exercises
#
# **★ Exercise 03.1** What is the length of $\varepsilon$ in section 2, whatever the gradient is?

# %% tags=["exercise"]
# Exercise 03.1: a number.
# solution
length = rho


# %%
@exercise("03.1", length)
def _():
    assert abs(length - float(eps.norm())) < 1e-6, "The gradient is divided by its own length."


# %% [markdown]
# **★★ Exercise 03.2** Take one step of SAM by hand on the same bowl from $w = (2, 0)$ with radius 0.5 and learning rate 0.1. Give the new
# first weight.

# %% tags=["exercise"]
# Exercise 03.2: a number.
# solution
new = 2 - 0.1 * 1.0 * (2 + 0.5)


# %%
@exercise("03.2", new)
def _():
    assert abs(new - 1.75) < 1e-6, (
        "There is no slope in the second direction, so the climb is along the first."
    )


# %% [markdown]
# **★★★ Exercise 03.3** `ml.build_method("asam")` measures the radius relative to each weight. Multiply both weights of a bowl by 10 and its
# curvatures by 1/100 (the same function, parametrised differently). For which of the two, SAM or ASAM (with `eta=0`), is the new weight also 10 times the
# old new weight, when the learning rate is multiplied by 100? Answer with the name.

# %% tags=["exercise"]
# Exercise 03.3: "sam" or "asam".
# solution
answer = "asam"


# %%
def one(name, scale, **options):
    net, rule = Bowl(), ml.build_method(name, **options)
    with torch.no_grad():
        net.w.mul_(scale)
    rule.loss = lambda output, batch: output.logits / scale**2
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1 * scale**2)
    rule.step(ml.wrap(net, ["x"], call="args"), batch, optimizer)
    return net.w.detach()


# %%
@exercise("03.3", answer)
def _():
    same = {
        "sam": torch.allclose(one("sam", 10.0, rho=0.5), 10 * one("sam", 1.0, rho=0.5), atol=1e-4),
        "asam": torch.allclose(
            one("asam", 10.0, rho=0.5, eta=0.0), 10 * one("asam", 1.0, rho=0.5, eta=0.0), atol=1e-4
        ),
    }
    assert [k for k, v in same.items() if v] == [answer], f"Found {same}."


# %% [markdown]
# ## You have seen
#
# that SAM minimises a worst case; its climb and its descent by hand; and what its second pass costs and what it can disturb.
#
# **Questions.** 1. What does SAM minimise, and what does it compute instead of the maximum? 2. From which point does it descend? 3. Why does
# the step grow along sharp directions? 4. What does a step cost? 5. Why must batch-norm statistics be frozen in the second pass? 6. Does SAM
# always end in the wide valley?
#
# **Limits.** One weight, two weights, no noise: real training has thousands of weights and noisy gradients.
#
# **Next:** [04 · M-SAM, line by line](04_msam_line_by_line.ipynb)
#
# **References.** Foret et al., *Sharpness-Aware Minimization for Efficiently Improving Generalization*, ICLR 2021, Algorithm 1. Kwon et al.,
# *ASAM*, ICML 2021.

# %%
solved("03.1", "03.2", "03.3")
