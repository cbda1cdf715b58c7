"""The policy network, against torch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdx_agents.network import Network, network_cycles, weight_shapes
from tdx_env.spaces import observation_size, observe
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import N_FEATURES, Feature


def random_weights(layers, seed=0):
    """Return weights for a network of some widths."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in weight_shapes(layers).items()
    }


def layers_of(*hidden):
    """Return the widths of a network with these hidden layers."""
    return (observation_size(), *hidden, N_ACTIONS)


def torch_logits(weights, activation, observations):
    """Return what torch computes with the same weights."""
    torch = pytest.importorskip("torch")
    step = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation]
    parts = []
    for number in range(len(weights) // 2):
        weight = torch.from_numpy(weights[f"layers.{number}.weight"])
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(torch.from_numpy(weights[f"layers.{number}.bias"]))
        parts += [layer, step()]
    with torch.no_grad():
        return torch.nn.Sequential(*parts[:-1])(torch.from_numpy(observations)).numpy()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (8,), (64, 64), (64, 1, 32)])
def test_logits_are_torch_s(activation, hidden):
    weights = random_weights(layers_of(*hidden))
    observations = np.random.default_rng(1).random((37, observation_size()), np.float32)
    ours = Network(weights, activation).logits(observations)
    theirs = torch_logits(weights, activation, observations)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)  # float32, other summing order


@given(n_rows=st.integers(1, 60), first=st.integers(0, 40))
def test_row_is_the_same_bit_for_bit_in_any_batch(n_rows, first):
    network = Network(random_weights(layers_of(17, 5)), "tanh")
    observations = np.random.default_rng(1).random((100, observation_size()), np.float32)
    together = network.logits(observations)
    part = network.logits(observations[first : first + n_rows])
    assert (part == together[first : first + n_rows]).all()


@given(mask=st.lists(st.integers(0, 1), min_size=2, max_size=2), seed=st.integers(0, 100))
def test_action_is_the_best_allowed_one(mask, seed):
    network = Network(random_weights(layers_of(8)), "relu")
    observation = np.random.default_rng(seed).random((1, observation_size()), np.float32)
    masks = np.array([[1, *mask]], np.int8)
    features = np.zeros((1, 0), np.int64)
    action = int(network.act(observation, features, masks)[0])
    logits = network.logits(observation)[0]
    assert masks[0, action]
    assert all(logits[action] >= logits[other] for other in np.flatnonzero(masks[0]))


def test_first_of_equal_actions_is_taken():
    weights = {
        name: np.zeros(shape, np.float32) for name, shape in weight_shapes(layers_of(4)).items()
    }
    network = Network(weights, "tanh")
    observations = np.ones((2, observation_size()), np.float32)
    masks = np.array([[1, 1, 1], [0, 1, 1]], np.int8)
    actions = network.act(observations, np.zeros((2, 0), np.int64), masks)
    assert actions.dtype == np.int64
    assert actions.tolist() == [0, 1]


def test_no_decisions_give_no_actions():
    network = Network(random_weights(layers_of(4)), "tanh")
    nothing = np.empty((0, observation_size()), np.float32)
    assert network.logits(nothing).shape == (0, N_ACTIONS)


def test_decision_of_the_measured_network_takes_what_was_measured():
    """1,258 ns of a 32-64-64-3 network at 2.5 GHz; its inputs were ready, ours have to be made."""
    assert network_cycles(32, (64, 64)) - 32 == pytest.approx(1258 * 2.5, rel=0.01)


@given(hidden=st.lists(st.integers(1, 100), max_size=3), n_inputs=st.integers(1, 200))
def test_decision_takes_more_with_every_column_and_width(hidden, n_inputs):
    cycles = network_cycles(n_inputs, hidden)
    assert network_cycles(n_inputs + 1, hidden) > cycles
    assert not hidden or network_cycles(n_inputs + 1, [*hidden[:-1], hidden[-1] + 1]) > cycles


def test_network_that_reads_some_columns_ignores_the_others():
    network = Network(random_weights((3, 5, N_ACTIONS)), "relu", columns=[7, 0, 3])
    observations = np.random.default_rng(1).random((9, observation_size()), np.float32)
    plain = Network(random_weights((3, 5, N_ACTIONS)), "relu")
    assert (network.logits(observations) == plain.logits(observations[:, [7, 0, 3]])).all()


@pytest.mark.parametrize(("hidden", "columns"), [((), None), ((9,), None), ((6, 4), (9, 0, 33))])
def test_compiled_network_answers_as_the_other_does(hidden, columns):
    n_columns = observation_size("all")
    n_read = n_columns if columns is None else len(columns)
    network = Network(random_weights((n_read, *hidden, N_ACTIONS)), "relu", columns)
    decide = network.compiled(n_columns)
    rng = np.random.default_rng(2)
    features = rng.integers(0, 4, (200, N_FEATURES))
    features[:, Feature.MASK] = rng.choice([1, 3, 5, 7], 200)
    masks = (features[:, [Feature.MASK]] >> np.arange(N_ACTIONS) & 1).astype(np.int8)
    observations = np.empty((200, n_columns), np.float32)
    observe(features, observations)
    expected = network.act(observations, features, masks)
    assert [decide(row) for row in features] == expected.tolist()


def test_tanh_is_not_compiled():
    with pytest.raises(ValueError, match="activation = tanh, must be relu"):
        Network(random_weights(layers_of(4)), "tanh").compiled(observation_size())
