# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here
#
# **Does everything work, and what is there to see?**
#
# **You will** check the installation, look at the data and listen to them, draw a figure from results that come with the collection,
# and train a first network while you watch.
# **Needs** nothing. **Takes** less than a minute. **Regenerates** the figure *dominance over epochs*.
#
# Words that you may not know, such as [dominance](../book/glossary.md#dominance) and [epoch](../book/glossary.md#epoch), are explained where they are first needed, or lead to the
# [glossary](../book/glossary.md).

# %%
import os
from pathlib import Path

import msam_lib as ml
from msam_lib import results
from msam_lib.figures.registry import ITEMS
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import show, theme

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated

# %% [markdown]
# ## The data: `avmnist_mini`
#
# Real images of handwritten digits (MNIST), each paired with a real recording of a person who says the same digit (six speakers). Both are made
# harder on purpose, so that neither is enough alone: an image keeps a quarter of its energy (the first principal components), and a
# voice is drowned in real background noise. The networks learn from the second and the fourth row, never from the first and the third.

# %%
from msam_lib.data.avmnist_mini import original
from msam_lib.plots.samples import degraded_grid

data = ml.load_dataset("avmnist_mini")
chosen = [8, 15, 37, 7, 100, 11]  # of the test split
originals = [original(data, "test", index) for index in chosen]
figure = degraded_grid(originals, {m: x[chosen] for m, x in data.test.inputs.items()})
show(
    figure,
    alt="Six handwritten digits, 0 to 5, clear to read; below them the same images blurred, the waveforms of six voices, "
    "and the spectrograms of these voices in noise.",
)

# %% [markdown]
# A *spectrogram* shows which frequencies (vertical) are loud at which time (horizontal). Listen to the last of the six: the recording, ...

# %%
from IPython.display import Audio

voice = originals[-1]
print(f"{voice.speaker} says {data.classes[voice.digit]}")
Audio(voice.wave, rate=voice.rate)

# %% [markdown]
# ... and what the network gets. The noise has sixteen times the power of the voice (-12 dB). *Can you still hear the digit?*

# %%
Audio(voice.noisy, rate=voice.rate)

# %% [markdown]
# What is real, and what was done to it:

# %%
print(data.provenance)

# %% [markdown]
# ## The question of this collection
#
# A multimodal network reads several *modalities*, for example the picture of a digit and its spoken name, and
# is trained on one [loss](../book/glossary.md#loss). Often one modality is learnt quickly, brings the loss down, and leaves little for the
# other to learn from. The first one **dominates**. The network then does worse than its parts could.
#
# *How much* a modality contributes can be measured exactly (notebook 02 of the course shows how): its **contribution**
# is the average gain in accuracy when it joins the others. Divided by their
# sum, contributions are **shares**, which add up to 1.
#
# The figure below shows what was measured after every *epoch* of training (one pass through the training data), on the data above:
# with ordinary **joint training**, which puts one loss on the common prediction, and with other training rules, which
# later notebooks explain. Accuracy is measured on the *test split*, samples that no training sees; bands are 95 % [intervals](../book/glossary.md#interval) over three
# *seeds*, repetitions that differ in their random numbers only. (A third part of the data, the *validation split*, is used for choices.)
#
# **Predict** before you look. A guess costs nothing, and a result that surprises you is remembered better. Choose with the mouse or the arrow
# keys; the answer stays on this machine, in the memory of the running notebook.

# %%
predict(
    "00.1",
    "Under joint training, which modality will hold the larger share of the accuracy at the end?",
    choices=["the picture (visual)", "the voice (audio)", "neither: less than 10 points apart"],
)

# %%
frame = results.load()  # of the default data set
item = ITEMS["dominance_late"]
frames = {item.needs: frame}
show(item.build(frames), alt=item.alt(frames))

# %% [markdown]
# Each line is one modality's share of the accuracy. Where the lines are far apart, one modality dominates. What came out, and your guess:

# %%
joint = frame.query("fusion == 'late' and label == 'joint' and split == 'test'")
joint = joint[(joint.metric == "contribution") & (joint.epoch == joint.epoch.max())]
end = joint.groupby("modality")["value"].mean()
lead = end["visual"] - end["audio"]
larger = "the picture (visual)" if lead > 0 else "the voice (audio)"
compare("00.1", larger if abs(lead) >= 0.1 else "neither: less than 10 points apart")

# %% [markdown]
# The same, epoch by epoch: move the slider or press *play*, and choose a [method](../book/glossary.md#method). **Find** the epoch at which the picture
# (*visual*) has taken the lead.

# %%
from msam_lib.interactive.results import epoch_scrubber
from msam_lib.results.rows import fusion_rows

epoch_scrubber(fusion_rows("late")(frame))

# %% [markdown]
# *Without a running kernel the last epoch is shown; the figure above shows all of them.*
#
# The numbers were not typed in. They come from runs that are recorded with their seeds, device and commit:

# %%
facts = frame.attrs["provenance"]
{key: facts[key] for key in ("seeds", "device", "torch", "commit")}

# %% [markdown]
# ## What can be trained
#
# A *method* is a training rule. All methods run through the same training loop, with every *fusion* (the way in which
# a network combines its modalities) that they support. Choose one to see what it changes, what it costs, and how much better or worse than
# joint training it was on every data set, each modality alone and *fused* (the whole network).

# %%
from msam_lib.interactive.results import method_browser

every = results.load("methods")
method_browser(every)

# %% [markdown]
# Notebooks 08 (tables) and 10 (a gallery) show all of them at once. For now, a list:

# %%
for name, row in ml.catalogue.METHODS.items():
    reference = ml.METHODS[name].reference
    print(f"{name:18} {row.title:20} changes: {row.kind:10} {reference}")

# %% [markdown]
# ## Train, and watch
#
# Choose the data, the method and its *radius* (notebook 03 explains it), and press **Start**. The training runs in the background: *Pause*
# pauses it, *Stop* ends it, and *Start* resumes it where it stopped. The run is kept in a folder like every other run.

# %%
from msam_lib.interactive.live_panel import LivePanel

LivePanel(store=STORE)

# %% [markdown]
# The same without a panel; this is what the panel shows at the end:

# %%
from msam_lib.plots.live import live_alt, live_picture

experiment = ml.Experiment.preset(PRESET, method="joint", epochs=8)
measured = ml.run_experiment(experiment, STORE).metrics()
show(live_picture(measured), alt=live_alt(measured))

# %% [markdown]
# ## Check
#
# The shares of the modalities add up to 1, in every epoch and for every method.

# %%
shares = frame[(frame.metric == "contribution") & (frame.split == "test")]
total = shares.groupby(["fusion", "label", "seed", "epoch"])["value"].sum()
assert total.between(0.999, 1.001).all(), "The shares of the modalities must add up to 1."
print(f"{len(total)} measurements, every one adds up to 1.")

# %% [markdown]
# ## Try it
#
# Change `"dominance_late"` in the first figure to `"dominance_maxout"`, run the cell again, and compare: does the same
# modality dominate with [early fusion](../book/glossary.md#early-fusion) by [MaxOut](../book/glossary.md#maxout), which mixes the [features](../book/glossary.md#feature) of the modalities before it scores the classes? The cell below lists everything that can be drawn.

# %%
for name, item in ITEMS.items():
    print(f"{name:34} {item.title}")

# %% [markdown]
# ## You have seen
#
# that everything works; the data set as pictures and as sound; one modality taking the lead, epoch by epoch; and a network in training.
#
# **Questions.** 1. What is a modality? 2. What do the shares add up to? 3. What was done to the images and to the voices? 4. What does it mean
# that a modality dominates?
#
# **Limits.** `avmnist_mini` is small, 1,800 training images and six speakers, and how hard each modality is was *chosen*; what holds here need
# not hold elsewhere. `avmnist` is the same in large. `digits` is smaller still and trains fastest; it also has a third modality, text.
#
# **Next:** [01 · When one modality wins](01_when_one_modality_wins.ipynb).
#
# **References.** M-SAM: Nowdeh et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919). Contributions: Shapley,
# *A value for n-person games*, 1953. Images: LeCun, Cortes, Burges, MNIST. Voices: Jackson et al., Free Spoken Digit Dataset. Noise: Warden,
# Speech Commands, 2018.
