# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Claims: what held in this run
#
# **The question.** Which claims of the two papers does this run bear out?
#
# **The answer, here.** Of {glue:text}`claims-all` claims, {glue:text}`claims-reproduced` are reproduced,
# {glue:text}`claims-not` are not, {glue:text}`claims-inconclusive` cannot be judged at the profile
# *{glue:text}`claims-profile`*, and {glue:text}`claims-missing` are not measured yet.
#
# **The cost.** Nothing but reading: the pages recorded these numbers when they ran.

# %% tags=["hide-input"]
import os

from IPython.display import Markdown
from myst_nb import glue

from wlbook.runner import claims

known = claims.load()
found = claims.records()

# %% [markdown]
# ## Paper, ours, verdict
#
# Each number comes with its standard error. The verdict follows from one rule, the same for every claim:
#
# - **reproduced**: our number, and the range one error to either side of it, lie in the band in which the claim holds;
# - **not reproduced**: our number lies more than two errors outside the band;
# - **inconclusive**: everything else. A larger error never makes a stronger statement.
#
# The bands were written down in `book/claims.yml` with their reasons, before the numbers were known. A claim that fails
# stays in the table.

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
Markdown(claims.table(known, found))

# %% [markdown]
# ## What each number is

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
Markdown(claims.details(known, found))

# %% [markdown]
# ## What to notice
#
# - *Inconclusive* is what small maps give most often. The `laptop` and `paper` {term}`profiles <profile>` shrink the
#   errors, not the bands.
# - Where a paper prints a range, we do not know what its two ends stand for. The band then spans the whole range.
# - Our maps, network and training differ from the papers'. Each page has a table that says how.
#
# ```{exercise} A claim of your own
# :label: ex-claims-own
#
# Paper A says that the network's constraints are 20 % tighter. Suppose it had said "at least 10 % tighter". How would
# the entry in `book/claims.yml` change, and could the verdict change without any new simulation?
# ```
#
# ```{solution} ex-claims-own
# :class: dropdown
#
# The band becomes `{high: 0.9}`, open below. The verdict is drawn from the recorded number and the band alone, so it
# can change at once: only this page runs again when `book/claims.yml` is edited.
# ```

# %% tags=["remove-cell", "nbval-ignore-output"]
counts = claims.tally(known, found)
glue("claims-all", str(len(known)), display=False)
glue("claims-reproduced", str(counts["reproduced"]), display=False)
glue("claims-not", str(counts["not reproduced"]), display=False)
glue("claims-inconclusive", str(counts["inconclusive"]), display=False)
glue("claims-missing", str(counts["not measured"]), display=False)
glue("claims-profile", os.environ.get("WLBOOK_PROFILE", "demo"), display=False)

# %%
assert set(found) <= set(known), "a page recorded a claim that book/claims.yml does not have"
assert sum(counts.values()) == len(known)
