"""What a network looks at: attribution maps for any Equinox model, and the tests that catch them lying.

Every method is called as `method(model, kappa, output)`: a callable from `[bin, y, x]` to `[output]`, and one map. It
returns one number for each pixel; `over_maps` does the same for many maps. `output` is the index of an output, or a
vector: the direction in the space of outputs whose component is explained, such as `towards("s_8")`. A `baseline` is
what absence of a pixel means: kappa = 0, the mean of the universe, by default.

Gradients, perturbations and groups take any callable model. Guided back-propagation and deconvnet replace the model's
ReLUs (`layers.ReLU`, or `jax.nn.relu` as in `eqx.nn.Lambda` and `eqx.nn.MLP`). Relevance (`lrp`, `deep_taylor`) walks
the layers of the book's networks, of `eqx.nn.Sequential` and of `eqx.nn.MLP`; `register` gives a layer of your own a
rule. Nothing rewrites the model.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
