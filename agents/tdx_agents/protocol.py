"""What a policy is: a decision rule in one of three forms, and a host discipline."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tdx_env.errors import PolicyError, TdxEnvError, shown
from tdx_env.host.discipline import Discipline
from tdx_env.jit import kernel
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import Feature

Features = NDArray[np.int64]
Decide = Callable[[Features], int]
Act = Callable[[NDArray[np.float32], Features, NDArray[np.int8]], NDArray[np.int64]]


class Kind(StrEnum):
    """The form of a policy's decision rule."""

    COMPILED = "compiled"  # a function of the integer features, runs inside the simulator
    BATCHED = "batched"  # a function of many observations at once
    PYTHON = "python"  # a user's plain function


@dataclass(frozen=True, eq=False)
class Policy:
    """A decision rule and the host discipline it comes with.

    Attributes:
        name: What `tdx_agents.load` finds it by, and what reports show.
        number: Row of the catalogue ("P18"), or "" if it is none.
        title: What it does, in one line.
        source: Who proposed it, when; or the file it was loaded from.
        kind: Form of the decision rule.
        discipline: What the host does round the decisions.
        decide: Compiled policies: features, int64, shape (N_FEATURES,), to an allowed Action.
        act: The others: observations (n, size), features (n, N_FEATURES), masks (n,
            N_ACTIONS) to actions (n,), int64, every one allowed.
        behaves_as: Number of the row that does the same in all that is simulated, or "".
    """

    name: str
    number: str
    title: str
    source: str
    kind: Kind
    discipline: Discipline
    decide: Decide | None = None
    act: Act | None = None
    behaves_as: str = ""

    def __post_init__(self) -> None:
        """Check that the policy has the one rule of its kind."""
        assert (self.decide is not None) == (self.kind == Kind.COMPILED)
        assert (self.act is not None) == (self.kind != Kind.COMPILED)

    @property
    def decision_cycles(self) -> int:
        """What one decision takes [cycles]."""
        return self.discipline.decision_cycles

    def blamed(self) -> AbstractContextManager[None]:
        """Return a context in which what the rule raises becomes a `PolicyError` that names it.

        Whoever runs ``decide`` in the simulator does it in there.
        """
        return blamed_on(f"{self.name} ({self.source})")

    @property
    def is_mergeable(self) -> bool:
        """Whether KVM could do it today, without being restructured."""
        return not self.discipline.needs_kvm_change

    @property
    def mark(self) -> str:
        """What reports say about that."""
        return "mergeable today" if self.is_mergeable else "needs a KVM change"

    def actions(
        self,
        observations: NDArray[np.float32],
        features: Features,
        masks: NDArray[np.integer],
    ) -> NDArray[np.int64]:
        """Decide for a batch, whatever the form of the rule.

        Args:
            observations: Shape (n, observation_size()).
            features: The same decisions as integers, shape (n, N_FEATURES).
            masks: 1 for each allowed action, shape (n, N_ACTIONS).

        Returns:
            Actions, shape (n,).

        Raises:
            PolicyError: The rule answered with something that is not allowed.
        """
        allowed = np.ascontiguousarray(masks, np.int8)
        if self.decide is not None:
            rows = np.ascontiguousarray(features)
            with self.blamed():
                answers = np.array([self.decide(row) for row in rows], np.int64)
        else:
            assert self.act is not None
            answers = self.act(observations, features, allowed)
        wrong = np.flatnonzero(~_are_allowed(answers, allowed))
        if len(wrong):
            first = wrong[0]
            raise PolicyError(f"{self.name}: {refusal(answers[first].item(), allowed[first])}")
        return answers


def _are_allowed(answers: NDArray[np.int64], masks: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Say of each answer whether its mask allows it, shape (n,)."""
    is_action = (answers >= 0) & (answers < N_ACTIONS)
    rows = np.arange(len(masks))
    allowed: NDArray[np.bool_] = masks[rows, np.where(is_action, answers, 0)] != 0
    return is_action & allowed


def told(error: BaseException) -> str:
    """Return an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def blamed_on(place: str) -> Iterator[None]:
    """Turn whatever a decision rule raises into a `PolicyError` that names it.

    Kernels raise nothing: round a run in the simulator it can only be the rule. Ctrl-C and errors
    that are told already pass.
    """
    try:
        yield
    except (KeyboardInterrupt, TdxEnvError):
        raise
    except BaseException as error:  # SystemExit too: else a command ends well without results
        raise PolicyError(f"{place}: raised {told(error)}") from error


def refusal(answer: object, mask: NDArray[np.integer]) -> str:
    """Return in words that an answer is not allowed, and which ones are."""
    allowed = ", ".join(f"{action.name} ({action:d})" for action in Action if mask[action])
    return f"returned {shown(answer)}, allowed here: {allowed}"


@kernel
def is_allowed(features: Features, action: int) -> bool:
    """Say whether an action is allowed at a decision."""
    return (features[Feature.MASK] >> action) & 1 != 0


@kernel
def if_allowed(features: Features, action: Action) -> int:
    """Return the action if it is allowed at the decision, else RETRY, which always is."""
    if is_allowed(features, action):
        return action
    return Action.RETRY


@kernel
def is_removal(features: Features) -> bool:
    """Say whether a call of the zap or split chain was busy, or TRACK, which an export makes too.

    Source:
        Linux 6.16, tdx.c: BLOCK, TRACK and REMOVE share one rule, and KVM has one tdx_track.
    """
    return features[Feature.PATH] == CallPath.ZAP or features[Feature.LEAF] == Leaf.MEM_TRACK


def mask_of(features: Features) -> NDArray[np.int8]:
    """Return the allowed actions at one decision, shape (N_ACTIONS,)."""
    return np.array([features[Feature.MASK] >> action & 1 for action in Action], np.int8)
