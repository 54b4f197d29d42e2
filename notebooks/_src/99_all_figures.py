# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 99 · All figures and tables
#
# **Everything at once: what is there, and does it match the results it was drawn from?**
#
# **You will** draw every figure and table of the collection from its stored results, read what each one shows, and check the files in
# `figures/` against them.
# **Needs** nothing. **Takes** under a minute. **Regenerates** all of them.

# %%
import pandas as pd
from matplotlib.figure import Figure

from msam_lib import results
from msam_lib.figures.build import sources
from msam_lib.figures.registry import ITEMS, build_all
from msam_lib.plots import Table, show, theme

theme()

# %% [markdown]
# ## 1 · The list
#
# Each item has the names of its stored results, a caption, and the item of the M-SAM paper that it corresponds to, if there is one.

# %%
rows = [
    {
        "name": name,
        "title": item.title,
        "in the paper": item.paper_reference or "—",
        "drawn from": ", ".join(item.sources),
    }
    for name, item in ITEMS.items()
]
pd.DataFrame(rows).set_index("name")

# %% [markdown]
# ## 2 · The figures

# %%
needed = {source for item in ITEMS.values() for source in sources(item)}
frames = {source: results.load(source) for source in needed}
drawn = {name: (item.build(frames), item.alt(frames)) for name, item in ITEMS.items()}
figures = {k: v for k, v in drawn.items() if isinstance(v[0], Figure)}
print(len(figures), "figures and", len(drawn) - len(figures), "tables and others")

# %%
from IPython.display import HTML, Markdown, display

for name, (figure, alt) in figures.items():
    caption = ITEMS[name].full_caption(frames)
    display(Markdown(f"### {ITEMS[name].title}\n\n{caption}"))
    show(figure, alt=alt, dpi=46, colors=32)

# %% [markdown]
# ## 3 · The tables

# %%
for name, (table, _) in drawn.items():
    if isinstance(table, Table):
        display(Markdown(f"### {ITEMS[name].title}\n\n{table.to('md')}"))

# %% [markdown]
# ## 4 · What moves, and the claims
#
# The two encoders' race towards what each reaches alone, and the ledger of what the papers claim.

# %%
for name in ("race", "claims"):
    product, _ = drawn[name]
    display(Markdown(f"### {ITEMS[name].title}\n\n{ITEMS[name].full_caption(frames)}"))
    display(HTML(product.to(ITEMS[name].kinds[-1])))

# %% [markdown]
# ## 5 · Check
#
# `figures/manifest.json` holds the digests of the results and of the code that each file was drawn from. `python -m msam_lib figures --check`
# makes the same check.

# %%
assert all(alt.strip() for _, alt in drawn.values()), "Every picture needs an alternative text."
stale = build_all(out="../figures", check=True)
assert not stale, f"Draw again with `python -m msam_lib figures --frozen`: {stale}"
print("every file in figures/ matches its results")

# %% [markdown]
# ## 6 · Where the numbers come from

# %%
facts = {k: f.attrs.get("provenance", {}) for k, f in frames.items()}
shown = ("seeds", "device", "torch", "commit")
pd.DataFrame({k: {x: v.get(x, "—") for x in shown} for k, v in sorted(facts.items())}).T

# %% [markdown]
# ## You have seen
#
# every figure and table; what each shows; and that the files match their results.
#
# **Questions.** 1. Where is a figure's data kept? 2. What happens when the data change and the figure does not? 3. Which items have a counterpart in the
# paper? 4. How do you add a figure? (`CONTRIBUTING.md` describes it.)
#
# **Limits.** Drawing again shows that the figures match the stored results, not that the results can be reproduced; for that, delete `runs/` and run
# `make figures`, which ends with your numbers beside these.
#
# **Next:** [00 · Start here](00_start_here.ipynb).
#
# **References.** Nowdeh et al., NeurIPS 2025, [arXiv 2510.24919](https://arxiv.org/abs/2510.24919), Figures 1 to 4, Tables 1 and 2.
