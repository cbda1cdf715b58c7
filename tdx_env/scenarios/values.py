"""The kinds of values that a scenario file holds: whole numbers, ranges, words, cost bands."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tdx_env.errors import N_NEAREST, ObjectiveError, ScenarioError
from tdx_env.module.versions import MODULE_VERSIONS, nearest_first, version_name
from tdx_env.state.kernels import KERNELS, nearest_kernels
from tdx_env.state.objectives import ALLOWED_OBJECTIVES, objective_name
from tdx_env.state.setup import MAX_CHOICES, N_BANDS

REST: Final = "rest"  # a group's count: the vCPUs that no other group has
EACH: Final = "each"  # the host's CPUs: one for each vCPU
AUTO: Final = "auto"  # an area's size: what groups and tasks need
_ENDS = ("low", "high")
_CHOICE = ("choices", "weights")
_MOST_WEIGHT = 10**6


class Range(BaseModel):
    """A whole number that is drawn anew each episode, from low to high (both included)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    low: int
    high: int

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one value to draw."""
        return self.low == self.high

    def __str__(self) -> str:
        """Return the range as it may be given on a command line."""
        return f"{self.low:,}" if self.is_fixed else f"{self.low:,}..{self.high:,}"


class Choice(BaseModel):
    """A whole number that is drawn anew each episode out of some, each with a weight."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    choices: tuple[int, ...]
    weights: tuple[int, ...]

    @property
    def low(self) -> int:
        """The smallest that may be drawn."""
        return min(self.choices)

    @property
    def high(self) -> int:
        """The largest that may be drawn."""
        return max(self.choices)

    def __str__(self) -> str:
        """Return the smallest and the largest, as a range has it."""
        return f"{self.low:,}..{self.high:,}"


def refuse(allowed: str) -> PydanticCustomError:
    """Return the error that says what a value must be."""
    return PydanticCustomError("allowed", "must be {allowed}", {"allowed": allowed})


def is_whole(value: object) -> bool:
    """Say whether a value is an integer and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_range_table(value: object) -> bool:
    """Say whether a value is a table with low or high in it, which is replaced as a whole.

    A table of choices is too.
    """
    return isinstance(value, Mapping) and bool(value.keys() & {*_ENDS, *_CHOICE})


class _Checked:
    """What a field is annotated with, and checked by."""

    def check(self, value: Any) -> Any:
        """Return the value as the field holds it.

        Raises:
            PydanticCustomError: It isn't allowed.
        """
        raise NotImplementedError

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return pydantic's schema: our own check and nothing else."""
        return core_schema.no_info_plain_validator_function(self.check)


@dataclass(frozen=True)
class Whole(_Checked):
    """Bounds of a whole number; a few words may stand for one."""

    low: int
    high: int
    words: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What is allowed, for error messages."""
        numbers = f"a whole number from {self.low:,} to {self.high:,}"
        only = f"{self.low:,}" if self.low == self.high else numbers
        return " or ".join([only, *(f'"{word}"' for word in self.words)])

    def check(self, value: Any) -> int | str:
        """Return the value if it is allowed.

        Raises:
            PydanticCustomError: It isn't.
        """
        if isinstance(value, str) and value in self.words:
            return value
        if is_whole(value) and self.low <= value <= self.high:
            return int(value)
        raise refuse(self.allowed)


@dataclass(frozen=True)
class Span(_Checked):
    """Bounds of a range, given as a number or as low and high; a few words may stand for one.

    Attributes:
        low: Smallest number allowed.
        high: Largest number allowed.
        words: Words that are allowed instead.
        has_zero: The number 0 alone is allowed too.
        hint: What else may be given, for error messages.
    """

    low: int
    high: int
    words: tuple[str, ...] = ()
    has_zero: bool = False
    hint: str = ""

    @property
    def allowed(self) -> str:
        """What is allowed, for error messages."""
        others = ["0 (none)"] if self.has_zero else []
        others += [f'"{word}"' for word in self.words]
        numbers = f"a whole number or a range low..high from {self.low:,} to {self.high:,}"
        return " or ".join([numbers, *others]) + self.hint

    def check(self, value: Any) -> Range | str:
        """Return the value as a range (or word) if it is allowed.

        Raises:
            PydanticCustomError: It isn't.
        """
        if isinstance(value, str) and value in self.words:
            return value
        low, high = self._ends(value)
        if low > high:
            raise refuse(f"{self.allowed}, with low not above high")
        if (self.has_zero and low == high == 0) or self.low <= low <= high <= self.high:
            return Range(low=low, high=high)
        raise refuse(self.allowed)

    def _ends(self, value: Any) -> tuple[int, int]:
        """Return low and high of a number, table or range."""
        ends = (value, value)
        if isinstance(value, Range):
            ends = (value.low, value.high)
        elif isinstance(value, Mapping) and set(value) == set(_ENDS):
            ends = (value["low"], value["high"])
        if not all(is_whole(end) for end in ends):
            raise refuse(self.allowed)
        return ends


@dataclass(frozen=True)
class Sizes(_Checked):
    """Bounds of a range, or of numbers that are chosen from by weight."""

    low: int
    high: int

    def check(self, value: Any) -> Range | Choice | str:
        """Return the value as a range or choice if it is allowed.

        Raises:
            PydanticCustomError: It isn't.
        """
        if isinstance(value, Choice):
            value = {"choices": value.choices, "weights": value.weights}
        if not isinstance(value, Mapping) or not value.keys() & set(_CHOICE):
            return Span(self.low, self.high, hint=" or choices with weights").check(value)
        if set(value) != set(_CHOICE):
            raise refuse("choices and weights together, and nothing beside them")
        choices = self._numbers(value["choices"], self.low, self.high, "choices")
        if any(one >= other for one, other in itertools.pairwise(choices)):
            raise refuse("choices that rise, each one once")
        weights = self._numbers(value["weights"], 0, _MOST_WEIGHT, "weights")
        if len(weights) != len(choices):
            given = f"{len(weights)} for {len(choices)} choices"
            raise refuse(f"weights as many as choices, not {given}")
        if sum(weights) == 0:
            raise refuse("weights of which one is above 0")
        return Choice(choices=choices, weights=weights)

    def _numbers(self, given: Any, low: int, high: int, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers in bounds, at least one and not too many."""
        is_list = isinstance(given, list | tuple) and 0 < len(given) <= MAX_CHOICES
        if not is_list or not all(is_whole(one) and low <= one <= high for one in given):
            numbers = f"whole numbers from {low:,} to {high:,}"
            raise refuse(f"{name} that are a list of 1 to {MAX_CHOICES} {numbers}")
        return tuple(given)


@dataclass(frozen=True)
class Word(_Checked):
    """A text of one form."""

    pattern: str
    allowed: str

    def check(self, value: Any) -> str:
        """Return the value if it is allowed.

        Raises:
            PydanticCustomError: It isn't.
        """
        if isinstance(value, str) and re.fullmatch(self.pattern, value):
            return value
        raise refuse(self.allowed)


@dataclass(frozen=True)
class ObjectiveText(_Checked):
    """An objective: a preset's name, or weights as a table or a text; kept as a text."""

    def check(self, value: Any) -> str:
        """Return the objective as a text.

        Raises:
            PydanticCustomError: It is none.
        """
        try:
            return objective_name(value)
        except ObjectiveError as error:
            raise refuse(ALLOWED_OBJECTIVES) from error


@dataclass(frozen=True)
class ModuleNames(_Checked):
    """Versions of the TDX module, a name or a list; an older name warns and is replaced."""

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the versions' present names, in the order of the table.

        Raises:
            PydanticCustomError: There is no such version, or none is given, or one twice.
        """
        given = list(value) if isinstance(value, list | tuple) else [value]
        names = [self._name(one) for one in given]
        if not names or len(set(names)) < len(names):
            raise refuse(f"one, or a list of different ones, of {', '.join(MODULE_VERSIONS)}")
        return tuple(name for name in MODULE_VERSIONS if name in names)

    def _name(self, value: Any) -> str:
        """Return the present name of one version."""
        try:
            if isinstance(value, str):
                return version_name(value)
        except ScenarioError:
            pass  # the message for a scenario names key and value by itself
        near = nearest_first(str(value), MODULE_VERSIONS)[:N_NEAREST]
        raise refuse(f"one of {', '.join(near)} or another version")


@dataclass(frozen=True)
class KernelName(_Checked):
    """A version of KVM."""

    def check(self, value: Any) -> str:
        """Return the version's name.

        Raises:
            PydanticCustomError: There is no such version.
        """
        if isinstance(value, str) and value in KERNELS:
            return value
        near = nearest_kernels(str(value))[:N_NEAREST]
        raise refuse(f"one of {', '.join(near)} or another kernel")


@dataclass(frozen=True)
class Words(_Checked):
    """Some of a few words: different ones, kept in the order of the table."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What is allowed, for error messages."""
        return f"a list of different words out of {', '.join(self.words)}"

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the words in order if they are allowed.

        Raises:
            PydanticCustomError: They aren't.
        """
        is_list = isinstance(value, list | tuple)
        if not is_list or not all(isinstance(one, str) and one in self.words for one in value):
            raise refuse(self.allowed)
        if len(set(value)) < len(value):
            raise refuse(self.allowed)
        return tuple(word for word in self.words if word in value)


@dataclass(frozen=True)
class Bands(_Checked):
    """Bands of the cost ranges: distinct numbers, at least one, kept in order."""

    allowed = f"a list of different band numbers from 0 to {N_BANDS - 1}, at least one"

    def check(self, value: Any) -> tuple[int, ...]:
        """Return the bands in order if they are allowed.

        Raises:
            PydanticCustomError: They aren't.
        """
        is_list = isinstance(value, list | tuple) and len(value) > 0
        if not is_list or not all(is_whole(band) and 0 <= band < N_BANDS for band in value):
            raise refuse(self.allowed)
        if len(set(value)) < len(value):
            raise refuse(self.allowed)
        return tuple(sorted(value))
