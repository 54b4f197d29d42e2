# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 14 · Your own data in twenty lines
#
# **Which of your own modalities does a network neglect?**
#
# **You will** write a table of pictures, recordings and words, train on it in twenty lines, put in an encoder and then a whole network of your own,
# and measure who contributes, and whose weights lie in the sharper valley.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb); sections 5 to 7 build on [02](02_who_contributed.ipynb) to
# [06](06_curvature_per_modality.ipynb). **Takes** under a minute on two cores. **Regenerates** nothing: the data are yours.
#
# Pictures are read by *Pillow* and sounds by *soundfile*. `make` has installed both; elsewhere they come with `pip install -e ".[media]"`.

# %%
import copy
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import msam_lib as ml
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.plots import show, theme

# %%
theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
EPOCHS = {"smoke": 2, "teach": 12, "paper": 40}[PRESET]  # passes through the training part

# %% [markdown]
# ## 1 · A table
#
# Your data are probably files in a folder. What is missing is a table that says which of them belong together: a row per *sample*, a column per
# *modality* (kind of input), and a column with the answer. As an example we write such a folder, into a temporary place: handwritten digits as PNG
# files and recordings of the same digits as WAV files. All are real, those behind `avmnist_mini` (notebook 00) without blur and noise.
#
# A third modality is the digit's name, typed. In about half of the rows one letter is replaced at random, so that a mistyped word is hardly ever
# the same twice.

# %%
keep = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # deleted when the notebook ends
HERE = Path(keep.name)
os.environ["MSAM_CACHE"] = str(HERE / "cache")  # decoded files; leave it out to keep them
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
rng = np.random.default_rng(0)


def mistyped(word):
    """The word, in half of the cases with one letter replaced."""
    k, letter = rng.integers(len(word)), "abcdefghijklmnopqrstuvwxyz"[rng.integers(26)]
    return word[:k] + letter + word[k + 1 :] if rng.random() < 0.5 else word


# %%
import soundfile
from PIL import Image

from msam_lib.data.avmnist_mini import original

source, rows = ml.load_dataset("avmnist_mini", n_train=180, n_val=40, n_test=120), []
for part in ("train", "val", "test"):
    for k in range(len(getattr(source, part))):
        found, name = original(source, part, k), f"{part}{k}"
        Image.fromarray(np.uint8(255 * found.image)).save(HERE / f"{name}.png")
        soundfile.write(HERE / f"{name}.wav", found.wave, found.rate)
        answer = NAMES[found.digit]
        files = [f"{name}.png", f"{name}.wav"]
        rows.append([*files, mistyped(answer), found.speaker, answer, part])

# %% [markdown]
# Now the table. `label` is what the network should answer. `split` says which part a row belongs to: the network learns from `train`, choices are
# made on `val`, results are measured on `test`. No picture and no recording is in two parts. (A table without that column is divided at random.)
# Files are named as seen from the table's folder.

# %%
table = pd.DataFrame(rows, columns=["image", "voice", "word", "speaker", "label", "split"])
table.to_csv(HERE / "data.csv", index=False)
table.groupby("split", sort=False).head(2)

# %%
from IPython.display import Audio

print(f"{table.speaker[0]} says {table.label[0]}")
Audio(filename=HERE / table.voice[0])

# %% [markdown]
# ## 2 · Load it
#
# The data set `folder` reads any such table, csv or jsonl, and sees from the first row what a column holds: names of pictures, sounds, videos or
# `.npy` arrays, or numbers. Two things it cannot see: which columns hold *texts* (`text`), and which one is no modality but says what belongs
# together, here the speaker (`group`; exercise 14.2 uses it). Further options say what becomes of the files:
#
# * Pictures get `size` pixels a side; they are kept at `side` pixels. In training they are usually cut and mirrored at random, so that no picture
#   is the same twice. But a mirrored 2 is not a 2: `augment=False`.
# * Sounds become *spectrograms*, pictures of which frequencies are loud at which time, of 0.6 `seconds`.
# * A text becomes a vector of 512 numbers that counts its `words`, each at a place computed from its letters (*hashing*). That needs no vocabulary,
#   and a mistyped word lands at another place.

# %%
columns = {"source": str(HERE / "data.csv"), "text": "word", "group": "speaker"}
shapes = {"size": 28, "side": 28, "augment": False, "seconds": 0.6, "words": 512}
data = ml.load_dataset("folder", **columns, **shapes)

# %%
print(data.provenance)
print({m: (about.kind, about.shape) for m, about in data.modalities.items()})

# %%
from matplotlib.figure import Figure

from msam_lib.plots.samples import draw_sample

five = data.train[:5]  # the first five rows
figure = Figure(figsize=(6, 2.4), layout="constrained")
for k, axes in enumerate(figure.subplots(2, 5).T):
    for ax, m in zip(axes, ("image", "voice"), strict=True):
        draw_sample(ax, five.inputs[m][k].numpy(), data.modalities[m])
    axes[0].set_title(f"“{table.word[k]}”")
words = ", ".join(table.word[:5])
show(
    figure, alt=f"Five digits, and below them the spectrograms of their names. The words: {words}."
)

# %% [markdown]
# Each column is a sample: a picture, a voice, and above them the word.
#
# ## 3 · Train
#
# `build_model` gives every modality an *encoder*, a network that turns a sample into a vector of *features*, and joins them in a *fusion*. In late
# fusion (`"late"`) each modality's features give a score (*logit*) per class, and the scores are added. Features are made here by multilayer
# perceptrons (`"mlp"`), the simplest encoders there are.
#
# A training is this step, over and over: the loss of a *batch* (a few samples), its gradient, an update of the weights by the *optimizer*.

# %%
ml.seed_everything(0)  # the same random numbers in every run
model = ml.build_model(data, fusion="late", encoder="mlp", width=16)
optimizer = ml.build_optimizer(model.parameters(), "adamw", lr=0.003)
before = copy.deepcopy(model)  # for the check below

# %%
batch = data.train[:20]
loss = F.cross_entropy(model(batch.inputs).logits, batch.targets)
optimizer.zero_grad()
loss.backward()
optimizer.step()
print(f"loss {loss.item():.2f}; equal chances for ten digits would give {np.log(10):.2f}")

# %% [markdown]
# A *method* of this library is a rule for that step. `"joint"` is the ordinary one, so it must do the same:

# %%
second = ml.build_optimizer(before.parameters(), "adamw", lr=0.003)
ml.build_method("joint").step(before, batch, second)
pairs = zip(model.parameters(), before.parameters(), strict=True)
assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs), "Joint training is the plain step."

# %% [markdown]
# A `Trainer` repeats the step for all batches, again and again (an *epoch* is one pass through the training part), and measures after every epoch:
# the accuracy of the whole network, and of each modality while the others are *absent*. What the network gets in place of an absent modality is
# your choice. Here it is the average training sample, since zeros could be unlike anything it has ever seen: spectrograms hold logarithms, and 0
# everywhere is a noise, not silence.
#
# **Predict.** The pictures are clear. The voices are those of six people. About half of the words are mistyped. Which modality will the network
# rely on most, and which will it neglect?

# %%
averages = {m: x.mean(0) for m, x in data.train[:].inputs.items()}


def train(model, name="joint"):
    model.set_baseline(averages)  # stands in for an absent modality
    optimizer = ml.build_optimizer(model.parameters(), "adamw", lr=0.003)
    loaders, method = ml.Loaders.of(data, batch_size=20), ml.build_method(name)
    trainer = ml.Trainer(model, method, loaders, optimizer=optimizer, progress=False)
    return trainer.fit(EPOCHS)


# %%
history = train(model)
history  # shows itself; history.frame() is the table behind it

# %% [markdown]
# These were the twenty lines: one for the number of epochs, three to load, three for model and optimizer, five for a step by hand, eight to train.
# All other cells wrote the example or looked at something.
#
# The *contribution* of a modality (notebook 02) is what it adds to the accuracy, on average over all orders in which the modalities could join. The
# trainer measures its share:

# %%
share = {m: history.last("contribution", modality=m) for m in data.modalities}
print({m: f"{100 * s:.0f} %" for m, s in share.items()})
if PRESET != "smoke":
    assert share["image"] > 1.5 * max(share["voice"], share["word"]), "The pictures dominate."

# %% [markdown]
# ## 4 · Your own encoder
#
# Does the voice contribute little because it *says* little, because its encoder *is deaf*, or because nobody *listens*? The first two show when it
# is trained without competition: the method `"unimodal"` gives each modality a separate loss, and nothing is shared. We take three *seeds*
# (starting points of the random numbers), since one could be luck.


# %%
SEEDS = (0, 1, 2) if PRESET != "smoke" else (0,)


def fresh(seed=0, **options):
    ml.seed_everything(seed)
    return ml.build_model(data, fusion="late", encoder="mlp", width=16, **options)


def right(histories):
    """{modality: test accuracy of its own scores}, the mean over the seeds."""
    return {
        m: np.mean([h.last("accuracy_head", modality=m) for h in histories])
        for m in data.modalities
    }


# %%
perceptron = right([train(fresh(seed), "unimodal") for seed in SEEDS])
print({m: f"{100 * a:.0f} %" for m, a in perceptron.items()})

# %% [markdown]
# Any `nn.Module` that turns a batch of samples into features, a vector per sample, can be an encoder. This one is made for spectrograms: it brings
# them to mean 0 and variance 1 (*batch normalisation*), and averages over small squares, so that it matters less when exactly a sound begins.


# %%
class Ear(nn.Module):
    def __init__(self, features=64):
        super().__init__()
        smaller = nn.Sequential(nn.BatchNorm2d(1), nn.AvgPool2d(4), nn.Flatten())
        self.net = nn.Sequential(smaller, nn.Linear(16 * 14, features), nn.ReLU())

    def forward(self, spectrogram):  # (N, 1, 64, 58)
        return self.net(spectrogram)  # (N, features)


# %% [markdown]
# It takes the place of one encoder; the others are built as before. **Predict.** Trained alone, the voice will now do better. And *together* with
# the others?


# %%
def with_ear(name, seeds=SEEDS):
    histories = []
    for seed in seeds:
        ml.seed_everything(seed)  # the ear's first weights are random, too
        model = fresh(seed, encoders={"voice": Ear()})
        histories.append(train(model, name))
    return histories


joint = with_ear("joint")
alone, together = right(with_ear("unimodal")), right(joint)
rows = {"perceptron, alone": perceptron, "Ear, alone": alone, "Ear, together": together}
pd.DataFrame(rows).mul(100).round(1).rename_axis(columns="right (%)")

# %%
if PRESET != "smoke":
    assert alone["voice"] > perceptron["voice"] + 0.03, "The ear should hear better."
    assert together["voice"] < 0.6 * alone["voice"], "Together, the voice should be starved."
    assert together["image"] > 0.8 * alone["image"], "The picture should lose little."

# %% [markdown]
# **What it means.** The voice says a lot, and the new encoder hears more of it than the perceptron. Trained together with the pictures, the same
# encoder learns less than half of it: the pictures bring the common loss down first, and little is left to learn from. The voice is *starved*.
#
# **What it does not mean.** That voices are always starved. On your table it may be any column, and that is why one measures.

# %% [markdown]
# ## 5 · Your own network, your own loop
#
# You may have a network and a training loop already. Nothing has to be rewritten: `wrap` takes any module, with the names of its inputs. To know
# whose weights are whose it also takes the part that reads each modality (`encoders`).


# %%
class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.eye = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 64), nn.ReLU())
        self.eye.append(nn.Linear(64, 10))
        self.ear = nn.Sequential(Ear(), nn.Linear(64, 10))
        self.reader = nn.Sequential(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, image, voice, word):
        return self.eye(image) + self.ear(voice) + self.reader(word)  # logits (N, 10)


# %% [markdown]
# And the loop: without `Trainer`, without our loaders. Only the last line is new. *M-SAM* (notebook 04) first climbs a little, to a place where the
# loss is higher, and mixes the gradient found there with the one from here: the more one modality dominates a batch, the more of it.


# %%
def loop(name, **options):
    ml.seed_everything(0)
    net, part = Mine(), data.train[:]  # all training samples as tensors
    encoders = {"image": net.eye, "voice": net.ear, "word": net.reader}
    model = ml.wrap(net, list(data.modalities), call="kwargs", encoders=encoders)
    model.set_baseline(averages)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.003)
    method = ml.build_method(name, **options)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(data.train)).split(20):
            x, y = {m: t[rows] for m, t in part.inputs.items()}, part.targets[rows]
            # instead of zero_grad, cross_entropy(net(**x), y), backward and step:
            method.step(model, ml.Batch(x, y), optimizer)
    return model.eval()  # batch normalisation with the averages of the training


# %%
models = {"Joint training": loop("joint"), "M-SAM": loop("msam", rho=0.05)}

# %% [markdown]
# ## 6 · Who contributed?
#
# `shapley_contributions` works with any of these models; on the test part:

# %%
from IPython.display import display

test = data.test[:]
found = {k: ml.shapley_contributions(m, test.inputs, test.targets) for k, m in models.items()}
for name, contributions in found.items():
    print(name)
    display(contributions)

# %%
for name, c in found.items():
    assert abs(float(c.phi.sum() - (c.full - c.empty))) < 1e-5, "Nothing is lost or counted twice."
    if PRESET != "smoke":
        assert float(c.full) > 0.65, f"{name} should be right two times in three."
if PRESET != "smoke":
    assert found["Joint training"].as_dict()["image"] > 0.6, "The pictures dominate here as well."

# %% [markdown]
# ## 7 · Whose valley is sharp?
#
# The *Hessian* holds the second derivatives of the loss; its *trace*, the sum of the diagonal, says how sharply the loss rises around the trained
# weights (notebook 06). A trace can be taken over one encoder's weights alone. It is estimated from random vectors (*probes*), so it comes with a
# standard error.
#
# **Predict.** Which encoder is in the sharpest valley, the one that dominates or one that is starved? What will M-SAM change?

# %%
from msam_lib.diagnostics import Sampling, block_traces, plane

some = Sampling(samples=100)  # of the training part, the same for both
traces = {
    k: block_traces(m, data.train, sampling=some, probes=20, progress=False)
    for k, m in models.items()
}
pd.DataFrame(
    {k: {b: f"{t.value:.1f} ± {t.std_error:.1f}" for b, t in v.items()} for k, v in traces.items()}
)

# %% [markdown]
# The same as a picture, over a plane: one direction moves the picture's encoder, the other the voice's. Directions are random and have the length
# of the weights that they move (notebook 05).

# %%
from msam_lib.plots.landscape import surfaces, surfaces_alt

steps = 11 if PRESET != "smoke" else 5
planes = {
    k: plane(m, data.train, "image", "voice", steps=steps, sampling=some, progress=False)
    for k, m in models.items()
}
show(surfaces(planes, views=[(30, -60)]), alt=surfaces_alt(planes))

# %% [markdown]
# Read it along each axis: how far does the loss rise when only one of the two encoders is moved?

# %%
for name, found_plane in planes.items():
    z = found_plane.loss - found_plane.at_origin  # (steps, steps): picture, voice
    along = {"image": z[:, steps // 2].max(), "voice": z[steps // 2].max()}
    print(name, {m: f"{rise:.2f} nats" for m, rise in along.items()})
    if PRESET != "smoke" and name == "Joint training":
        assert along["image"] > 3 * along["voice"], "The loss depends on the picture's encoder."

# %%
plain, msam = traces.values()
before, after = (p.rise() for p in planes.values())  # the mean over each plane
if PRESET != "smoke":
    assert plain["image"].value > 5 * plain["voice"].value, "The dominant encoder is the sharp one."
    assert msam["image"].value < 0.7 * plain["image"].value, "M-SAM should make it flatter."
    assert after < 0.7 * before, "And the valley in the picture wider."

# %% [markdown]
# **What it means.** The loss hardly notices when the voice's encoder is moved: a network that does not listen. The *dominant* encoder is the sharp
# one here, and M-SAM makes it flatter. On `avmnist_mini`, where no modality is enough by itself, it was the starved one (notebook 06). Where the
# sharp valley is depends on the data; now you can look at yours.
#
# **What it does not mean.** That the flatter network is the better one. With 120 test samples and one seed, the accuracies of section 6 differ by
# no more than two runs may differ by chance.

# %% [markdown]
# ## 8 · From here to real data
#
# A table is all that the command line needs. It keeps every run with its configuration, resumes what was interrupted, and makes tables over methods
# and seeds. Here it is run in the temporary folder:

# %%
import contextlib
import shlex

from msam_lib.cli.main import main

LINE = f"""train --dataset folder --source data.csv --method msam --encoder mlp --width 16
    --data-options text=word group=speaker size=28 side=28 augment=False seconds=0.6 words=512
    --optimizer adamw --lr 0.003 --batch-size 20 --epochs {EPOCHS} --absent mean"""
print(f"python -m msam_lib {LINE}\n")
with contextlib.chdir(HERE):
    status = main([*shlex.split(LINE), "--store", "runs"])
assert status == 0, "The command should succeed."

# %% [markdown]
# What next?
#
# * `compare --methods joint msam joint_unimodal --seeds 0 1 2` in place of `train` and `--method msam`: one table over methods and seeds.
# * `python -m msam_lib diagnose runs/NAME --what hessian landscape sharpness` measures a finished run as in section 7.
# * For real pictures `--encoder image=resnet18`, for sentences `tokenizer=hf:NAME` (a Hugging Face tokenizer) and `--encoder word=hf:NAME`.
# * `python -m msam_lib list datasets --json` has all options of `folder`.

# %% [markdown]
# ## Exercises
#
# **★ Exercise 14.1** A network that sees only the words, and knows every number word but no mistyped one, must guess at these (one time in ten it
# is right). Which accuracy do you expect on the test part? Compute it from `table`.

# %% tags=["exercise"]
# Exercise 14.1: a number between 0 and 1.
# solution
spelled = (table.word == table.label)[table.split == "test"].mean()
expected = spelled + (1 - spelled) / 10


# %%
@exercise("14.1", expected)
def _():
    known = (table[table.split == "test"].word.isin(NAMES)).mean()
    assert abs(expected - (known + (1 - known) / 10)) < 0.01, (
        "Those spelled right, and a tenth more."
    )
    print(f"expected {100 * expected:.0f} %, trained alone {100 * alone['word']:.0f} %")
    assert PRESET == "smoke" or abs(alone["word"] - expected) < 0.1, "Training should come near it."


# %% [markdown]
# **★★ Exercise 14.2** In the table all six speakers are in every part, so nothing above says how well strangers are understood. Load the table again
# so that parts are drawn, and no speaker is in two of them: `split="-"` names no column, so `split` must be kept out of the modalities
# (`modalities=[...]`), and `seed` chooses the draw. A draw that leaves a part without one of the digits is refused; take the next seed.

# %% tags=["exercise"]
# Exercise 14.2: a data set in which each speaker is in one part only.
# solution
drawn = None
for seed in range(20):
    with contextlib.suppress(ml.MsamError):
        names = list(data.modalities)
        drawn = ml.load_dataset(
            "folder", **columns, **shapes, split="-", modalities=names, seed=seed
        )
        break


# %%
@exercise("14.2", drawn)
def _():
    parts = {p: getattr(drawn, p).inputs["voice"].rows for p in ("train", "val", "test")}
    speakers = {p: set(table.speaker[r]) for p, r in parts.items()}
    assert table.groupby("split").speaker.nunique().eq(6).all(), "In the table all are everywhere."
    assert sum(map(len, speakers.values())) == len(set(table.speaker)), "A speaker is in two parts."
    print({p: sorted(s) for p, s in speakers.items()})


# %% [markdown]
# **★★★ Exercise 14.3** Give the voice back what it lost: find a method (`ml.METHODS` lists all, notebook 10 explains them) that trains the three
# modalities together, with `Ear`, and after which the scores of the voice are right at least 10 points more often than under joint training. Give
# its name. (`"unimodal"` does not count: it trains three networks.)

# %% tags=["exercise"]
# Exercise 14.3: the name of a method.
# solution
name = "joint_unimodal"  # joint training, plus a loss for each modality's own scores


# %%
@exercise("14.3", name)
def _():
    assert name in ml.METHODS and name != "unimodal", (
        "A method that trains the modalities together."
    )
    healed = with_ear(name, seeds=(0,))
    unheard, heard = (right(h)["voice"] for h in (joint[:1], healed))  # the same seed
    print(f"voice: {100 * unheard:.0f} % before, {100 * heard:.0f} % now")
    whole = [100 * h.last("accuracy") for h in (joint[0], healed[0])]
    print(f"whole network: {whole[0]:.0f} % before, {whole[1]:.0f} % now")
    assert PRESET == "smoke" or heard > unheard + 0.1, "The voice should be heard again."


# %% [markdown]
# ## You have seen
#
# a table of files become a data set, and a step of training become a method; an encoder, a network and a loop of your own under the same
# measurements; and that the modality which a network neglects may be a good one.
#
# **Questions.** 1. What does a row of the table need? 2. When must pictures not be mirrored? 3. How do you tell a modality that says little from a
# starved one? 4. What stands in for an absent modality, and why does it matter? 5. What does `wrap` have to know about your network, and what for?
# 6. Why should a person be in one part only?
#
# **Limits.** 340 samples, 120 of them to test, one to three seeds, small networks; the answer on your data may be another.
#
# **Next:** [12 · Write your own method](12_write_your_own_method.ipynb), if none of those here does what you need; or
# [08 · Tables 1 and 2](08_tables_1_and_2.ipynb) on how to compare methods fairly.
#
# **References.** The docstring of `msam_lib.data.folder`; *M-SAM in your own loop* (`book/own_loop.md`). LeCun et al., *Gradient-Based Learning
# Applied to Document Recognition*, 1998 (the pictures). Jackson et al., *Free Spoken Digit Dataset* (the voices). Weinberger et al., *Feature
# Hashing for Large Scale Multitask Learning*, ICML 2009.

# %%
solved("14.1", "14.2", "14.3")
