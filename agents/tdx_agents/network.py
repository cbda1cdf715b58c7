"""The policy network without torch: dense layers, the best allowed action, and what it takes."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tdx_env.jit import kernel
from tdx_env.state.discipline import N_ACTIONS

Weights = Mapping[str, NDArray[np.float32]]
Activation = Literal["tanh", "relu"]
MULTIPLY_ADDS_PER_CYCLE = 2
CYCLES_PER_INPUT = 1


def weight_shapes(layers: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return name and shape of each array of weights.

    Args:
        layers: Widths, the observation first, the actions last.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (n_inputs, n_outputs) in enumerate(zip(layers[:-1], layers[1:], strict=True)):
        shapes[f"layers.{number}.weight"] = (n_outputs, n_inputs)
        shapes[f"layers.{number}.bias"] = (n_outputs,)
    return shapes


def network_cycles(n_inputs: int, hidden: Sequence[int]) -> int:
    """Return what one decision of a network takes [cycles].

    Half a cycle for each multiply-add of its layers, and one for each input to be read and scaled.
    It holds for a network in C with 16-bit fixed-point numbers, as a kernel would have it.

    Args:
        n_inputs: Columns of the observation.
        hidden: Width of each hidden layer; `N_ACTIONS` outputs follow.

    Source:
        Derived: such a network of 32-64-64-3 took 1,258 ns in C with -O2, at 2.5 GHz 0.5 cycles for
        each of its 6,336 multiply-adds, caches warm. What an input takes: guess.
    """
    layers = (n_inputs, *hidden, N_ACTIONS)
    multiply_adds = sum(a * b for a, b in zip(layers[:-1], layers[1:], strict=True))
    return multiply_adds // MULTIPLY_ADDS_PER_CYCLE + n_inputs * CYCLES_PER_INPUT


@kernel
def _dense(
    values: NDArray[np.float32],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Compute one layer; each row sums in the same order.

    A matrix product of a BLAS rounds a row differently in batches of different sizes: a decision
    would depend on what it was computed beside, and reports would not replay bit for bit.

    Args:
        values: Shape (n, inputs).
        weight: Shape (inputs, outputs).
        bias: Shape (outputs,).
        out: Is filled, shape (n, outputs).
    """
    for row in range(len(values)):
        for output in range(len(bias)):
            out[row, output] = bias[output]
        for source in range(len(weight)):
            value = values[row, source]
            for output in range(len(bias)):
                out[row, output] += value * weight[source, output]


class Network:
    """A multi-layer perceptron in float32.

    Args:
        weights: As `weight_shapes` names them.
        activation: After each layer but the last.
    """

    def __init__(self, weights: Weights, activation: Activation) -> None:
        self._layers = [
            (
                np.ascontiguousarray(weights[f"layers.{number}.weight"].T),
                np.ascontiguousarray(weights[f"layers.{number}.bias"]),
            )
            for number in range(len(weights) // 2)
        ]
        self._activation = activation

    def _activate(self, values: NDArray[np.float32]) -> None:
        """Apply the activation in place."""
        if self._activation == "tanh":
            np.tanh(values, out=values)
        else:
            np.maximum(values, 0, out=values)

    def logits(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a number for each action: the larger, the better.

        Args:
            observations: Shape (n, observation_size()).

        Returns:
            Shape (n, N_ACTIONS); a row doesn't depend on the others.
        """
        values = np.ascontiguousarray(observations, np.float32)
        for number, (weight, bias) in enumerate(self._layers):
            if number > 0:
                self._activate(values)
            out = np.empty((len(values), len(bias)), np.float32)
            _dense(values, weight, bias, out)
            values = out
        return values

    def act(
        self,
        observations: NDArray[np.float32],
        features: NDArray[np.int64],
        masks: NDArray[np.int8],
    ) -> NDArray[np.int64]:
        """Return the best allowed action of each decision; the first of equal ones.

        Args:
            observations: Shape (n, observation_size()).
            features: Not used.
            masks: 1 for each allowed action, shape (n, N_ACTIONS).
        """
        best = np.where(masks != 0, self.logits(observations), -np.inf)
        return np.argmax(best, axis=1).astype(np.int64)
