# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Tables 1 and 2: every method, late and early fusion
#
# **Which method is best, and how sure can one be?**
#
# **You will** read the paper's two tables beside our numbers, sort all methods by what you care about, and test whether one is
# better than another.
# **Needs** [04 · M-SAM, line by line](04_msam_line_by_line.ipynb). **Takes** under a minute; everything is stored. **Regenerates** Tables 1 (late
# fusion) and 2 (early fusion, MaxOut) of the paper on real AV-MNIST pairs and on five other data sets.

# %%
import pandas as pd

import msam_lib as ml
from msam_lib import results
from msam_lib.figures.build import sources
from msam_lib.figures.published import PUBLISHED
from msam_lib.figures.ranks import ranked
from msam_lib.figures.registry import ITEMS
from msam_lib.interactive.exercises import exercise, solved
from msam_lib.interactive.tables import table_explorer
from msam_lib.plots import show, theme
from msam_lib.plots.search import best_by_rate
from msam_lib.results.comparison import WEAKEST, accuracies, compared, measured
from msam_lib.results.statistics import paired

theme()

# %% [markdown]
# ## 1 · Table 1, late fusion
#
# AV-MNIST: images of digits with 75 % of their energy removed, and spoken digits in noise. **Read first what differs from the
# paper:** multilayer perceptrons on 20,000 pairs for 12 epochs instead of ResNet-18 on 55,000; learning rate and main option
# chosen on the validation split with nine trials for every method; five seeds. The paper reports no seeds and no spread.
#
# **Predict.** How many of the methods will be better than joint training by more than their interval?

# %%
needed = {source for item in ITEMS.values() for source in sources(item)}
frames = {name: results.load(name) for name in needed}
ITEMS["table_methods_late_avmnist"].build(frames)

# %% [markdown]
# The columns *audio* and *visual* are the accuracies while the other modality is absent, measured in the same way in every row; the columns
# *(shapley)* use AGM's definition. The paper mixes two definitions across rows.
#
# The same in **the paper's layout**: its methods, and a group of columns for each of its data sets. CREMA-D, UR-Funny and AVE have to be obtained from
# their owners (page *data* of the site says how); after `python -m msam_lib evidence cremad`, and so on, their columns are filled.

# %%
ITEMS["table_paper_late"].build(frames)

# %% [markdown]
# **Over epochs**, a handful of methods in one panel. The titles are computed: *above* and *below* say that the 95 % interval of the difference to joint
# training, paired by seed, excludes 0 at the last epoch.

# %%
item = ITEMS["methods_convergence_late_avmnist"]
show(item.build(frames), alt=item.alt(frames))

# %% [markdown]
# ## 2 · Table 2, early fusion

# %%
ITEMS["table_methods_maxout_avmnist"].build(frames)

# %%
ITEMS["table_paper_maxout"].build(frames)

# %% [markdown]
# ## 3 · Sort it yourself
#
# Choose a comparison, whether to sort by the fused accuracy or by that of the weakest modality alone, and a method to highlight. On AV-MNIST grey
# strokes are the paper's numbers, which belong to other networks and sizes.

# %%
titles = {name: row.title for name, row in ml.catalogue.METHODS.items()}
printed = {
    f"avmnist, {fusion}": {titles[k]: v for k, v in PUBLISHED[fusion].items()}
    for fusion in ("late", "maxout")
}
compared_sets = ("avmnist_mini", "avmnist", "digits", "signs", "mosi", "mfeat", "isl")
table_explorer({d: frames[f"methods_{d}"] for d in compared_sets}, printed)

# %% [markdown]
# *Find* a method that is near the top of both lists on AV-MNIST. The ranks over all settings that were searched by the same protocol:
#
# **Predict.** Who ranks first: joint training, joint training with a loss for every modality, SAM, M-SAM or MASAM?

# %%
item = ITEMS["methods_ranks"]
show(item.build(frames), alt=item.alt(frames))

# %%
names, found = ranked(*(frames[name] for name in item.sources))
table = pd.Series(found.average, names).sort_values().round(1)
behind = table[table - table.iloc[0] > found.critical_difference]
print(table.to_string())
print(f"More than the critical difference of {found.critical_difference:.1f} behind the best:")
print(", ".join(behind.index))
assert {"Joint training", "SAM", "M-SAM"} == set(behind.index)

# %% [markdown]
# **What it means.** The two methods with a loss for every modality rank first, and joint training is behind both by more than chance allows; SAM and M-SAM are behind MASAM
# by as much, and within the critical difference of joint training. **What it does not mean:** that the gap is large everywhere (a rank counts the order, not the points), or that so few settings, several of
# them of the same data set, are independent witnesses.

# %% [markdown]
# ## 4 · Is A better than B?
#
# The same seeds give the same data order and the same initial weights, so methods are compared seed by seed. The exact test asks how often random
# signs would give so large a mean difference; with $n$ seeds its p-value cannot be below $2^{1-n}$.

# %%
late = accuracies(frames["methods_avmnist"]).xs(("avmnist", "late"))


def against(a, b, accuracy=late):
    both = accuracy.loc[[a, b]].dropna(axis=1)
    return paired(both.loc[a], both.loc[b])


for a, b in (("msam", "joint"), ("msam", "sam"), ("gblend", "joint"), ("gblend", "msam")):
    print(f"{a} against {b}: {against(a, b)}")

# %% [markdown]
# The same question for every comparison. A bold difference is clear: its interval excludes 0.
#
# **Predict.** Are the methods that help the whole model those that help its weakest modality?

# %%
ITEMS["table_paired_fused"].build(frames)

# %%
ITEMS["table_paired_weakest"].build(frames)

# %% [markdown]
# **What it means.** Count the bold cells of a row in both tables. Rules that give every modality a separate loss improve the weakest modality nearly
# everywhere (not MASAM on `avmnist_mini` with late fusion, nor on `signs`), by far more than the whole model gains; M-SAM, which keeps the one joint loss, moves it by a
# point or two, up here and down there. **What it does not mean:** that a better weak modality must help the whole model: that depends on what it knows and the
# others do not. And one bold cell in twenty occurs by chance.
#
# **Check** it:

# %%
weakest = compared(measured(frames["methods"]), WEAKEST)
gain = {
    m: pd.Series({k: against(m, "joint", t).difference for k, t in weakest.items() if m in t.index})
    for m in ("sam", "msam", "masam", "mmpareto", "inforeg")
}
print(pd.DataFrame(gain).round(1).to_string())
for m in ("masam", "mmpareto", "inforeg"):
    more = gain[m] > gain["msam"].reindex(gain[m].index)
    assert more.mean() > 0.5, f"{m} improves the weakest modality more."

# %% [markdown]
# ## 5 · What the search decides
#
# A table compares a method *with its learning rate*. The next figure shows every learning rate that was tried on AV-MNIST, with the best
# value of the method's main option at each.
#
# **Predict.** With early fusion the paper has M-SAM 3.3 points above joint training. At which learning rate would you have to stop searching to see
# such a gap here?

# %%
item = ITEMS["search_avmnist"]
show(item.build(frames), alt=item.alt(frames))

# %%
trials = frames["search"]
early = trials[(trials.dataset == "avmnist") & (trials.fusion == "maxout")]
tried = 100 * best_by_rate(early)[["joint", "sam", "msam"]]
usual = tried.loc[early["preset_lr"].iloc[0]]
best_of = pd.DataFrame({"all at the preset's rate": usual, "each at its best": tried.max()})
gap = best_of.loc["msam"] - best_of.loc["joint"]
print(best_of.round(1).to_string())
print("M-SAM above joint training by", gap.round(1).to_dict())
assert gap.iloc[0] > 2 and gap.iloc[1] < 1, "The gap should all but close once each may choose."

# %% [markdown]
# **What it means.** At one fixed learning rate, M-SAM is better than joint training by about as much as in the paper. When each may choose, the gap is
# gone: joint training prefers a smaller rate, and a sharpness-aware step at a large rate has some of the effect of a smaller rate. Methods whose lead
# remains (MMPareto, MASAM) have another source of it. **What it does not mean:** that the paper's gap is one of learning rates. It does not say how its
# rates were chosen, and its networks are larger. One seed per trial: differences of a point are noise.

# %% [markdown]
# ## Exercises
#
# **★ Exercise 08.1** With five seeds, what is the smallest p-value that the exact test can give?

# %% tags=["exercise"]
# Exercise 08.1: a number.
# solution
smallest = 2.0 ** (1 - 5)


# %%
@exercise("08.1", smallest)
def _():
    assert abs(smallest - 1 / 16) < 1e-9, "Two of the 32 sign patterns are as extreme as all equal."


# %% [markdown]
# **★★ Exercise 08.2** Which method has the highest mean accuracy of *visual* alone on AV-MNIST with late fusion (separate unimodal models left
# out)? Use `accuracies(frame, modality)`; give its label.

# %% tags=["exercise"]
# Exercise 08.2: a label such as "msam".
# solution
by_seed = accuracies(frames["methods_avmnist"], "visual").xs(("avmnist", "late"))
visual = by_seed.mean(axis=1)
best = visual.drop("unimodal").idxmax()


# %%
@exercise("08.2", best)
def _():
    check = accuracies(frames["methods_avmnist"], "visual").xs(("avmnist", "late")).mean(axis=1)
    assert check[best] == check.drop("unimodal").max(), "The largest mean over seeds."


# %% [markdown]
# ## You have seen
#
# the paper's two tables beside our numbers; all methods sorted in two ways; what a paired test can and cannot say; and how a gap between two methods
# can depend on a learning rate.
#
# **Questions.** 1. What differs between our setting and the paper's? 2. On which split were learning rates chosen? 3. Why are methods compared seed
# by seed? 4. What is a critical difference? 5. Why report the accuracy of the weaker modality beside the fused one? 6. Which claims of the paper
# reproduce here, and which do not?
#
# **Limits.** Small networks, few seeds, no correction for the number of comparisons; MOSI's test part is small.
#
# **Next:** back to [00 · Start here](00_start_here.ipynb) for a list of all figures.
#
# **References.** Nowdeh et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919), Tables 1 and 2. Demsar, *Statistical Comparisons of
# Classifiers over Multiple Data Sets*, JMLR 2006, section 3.2.2.

# %%
solved("08.1", "08.2")
