"""The policy network without torch: dense layers, the best allowed action, and what it takes.

It exists twice: for many decisions at once, and as a compiled decision function that runs inside
the simulator, as hand-written rules do. Both sum in one order, so that they answer alike.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tdx_agents.protocol import Decide, Features
from tdx_env.jit import decision, kernel
from tdx_env.spaces import observation_size, observe_one
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import Feature

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
        columns: Columns of the observation that it reads, in order; None: all.
    """

    def __init__(
        self,
        weights: Weights,
        activation: Activation,
        columns: Sequence[int] | None = None,
    ) -> None:
        self._columns = None if columns is None else np.array(columns, np.int64)
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
        read = observations if self._columns is None else observations[:, self._columns]
        values = np.ascontiguousarray(read, np.float32)
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

    def compiled(self, n_columns: int) -> Decide:
        """Return the same answers as a compiled decision function.

        Args:
            n_columns: Columns of the observation.

        Raises:
            ValueError: The activation isn't relu; tanh is rounded differently when compiled.
        """
        if self._activation != "relu":
            raise ValueError(f"activation = {self._activation}, must be relu to be compiled")
        columns = np.arange(n_columns) if self._columns is None else self._columns
        widths = np.array([len(columns), *(len(bias) for _, bias in self._layers)], np.int64)
        weights = np.concatenate([weight.ravel() for weight, _ in self._layers])
        biases = np.concatenate([bias for _, bias in self._layers])
        return decision(_decide_by(columns, widths, weights, biases, n_columns))


def _decide_by(
    columns: NDArray[np.int64],
    widths: NDArray[np.int64],
    weights: NDArray[np.float32],
    biases: NDArray[np.float32],
    n_columns: int,
) -> Decide:
    """Return a network with relu as a decision function, not compiled yet.

    Args:
        columns: Of the observation, that the network reads.
        widths: Of the layers, the inputs first.
        weights: Of all layers one after the other, inputs by outputs.
        biases: Of all layers.
        n_columns: Columns of the observation.
    """
    widest, n_layers = int(widths.max()), len(widths) - 1
    has_flush = n_columns > observation_size()

    def decide(features: Features) -> int:
        observation = np.empty(n_columns, np.float32)
        observe_one(features, observation, has_flush)
        values, out = np.empty(widest, np.float32), np.empty(widest, np.float32)
        for place in range(len(columns)):
            values[place] = observation[columns[place]]
        weight, bias = 0, 0
        for layer in range(n_layers):
            n_outputs = widths[layer + 1]
            for output in range(n_outputs):
                out[output] = biases[bias + output]
            for source in range(widths[layer]):
                value = values[source]
                if layer > 0:
                    value = max(value, np.float32(0))
                for output in range(n_outputs):
                    out[output] += value * weights[weight + output]
                weight += n_outputs
            bias += n_outputs
            for output in range(n_outputs):
                values[output] = out[output]
        best = 0
        for action in range(1, N_ACTIONS):
            if features[Feature.MASK] >> action & 1 and values[action] > values[best]:
                best = action
        return best

    return decide
