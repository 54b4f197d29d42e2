# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · When does balancing pay?
#
# **Does a method that balances modalities still gain once its baseline is tuned as carefully as the method itself?**
#
# **You will** compare methods at one learning rate and after a search, turn the noise of one modality like a dial, and find out which part of a
# method brings its gain.
# **Needs** [01 · When one modality wins](01_when_one_modality_wins.ipynb); [08 · Tables 1 and 2](08_tables_1_and_2.ipynb) helps. **Takes** under a
# minute on two cores. **Regenerates** no figure of the papers: these are the three that they lack.

# %%
import os
from pathlib import Path

import pandas as pd

import msam_lib as ml
from msam_lib import results
from msam_lib.figures.dial import before_after, dial_table
from msam_lib.figures.registry import ITEMS
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.quiz import compare, predict
from msam_lib.plots import show, theme

theme()
PRESET = os.environ.get("MSAM_PRESET", "teach")  # smoke, teach or paper
STORE = Path(os.environ.get("MSAM_RUNS", "../runs"))  # finished runs are kept here and not repeated


# %%
def draw(name):
    """Show a figure of the registry from its frozen results."""
    item = ITEMS[name]
    frames = {n: results.load(n) for n in item.sources}
    show(item.build(frames), alt=item.alt(frames))


def draw_table(name):
    """A table of the registry from its frozen results."""
    item = ITEMS[name]
    return item.build({n: results.load(n) for n in item.sources})


# %% [markdown]
# ## 1 · One learning rate for all
#
# A new method needs a learning rate. If it is the only thing that was tuned, or if all methods share the rate that suits the new one, the
# comparison measures the tuning. Here are five methods on the embedded data, ten seeds each: on the left with the preset's rate for all, on the
# right each with the rate and the option that *the same* search chose for it on the validation split ([protocol](../book/protocol.md)).
#
# **Predict.**

# %%
RANGES = ("less than 1", "1 to 3", "more than 3")
predict(
    "09.1",
    "By how many points does tuning raise the baseline, joint training with late fusion?",
    choices=RANGES,
)

# %%
draw("untuned_against_tuned")

# %%
panels = before_after(results.load("methods_avmnist_mini"), results.load("untuned_avmnist_mini"))
table = pd.concat(
    {words: pd.concat({"one rate": a, "tuned": b}, axis=1) for words, (a, b) in panels.items()}
)
table.round(1)

# %% [markdown]
# **Check.**

# %%
before, after = panels["late fusion"]
raised = after["mean"] - before["mean"]
print("what the search adds, late fusion:", raised.round(1).to_dict())
assert raised["Joint training"] > 0, "The search should raise the baseline."
compare("09.1", RANGES[int((raised["Joint training"] > 1) + (raised["Joint training"] > 3))])

# %% [markdown]
# **What it means.** A difference between two methods at one learning rate is, for the most part, a difference between two learning rates. Whoever
# reads "ours is 2 points better" should ask at which rate the baseline was run, and who chose it.
#
# **What it does not mean.** That tuning is all there is: the order on the right is the one to believe, and it is not flat.

# %% [markdown]
# ## 2 · The dial
#
# The embedded data has a dial: how loud the noise is in the recordings. At −12 dB the speech is far below the noise, and the images dominate. At 0 dB
# both are equally loud. Every method was searched anew at every level.
#
# **Predict.**

# %%
predict(
    "09.2",
    "At which level will MASAM gain most over joint training?",
    choices=("-12 dB", "-6 dB", "0 dB"),
)

# %%
draw("dial")

# %%
item = ITEMS["dial"]
dial = dial_table(*(results.load(n) for n in item.sources))
masam = dial[dial["label"] == "masam"].set_index("level")
compare("09.2", f"{masam['fused'].idxmax():g} dB")

# %%
columns = ["level", "dominant", "share", "name", "fused", "fused_half", "weakest", "weakest_half"]
dial[columns].round(1)

# %% [markdown]
# **Check.** Below the levels stand the modality with the larger Shapley share, and its share. First: is it a dial of dominance?

# %%
shares = dial.drop_duplicates("level").set_index("level")[["dominant", "share"]]
image = shares["share"].where(shares["dominant"] == "visual", 100 - shares["share"])
print("share of the image by level (dB):", image.round(1).to_dict())
assert image.is_monotonic_decreasing, "Less noise in the speech, a smaller share of the image."

# %% [markdown]
# ## 3 · Which part brings the gain?
#
# MASAM and MMPareto add a loss of its own for every modality, and then something clever. The control leaves out what is clever: joint training with fixed
# unimodal losses. The table holds the methods that were searched on the embedded data.

# %%
draw_table("table_gains_late_avmnist_mini")

# %% [markdown]
# And on MOSI, three modalities, where the text alone is nearly as good as everything:

# %%
draw_table("table_gains_late_mosi")

# %% [markdown]
# Then every setting that the protocol has searched: other fusions, three to six modalities, less noise, more pairs, convolutions. A filled
# mark is clear.

# %%
draw("gains_everywhere")

# %% [markdown]
# In the last setting nothing seems to reach the weakest modality. Look closer: *alone* means that the whole network answers while the other inputs
# are absent, and an encoder may answer loudly to an absent input. A late-fusion encoder can also be asked by its *own head*:
#
# **Predict.** Does the audio of the convolutional setting (`small_cnn`, 0 dB) gain by its own head?

# %%
draw_table("table_gains_head")

# %% [markdown]
# It does, by ten points: the encoder has learnt, and what it says is drowned out by the image's answer to nothing. Under MASAM the audio of the embedded data gains six
# points by its own head, and none alone. How a modality is asked is part of every such result ([02 · Who contributed?](02_who_contributed.ipynb)).
#
# **What it means.** The methods at the top of the tables share one ingredient, a loss per modality (or its relatives: modality dropout,
# separate models). It raises the modality that joint training neglects by many points, and in about half of the settings the whole model by one to six.
# SAM and M-SAM without such a loss leave the whole model where it was in every setting, and the neglected modality in nearly all.
#
# **What it does not mean.** That the weak modality's gain is worth nothing when the whole model's is small: it is what remains when the strong one
# fails ([13 · Stress tests](13_stress_tests.ipynb)).

# %% [markdown]
# ## 4 · Turn it yourself
#
# One training at a level of your choice, joint training against the control, small and with one seed: a look, not evidence.

# %%
LEVEL = -6  # dB; try 6 or -18


def train(method, level):
    size = ml.Experiment.preset(PRESET)
    experiment = size.replace(
        method=method,
        epochs=min(10, size.epochs),
        data_options=size.data_options | {"snr_db": level},
    )
    return ml.run_experiment(experiment, STORE, progress=False)


# %%
from tqdm.auto import tqdm

rows = {}
for method in tqdm(("joint", "joint_unimodal")):
    measured = train(method, LEVEL).metrics()
    last = measured[(measured.split == "test") & (measured.metric == "accuracy")]
    last = last[last.epoch == last.epoch.max()].set_index("modality")["value"]
    rows[ml.catalogue.METHODS[method].title] = 100 * last
pd.DataFrame(rows).round(1)

# %% [markdown]
# ## Exercises
#
# **★ Exercise 09.1** At which level (in dB, from `dial`) is the gain of MASAM for the whole model largest?

# %% tags=["exercise"]
# Exercise 09.1: a level.
# solution
level = masam["fused"].idxmax()


# %%
@exercise("09.1", level)
def _():
    assert masam["fused"][level] == masam["fused"].max(), "Another level has a larger gain."


# %% [markdown]
# **★★ Exercise 09.2** How many of the gains of the *weakest* modality in `dial` are clear: larger than their half-width, and with a p value below 0.05?

# %% tags=["exercise"]
# Exercise 09.2: a number.
# solution
clear = int(((dial["weakest"] > dial["weakest_half"]) & (dial["weakest_p"] < 0.05)).sum())


# %%
@exercise("09.2", clear)
def _():
    rows = dial[["weakest", "weakest_half", "weakest_p"]].itertuples(index=False)
    assert clear == sum(w > half and p < 0.05 for w, half, p in rows), "Count the rows of dial."


# %% [markdown]
# **★★★ Exercise 09.3** Name a level and a method where you would *not* balance, and say why in one sentence. There is no single right answer; the number you
# cite must be in `dial`.

# %% [markdown]
# ## You have seen
#
# * what a search does to a comparison, and how much of an order at one learning rate it leaves;
# * gains over a tuned baseline as dominance is turned down;
# * that a plain loss per modality is the part to beat.
#
# **Questions.** Why were all methods searched anew at every level? Why does the interval hold the luck of the search? What would the left half of the
# first figure look like at joint training's best rate? Why is the gain of the weakest modality larger than the whole model's?
#
# **Limits.** One small data set with a dial, perceptrons as encoders, five methods; the levels share images and recordings, so they are not
# independent.
#
# **Next:** [10 · Ways to balance](10_ways_to_balance.ipynb), or the claims with all verdicts (`figures/claims.md`).
#
# **References.** The [protocol](../book/protocol.md). Musgrave, Belongie, Lim, *A Metric Learning Reality Check*, ECCV 2020: tuned baselines in another
# field. Dodge et al., *Show Your Work*, EMNLP 2019: reporting what a search costs.

# %%
solved("09.1", "09.2")
