"""What training makes small: functions of a network's outputs and the targets, both standardised."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from wlbook.common import checks

Loss = Callable[[Float[Array, "map output"], Float[Array, "map target"]], Float[Array, ""]]


def squared(outputs: Float[Array, "map output"], targets: Float[Array, "map output"]) -> Float[Array, ""]:
    """Mean squared error: the best answer is the mean of the posterior."""
    return jnp.mean((outputs - targets) ** 2)


def absolute(outputs: Float[Array, "map output"], targets: Float[Array, "map output"]) -> Float[Array, ""]:
    """Mean absolute error, paper A's: the best answer is the median of the posterior, one parameter at a time."""
    return jnp.mean(jnp.abs(outputs - targets))


def likelihood(outputs: Float[Array, "map output"], targets: Float[Array, "map target"]) -> Float[Array, ""]:
    """Gaussian negative log-likelihood with predicted mean and precision, paper B's, without the constant.

    -ln L = |A^T (mean - target)|^2 / 2 - ln det A, where A A^T is the precision. It is divided by the number of
    targets, so that always answering the mean and variance of standardised targets gives 1/2. The outputs for n targets
    are n means and the n (n + 1) / 2 entries of `factor`.
    """
    number = targets.shape[1]
    residual = outputs[:, :number] - targets
    root = factor(outputs, number)
    whitened = jnp.einsum("mij,mi->mj", root, residual)
    log_determinant = outputs[:, number : 2 * number].sum(axis=1)
    return jnp.mean(0.5 * (whitened**2).sum(axis=1) - log_determinant) / number


def factor(outputs: Float[Array, "map output"], number: int) -> Float[Array, "map number number"]:
    """The Cholesky factor A of the precision A A^T that outputs for `likelihood` stand for.

    Behind the means come the logarithms of the diagonal, so that it is positive, and then the entries below it.
    """
    diagonal = jnp.exp(outputs[:, number : 2 * number])
    rows, columns = jnp.tril_indices(number, -1)
    root = jnp.zeros((len(outputs), number, number), outputs.dtype)
    root = root.at[:, jnp.arange(number), jnp.arange(number)].set(diagonal)
    return root.at[:, rows, columns].set(outputs[:, 2 * number :])


LOSSES: dict[str, Loss] = {"squared": squared, "absolute": absolute, "likelihood": likelihood}


def outputs_for(loss: str, targets: int) -> int:
    """How many outputs a network needs for so many targets."""
    checks.one_of("loss", loss, LOSSES)
    return targets + targets * (targets + 1) // 2 if loss == "likelihood" else targets
