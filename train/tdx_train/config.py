"""Training configurations: frozen models read from TOML files."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator
from pydantic_core import ErrorDetails

from tdx_agents.bundle import weight_columns
from tdx_agents.crossed import decider
from tdx_agents.network import network_cycles
from tdx_env.errors import ConfigError, ObjectiveError, PolicyError, one_of, printable, shown
from tdx_env.host.discipline import Discipline
from tdx_env.spaces import observation_names, observation_size
from tdx_env.state.objectives import ALLOWED_OBJECTIVES, objective_name
from tdx_env.toml_file import read_toml

_FOLDER = Path(__file__).resolve().parent / "configs"
_SUFFIX = ".toml"
_MAX_WIDTH = 1024
_OUTSIDE = {"decision_cycles": "decision_cycles", "asks": "decisions"}
OBJECTIVES = ("cpu", "guest", "latency", "realtime")
"""What an agent for all objectives is trained for: the presets that count TRACK's kicks."""
_Strict = ConfigDict(extra="forbid", frozen=True, strict=True)


class ExactConfig(BaseModel):
    """What the learner on exact advantages does (`tdx_train.exact`)."""

    model_config = _Strict

    base: str = Field(
        default="retry",
        description="policy behind the answers of the first round: an action, or a name of the "
        "catalogue",
    )
    rounds: int = Field(
        default=4, ge=1, le=100, description="gatherings, each behind the best agent before it"
    )
    episodes: int = Field(
        default=4,
        ge=1,
        le=1024,
        description="of each scenario in a round, at least one for each walker",
    )
    decisions: int = Field(
        default=40,
        ge=2,
        le=100_000,
        description="looked at in a round, of each scenario, at busy replies and at flush points",
    )
    futures: int = Field(default=2, ge=2, le=256, description="that every answer is played on in")
    inputs: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="columns of the observation that the network reads at most; what a decision is "
        "charged follows from it; weights of the objective come on top and cost nothing",
    )
    fits: int = Field(default=3, ge=1, le=100, description="networks fitted in a round")
    steps: int = Field(default=1_500, ge=1, description="of gradient descent for a fit")
    caution: float = Field(
        default=0.25,
        ge=0,
        le=10,
        description="what another answer than the base's has to gain [standard errors]",
    )


class TrainConfig(BaseModel):
    """A training run; the defaults are those of the shipped configurations.

    A step is one decision of one environment; the start of an episode counts as one.
    """

    model_config = _Strict

    learner: Literal["ppo", "exact"] = Field(
        default="ppo",
        description="MaskablePPO, or a network fitted to what each answer costs when it is played "
        "on; then hidden, learning_rate, seed, evaluation_episodes and the table exact count",
    )
    exact: ExactConfig = Field(default=ExactConfig(), description="for the learner of that name")
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
    observe_objective: StrictBool = Field(
        default=False,
        description="one agent for all objectives: episodes cost what one of the presets says that "
        "flush points can be weighed by, and the observation shows its weights",
    )
    decisions: Literal["busy", "flush", "all"] = Field(
        default="busy",
        description="where the agent is asked: at busy replies, at flush points of a zap, at both",
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
    columns: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="columns of the observation that the network reads (docs/reference/spaces.md), "
        "weights of the objective come on top; what a decision is charged follows from it; left "
        "out: all",
    )
    counts_waiting: StrictBool = Field(
        default=False,
        description="at flush points, waiting for mmu_lock counts as it is waited, not when it is "
        "over; the sum over an episode is the same",
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

    @field_validator("exact")
    @classmethod
    def _has_a_base(cls, exact: ExactConfig) -> ExactConfig:
        """Check that there is such a policy, and that it runs in the simulator."""
        try:
            policy = decider(exact.base)
        except PolicyError as error:
            raise ValueError(f"base: {error}") from error
        if policy.decide is None:
            raise ValueError(f"base = {exact.base}, must be a policy that is compiled")
        return exact

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
            n_inputs = observation_size(self.decisions)
            if self.learner == "exact":
                n_inputs = min(n_inputs, self.exact.inputs)
            elif self.columns:
                n_inputs = len(self.columns)
            cycles = network_cycles(n_inputs, self.hidden)
        asked: dict[str, Any] = {"decision_cycles": cycles, "asks": self.decisions}
        if self.decisions != "busy":
            asked["flush"] = "decided"
        return Discipline().with_(**{**self.discipline, **asked})

    def inputs(self) -> tuple[str, ...] | None:
        """Return the names of the columns that the network reads, None for all."""
        if not self.columns:
            return None
        return (*self.columns, *(weight_columns() if self.observe_objective else ()))

    def objectives(self) -> tuple[str | None, ...]:
        """Return what episodes cost: one objective, or all that an agent for all is to serve."""
        return OBJECTIVES if self.observe_objective else (self.objective,)


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
    for key, name in _OUTSIDE.items():
        if key in config.discipline:
            raise ConfigError(
                f"{where}: discipline.{key} = {config.discipline[key]}, "
                f"must be given as {name}, outside the table"
            )
    names = observation_names(config.decisions)
    for name in config.columns:
        if name not in names:
            raise ConfigError(f"{where}: columns: {name} is none, {one_of(name, names)}")
    if config.observe_objective and config.objective is not None:
        raise ConfigError(
            f"{where}: objective = {config.objective}, must be left out with observe_objective"
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
        f"{where}: {prefix}{_complaint(one, _fields_beside(one, model))}" for one in error.errors()
    )


def _fields_beside(mistake: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """Return the fields of the table that a mistake is in."""
    table: type[BaseModel] = ExactConfig if mistake["loc"][:-1] == ("exact",) else model
    return list(table.model_fields)


def _complaint(mistake: ErrorDetails, fields: list[str]) -> str:
    """Return one mistake: key, what was given, what is allowed."""
    key = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return f"{key}: unknown key, {one_of(str(mistake['loc'][-1]), fields)}"
    message = mistake["msg"].removeprefix("Value error, ")
    allowed = message.replace("Input should be", "must be")
    return f"{key} = {shown(mistake['input'])}, {allowed[:1].lower()}{allowed[1:]}"
