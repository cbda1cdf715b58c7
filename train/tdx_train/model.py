"""The learner: stable-baselines3's MaskablePPO with fast settings, and its weights as arrays."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tdx_env.state.discipline import Action
from tdx_train.checkpoint import Arrays, below, under
from tdx_train.config import TrainConfig
from tdx_train.learning import PPO, Logger, MaskablePPO, torch
from tdx_train.vec_env import SeamcallVecEnv

_ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
_GAMMA = 1.0  # episodes are finite; discounting per decision would pay for many short ones


def build_model(config: TrainConfig, env: SeamcallVecEnv) -> MaskablePPO:
    """Return the untrained learner of a configuration."""
    torch.set_num_threads(1)  # a second one gains little on so small a network
    torch.distributions.Distribution.set_default_validate_args(
        False
    )  # checks of each distribution cost 10 %
    model = MaskablePPO(
        "MlpPolicy",
        env,
        learning_rate=lambda remaining: config.learning_rate * remaining,
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        gamma=_GAMMA,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.entropy_coefficient,
        policy_kwargs={
            "net_arch": list(config.hidden),
            "activation_fn": _ACTIVATIONS[config.activation],
        },
        seed=config.seed,
        device="cpu",
    )
    model.set_logger(Logger(None, []))
    with torch.no_grad():
        dense_layers(model)[-1].bias[Action.RETRY] += config.retry_bias
    return model


def dense_layers(model: PPO | MaskablePPO) -> list[torch.nn.Linear]:
    """Return the policy's dense layers, from the observation to the actions."""
    layers = [*model.policy.mlp_extractor.policy_net, model.policy.action_net]
    return [layer for layer in layers if isinstance(layer, torch.nn.Linear)]


def policy_weights(model: PPO | MaskablePPO) -> dict[str, NDArray[np.float32]]:
    """Return the policy's weights as bundles name them: ``layers.N.weight``, ``layers.N.bias``."""
    weights = {}
    for number, layer in enumerate(dense_layers(model)):
        weights[f"layers.{number}.weight"] = layer.weight.detach().numpy().copy()
        weights[f"layers.{number}.bias"] = layer.bias.detach().numpy().copy()
    return weights


def is_finite(model: PPO | MaskablePPO) -> bool:
    """Say whether every parameter of the learner is a number."""
    return all(bool(torch.isfinite(part).all()) for part in model.policy.parameters())


def learner_state(model: MaskablePPO, env: SeamcallVecEnv) -> tuple[dict[str, int], Arrays]:
    """Return all that the learner's next steps depend on, as numbers and arrays.

    The learner draws from torch's generator and, to shuffle, from NumPy's global one.
    """
    policy = {name: part.numpy() for name, part in model.policy.state_dict().items()}
    moments = {
        f"{number}.{name}": value.numpy()
        for number, one in model.policy.optimizer.state_dict()["state"].items()
        for name, value in one.items()
    }
    _, keys, place, has_gauss, gauss = np.random.get_state()
    drawn = {
        "torch": torch.get_rng_state().numpy(),
        "keys": np.array(keys),
        "places": np.array([place, has_gauss], np.int64),
        "gauss": np.array(gauss),
    }
    arrays = under("policy", policy) | under("moments", moments) | under("drawn", drawn)
    starts: Arrays = {"starts": np.array(model._last_episode_starts)}
    numbers = {"num_timesteps": model.num_timesteps, "n_updates": model._n_updates}
    return numbers, arrays | starts | under("env", env.state())


def restore_learner(
    model: MaskablePPO, env: SeamcallVecEnv, numbers: Mapping[str, int], arrays: Arrays
) -> None:
    """Put a learner's state back into one that was built of the same configuration."""
    parts = {name: torch.from_numpy(one) for name, one in below("policy", arrays).items()}
    model.policy.load_state_dict(parts)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in below("moments", arrays).items():
        number, _, which = name.partition(".")
        state.setdefault(int(number), {})[which] = torch.from_numpy(array)
    groups = model.policy.optimizer.state_dict()["param_groups"]
    model.policy.optimizer.load_state_dict({"state": state, "param_groups": groups})
    model.num_timesteps, model._n_updates = numbers["num_timesteps"], numbers["n_updates"]
    model._last_obs = env.restore(below("env", arrays))
    model._last_episode_starts = arrays["starts"]
    drawn = below("drawn", arrays)
    torch.set_rng_state(torch.from_numpy(drawn["torch"]))
    place, has_gauss = drawn["places"].tolist()
    np.random.set_state(("MT19937", drawn["keys"], place, has_gauss, float(drawn["gauss"])))
