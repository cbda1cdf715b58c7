"""Training configurations: frozen models read from TOML files."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator
from pydantic_core import ErrorDetails

from tdx_agents.network import network_cycles
from tdx_env.errors import ConfigError, ObjectiveError, one_of, printable, shown
from tdx_env.host.discipline import Discipline
from tdx_env.spaces import observation_size
from tdx_env.state.objectives import ALLOWED_OBJECTIVES, objective_name
from tdx_env.toml_file import read_toml

_FOLDER = Path(__file__).resolve().parent / "configs"
_SUFFIX = ".toml"
_MAX_WIDTH = 1024
_Strict = ConfigDict(extra="forbid", frozen=True, strict=True)


class TrainConfig(BaseModel):
    """A training run; the defaults are those of the shipped configurations.

    A step is one decision of one environment; the start of an episode counts as one.
    """

    model_config = _Strict

    scenarios: str = Field(
        default="train",
        description="names, paths or the word train, with commas between; train splits only",
    )
    with_controls: StrictBool = Field(
        default=False, description="train on control scenarios too, which have hardly any decisions"
    )
    objective: str | None = Field(
        default=None,
        description="what an episode costs, in training and validation: a preset, or weights as "
        "host=1,stolen=0.5; left out: what each scenario says, else thread",
    )
    total_steps: int = Field(default=400_000, ge=1, description="length of the run [steps]")
    seed: int = Field(default=1, ge=0, lt=1 << 31, description="seed of the run")
    n_envs: int = Field(default=256, ge=1, le=8192, description="episodes side by side")
    n_steps: int = Field(default=32, ge=1, le=8192, description="steps of each between updates")
    batch_size: int = Field(default=2048, ge=2, description="decisions in a gradient step")
    n_epochs: int = Field(default=4, ge=1, le=100, description="passes over what was collected")
    learning_rate: float = Field(
        default=1e-3, gt=0, le=1, description="at the start; falls to 0 in a line"
    )
    hidden: tuple[int, ...] = Field(
        default=(64, 64), max_length=8, description="widths of the network's layers", strict=False
    )
    activation: Literal["relu", "tanh"] = Field(default="relu", description="of the layers")
    retry_bias: float = Field(
        default=1.0, ge=0, le=10, description="added to RETRY's logit in the untrained network"
    )
    entropy_coefficient: float = Field(
        default=0.003, ge=0, le=1, description="weight of the entropy bonus"
    )
    gae_lambda: float = Field(default=0.9, ge=0, le=1, description="of the advantage estimate")
    clip_range: float = Field(default=0.2, gt=0, le=1, description="of PPO's probability ratio")
    reward_floor: float = Field(
        default=-5.0,
        lt=0,
        description="least reward of a step, where an episode under the better blind policy has "
        "about -1: single disasters don't drown the rest",
    )
    evaluation_interval: int = Field(
        default=50_000, ge=1, description="between evaluations on the validation split [steps]"
    )
    evaluation_episodes: int = Field(
        default=32, ge=1, le=100_000, description="episodes of each validation scenario"
    )
    decision_cycles: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="what one decision of the network is charged [cycles]; left out: what its "
        "shape gives (tdx_agents.network.network_cycles)",
    )
    discipline: dict[str, Any] = Field(
        default={}, description="changes to the default host discipline"
    )
    n_threads: int = Field(default=2, ge=1, le=256, description="threads of the simulator")

    @field_validator("objective")
    @classmethod
    def _is_objective(cls, objective: str | None) -> str | None:
        """Return an objective as it is named, a preset's name if it is one."""
        if objective is None:
            return None
        try:
            return objective_name(objective)
        except ObjectiveError as error:
            raise ValueError(f"must be {ALLOWED_OBJECTIVES}") from error

    @field_validator("hidden")
    @classmethod
    def _has_wide_layers(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        """Check the widths."""
        if not all(1 <= width <= _MAX_WIDTH for width in widths):
            raise ValueError(f"must be a list of widths from 1 to {_MAX_WIDTH}")
        return widths

    def host_discipline(self) -> Discipline:
        """Return the host discipline that the agent is trained under and ships with.

        Raises:
            ValidationError: A change names no field of it, or has a value that is not allowed.
        """
        cycles = self.decision_cycles
        if cycles is None:
            cycles = network_cycles(observation_size(), self.hidden)
        return Discipline().with_(**{**self.discipline, "decision_cycles": cycles})


def config_names() -> list[str]:
    """Return the names of the configurations that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def load_config(name: str) -> TrainConfig:
    """Load a configuration.

    Args:
        name: One of `config_names`, or the path of a TOML file.

    Raises:
        ConfigError: There is no such configuration, or it has an unknown key or a wrong value.
    """
    if not name.isprintable():
        raise ConfigError(f"configuration {shown(name)}: must be a name that can be printed")
    if name in config_names():
        path = _FOLDER / f"{name}{_SUFFIX}"
    elif name.endswith(_SUFFIX):
        path = Path(name)
    else:
        must = one_of(name, config_names()).removeprefix("must be ")
        raise ConfigError(
            f'configuration "{name}" is unknown, must be a path to a {_SUFFIX} file or {must}'
        )
    return _parsed(path if path.parent != _FOLDER else Path(path.name), _read(path))


def _read(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds."""
    try:
        return read_toml(path)
    except ValueError as error:
        raise ConfigError(f"{printable(str(path))}: {error}") from error


def _parsed(where: Path, data: dict[str, Any]) -> TrainConfig:
    """Return the configuration that a table holds."""
    try:
        config = TrainConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_complaints(where, "", error)) from error
    if "decision_cycles" in config.discipline:
        raise ConfigError(
            f"{where}: discipline.decision_cycles = {config.discipline['decision_cycles']}, "
            "must be given as decision_cycles, outside the table"
        )
    try:
        config.host_discipline()
    except ValidationError as error:
        raise ConfigError(_complaints(where, "discipline.", error)) from error
    if config.batch_size > config.n_envs * config.n_steps:
        raise ConfigError(
            f"{where}: batch_size = {config.batch_size}, must be at most n_envs * n_steps, "
            f"{config.n_envs * config.n_steps}"
        )
    return config


def _complaints(where: Path, prefix: str, error: ValidationError) -> str:
    """Return what is wrong with a file, one line for each mistake."""
    model = TrainConfig if not prefix else Discipline
    return "\n".join(
        f"{where}: {prefix}{_complaint(one, list(model.model_fields))}" for one in error.errors()
    )


def _complaint(mistake: ErrorDetails, fields: list[str]) -> str:
    """Return one mistake: key, what was given, what is allowed."""
    key = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return f"{key}: unknown key, {one_of(str(mistake['loc'][-1]), fields)}"
    message = mistake["msg"].removeprefix("Value error, ")
    allowed = message.replace("Input should be", "must be")
    return f"{key} = {shown(mistake['input'])}, {allowed[:1].lower()}{allowed[1:]}"
