"""Fitting a network to what answers cost, and thinning out what it reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import ConfigError
from tdx_env.state.discipline import N_ACTIONS
from tdx_train.exact.stakes import Stakes
from tdx_train.learning import torch

_BATCH = 1024
_NEVER = -1e9
_DECAY = 1e-2
_WARM = 0.3  # of the steps, in which the learning rate rises


@dataclass(frozen=True)
class Fit:
    """How a network is fitted.

    Attributes:
        hidden: Widths of its hidden layers; relu behind each.
        n_inputs: Columns that it may read, beside those that are kept.
        n_steps: Gradient steps.
        learning_rate: The highest.
        kept: Columns that thinning leaves alone.
    """

    hidden: tuple[int, ...]
    n_inputs: int
    n_steps: int
    learning_rate: float
    kept: tuple[int, ...] = ()


def _network(n_inputs: int, hidden: tuple[int, ...]) -> "torch.nn.Sequential":
    """Return an untrained network."""
    widths = (n_inputs, *hidden, N_ACTIONS)
    layers: list[torch.nn.Module] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _trained(
    seen: NDArray[np.float32],
    masks: NDArray[np.int8],
    stakes: Stakes,
    fit: Fit,
    seed: int,
) -> "torch.nn.Sequential":
    """Return a network whose answers cost least: cross entropy, weighed by what is at stake.

    Raises:
        ConfigError: The loss is no number any more.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = _network(seen.shape[1], fit.hidden)
    inputs, allowed = torch.from_numpy(seen), torch.from_numpy(masks != 0)
    costs = torch.from_numpy(stakes.costs * stakes.weights[:, None]).float()
    best = costs.masked_fill(~allowed, torch.inf).min(dim=1)
    regret = (costs - best.values[:, None]).masked_fill(~allowed, 0).sum(dim=1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=fit.learning_rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, fit.learning_rate, total_steps=fit.n_steps + 1, pct_start=_WARM
    )
    n_rows = len(inputs)
    for _ in range(fit.n_steps):
        some = torch.randint(n_rows, (min(_BATCH, n_rows),))
        logits = network(inputs[some]).masked_fill(~allowed[some], _NEVER)
        wrong = torch.nn.functional.cross_entropy(logits, best.indices[some], reduction="none")
        loss = (regret[some] * wrong).mean() * n_rows
        if not torch.isfinite(loss):
            raise ConfigError(
                f"learning_rate = {fit.learning_rate}: the loss is {float(loss.detach())}, must "
                "be smaller; the best agent so far is kept"
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network


def _importance(
    network: "torch.nn.Sequential", seen: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much each column moves what the first layer adds up, shape (n_columns,)."""
    first = network[0]
    assert isinstance(first, torch.nn.Linear)
    norms = first.weight.detach().norm(dim=0).numpy().astype(np.float64)
    share = weights / weights.sum()
    mean = share @ seen
    spread = np.sqrt(np.maximum(share @ np.square(seen - mean), 0))
    return norms * spread


def fitted(
    seen: NDArray[np.float32],
    masks: NDArray[np.int8],
    stakes: Stakes,
    fit: Fit,
    seed: int,
) -> tuple[dict[str, NDArray[np.float32]], list[int]]:
    """Return a network's weights, as bundles name them, and the columns that it reads, in order.

    A network that reads everything is fitted first; half of the columns that move it least are left
    out, and so on, until as many are left as it may read.

    Args:
        seen: Observations, shape (n, n_columns).
        masks: 1 for each allowed action, shape (n, N_ACTIONS).
        stakes: What answers cost.
        fit: How.
        seed: Of the weights it starts with.

    Raises:
        ConfigError: The learning rate is too large.
    """
    columns = np.flatnonzero(seen.std(axis=0) > 0)
    while True:
        read = np.ascontiguousarray(seen[:, columns])
        network = _trained(read, masks, stakes, fit, seed)
        n_most = fit.n_inputs + len(fit.kept)
        if len(columns) <= n_most:
            break
        n_left = max(n_most, len(columns) // 2)
        moved = _importance(network, read, stakes.weights)
        moved[np.isin(columns, fit.kept)] = np.inf
        columns = np.sort(columns[np.argsort(-moved, kind="stable")[:n_left]])
    weights = {}
    for number, layer in enumerate(one for one in network if isinstance(one, torch.nn.Linear)):
        weights[f"layers.{number}.weight"] = layer.weight.detach().numpy().copy()
        weights[f"layers.{number}.bias"] = layer.bias.detach().numpy().copy()
    return weights, columns.tolist()
