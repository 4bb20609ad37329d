"""What a network looks at: attribution maps for any Equinox model, and the tests that catch them lying.

Every method is called as `method(model, kappa, output)` with one map `[bin, y, x]` and returns one number for each
pixel; `over_maps` does the same for many maps. `output` is the index of an output, or a vector: the direction in the
space of outputs whose component is explained, such as `towards("s_8")`.

Gradients, perturbations and groups take any callable model. Guided back-propagation and deconvnet replace the model's
ReLUs (`network.ReLU`, or `jax.nn.relu` as in `eqx.nn.Lambda` and `eqx.nn.MLP`). Relevance (`lrp`, `deep_taylor`) walks
the layers of the book's networks, of `eqx.nn.Sequential` and of `eqx.nn.MLP`; `register` gives a layer of your own a
rule. Nothing rewrites the model.
"""

from wlbook.saliency.checks import (
    cascade,
    completeness,
    explained,
    linear_answer,
    randomized,
    rank_correlation,
    shuffled_labels,
    without_biases,
)
from wlbook.saliency.examination import Method, examine, shortfall, suite
from wlbook.saliency.gradients import (
    expected_gradients,
    gradient,
    input_x_gradient,
    integrated_gradients,
    smoothgrad,
    vargrad,
)
from wlbook.saliency.groups import group_totals, occlude_groups, regions, shapley
from wlbook.saliency.perturbation import deletion, insertion, occlusion
from wlbook.saliency.profiles import extrema, profile, spectra
from wlbook.saliency.question import Map, Model, Output, over_maps, towards
from wlbook.saliency.relevance import deep_taylor, lrp, register
from wlbook.saliency.relus import deconvnet, guided_backprop
from wlbook.saliency.shares import attribution_share, shares_with_errors
from wlbook.saliency.verdicts import Finding, verdict_table

__all__ = [
    "Finding",
    "Map",
    "Method",
    "Model",
    "Output",
    "attribution_share",
    "cascade",
    "completeness",
    "deconvnet",
    "deep_taylor",
    "deletion",
    "examine",
    "expected_gradients",
    "explained",
    "extrema",
    "gradient",
    "group_totals",
    "guided_backprop",
    "input_x_gradient",
    "insertion",
    "integrated_gradients",
    "linear_answer",
    "lrp",
    "occlude_groups",
    "occlusion",
    "over_maps",
    "profile",
    "randomized",
    "rank_correlation",
    "regions",
    "register",
    "shapley",
    "shares_with_errors",
    "shortfall",
    "shuffled_labels",
    "smoothgrad",
    "spectra",
    "suite",
    "towards",
    "vargrad",
    "verdict_table",
    "without_biases",
]
