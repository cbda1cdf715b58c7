"""C against the tree in Python, on random decisions and on decisions that occur."""

import numpy as np
from numpy.typing import NDArray

from tdx_agents.tree import Tree, answers_of
from tdx_env.engine.batch import Batch
from tdx_env.errors import PolicyError
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.module.operands import Operand
from tdx_env.scenarios import load, setup_of
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import LAST_SEAMCALL, NONE
from tdx_env.state.discipline import N_ACTIONS
from tdx_env.state.features import N_FEATURES, Feature
from tdx_eval.exporting.compiling import Compiled

_BITS = 40  # of an amount, at most
_AVERAGE_BITS = 28  # of an average of cycles
_VCPUS = 4096
_FEW = 6
_AVERAGES = (
    Feature.FLUSH_SEND,
    Feature.FLUSH_TARGET,
    Feature.KICK_SEND_TARGET,
    Feature.KICK_WAIT,
    Feature.KICK_TARGET,
)
_FLAGS = (Feature.MMU_CONTENDED, Feature.HAS_EVENTS, Feature.NEED_RESCHED, Feature.ACCEPT_FAULT)
_OPERANDS = [int(one) for one in Operand]


def _amounts(
    generator: np.random.Generator, bits: int, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return numbers from 0 on, as many of each length in bits; a third of them tiny."""
    wide = generator.integers(0, 1 << bits, shape) >> generator.integers(0, bits, shape)
    return np.where(generator.random(shape) < 1 / 3, generator.integers(0, _FEW, shape), wide)


def random_states(n: int, seed: int) -> NDArray[np.int64]:
    """Return decisions drawn at random within the stated ranges, shape (n, N_FEATURES)."""
    generator = np.random.default_rng(seed)
    states = _amounts(generator, _BITS, (n, N_FEATURES))
    for feature in _AVERAGES:
        states[:, feature] = _amounts(generator, _AVERAGE_BITS - 1, (n,))
    for feature in _FLAGS:
        states[:, feature] = generator.integers(0, 2, n)
    states[:, Feature.N_IN_GUEST] = generator.integers(0, _VCPUS + 1, n)
    states[:, Feature.PATH] = generator.integers(0, len(CallPath), n)
    states[:, Feature.LEAF] = generator.integers(0, LAST_SEAMCALL + 1, n)
    states[:, Feature.OPERAND] = generator.choice(_OPERANDS, n)
    states[:, Feature.MASK] = 1 | generator.integers(0, 1 << N_ACTIONS, n)
    return states


def real_states(scenarios: list[str], n: int, n_worlds: int = 8) -> NDArray[np.int64]:
    """Return decisions that occur where answers are drawn at random, shape (at most n, N_FEATURES).

    Args:
        scenarios: Names or files, played in turn.
        n: How many at most, as many of each scenario.
        n_worlds: Episodes of each, side by side.
    """
    import tdx_agents

    discipline = tdx_agents.load("greedy-tree").discipline.record()
    generator = np.random.default_rng(0)
    found: list[NDArray[np.int64]] = []
    each = -(-n // max(1, len(scenarios)))
    for name in scenarios:
        batch = Batch(setup_of(load(name)), discipline, n_worlds)
        batch.reset(np.arange(n_worlds))
        batch.advance()
        n_found = 0
        while n_found < each and batch.waiting.any():
            rows = batch.features[batch.waiting]
            found.append(rows[: each - n_found].copy())
            n_found += len(rows)
            drawn = generator.random(batch.masks.shape) * batch.masks
            batch.advance(actions=np.where(batch.waiting, drawn.argmax(axis=1), NONE))
    return np.concatenate([np.empty((0, N_FEATURES), np.int64), *found])


def records_of(states: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return decisions as the fields of C's record, each of shape (n,)."""
    records = {feature.name.lower(): states[:, feature] for feature in Feature}
    pairs = zip(states[:, Feature.LEAF].tolist(), states[:, Feature.OPERAND].tolist(), strict=True)
    lock = np.array([operand_class(*pair) for pair in pairs], np.int64)
    is_flush = states[:, Feature.PATH] == CallPath.FLUSH
    records["lock"] = np.where(is_flush, OperandClass.OTHER, lock)
    records["allowed"] = states[:, Feature.MASK]
    return records


def check_equal(tree: Tree, compiled: Compiled, states: NDArray[np.int64]) -> None:
    """Hold C against Python.

    Raises:
        PolicyError: They differ at some decision.
    """
    wanted = answers_of(tree.root, states)
    given = compiled.answers(records_of(states))
    wrong = np.flatnonzero(wanted != given)
    if len(wrong):
        first = int(wrong[0])
        values = dict(
            zip((one.name.lower() for one in Feature), states[first].tolist(), strict=True)
        )
        raise PolicyError(
            f"{tree.name}: C answers {given[first]}, Python {wanted[first]}, {len(wrong):,} of "
            f"{len(states):,} decisions differ, the first: {values}"
        )
