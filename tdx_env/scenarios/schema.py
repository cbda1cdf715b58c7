"""What a scenario file holds as a whole, and its digest.

The models of its tables are in `tdx_env.scenarios.tables`, `groups` and `tasks`; what must fit
together across tables is checked by `tdx_env.scenarios.checks`, which the loader asks.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictStr, model_validator
from pydantic_core import to_jsonable_python

from tdx_env.scenarios.groups import PROGRAMS, AnyGroup
from tdx_env.scenarios.tables import Area, CostRange, FileTable, Guest, Host, Limits, Module
from tdx_env.scenarios.tasks import KINDS, AnyTask
from tdx_env.scenarios.values import Bands, ObjectiveText, Range, Span, Whole, Word, Words

SCHEMA_VERSION = 1
SPLITS = ("train", "validation", "test")
CORE = "core"  # the list of scenarios that are contended and can be survived
MARKS = {
    "history": "its conflict is gone on today's module or kernel",
    "stress": "more TD exits a second than a real host makes",
    "what_if": "asks for something that no module or kernel does",
    "control": "has few decisions by nature and is reported apart",
}


class Scenario(FileTable):
    """A scenario, resolved: one split, all costs, all overrides.

    Its name is what `load` takes: ``family-slug/split`` for those of the package.
    """

    schema_version: Annotated[int, Whole(SCHEMA_VERSION, SCHEMA_VERSION)] = Field(
        description="version of this file format"
    )
    name: Annotated[
        str, Word(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z]+)?", "lower-case words joined by hyphens")
    ] = Field(description="name, the split included")
    family: Annotated[
        str, Word(r"S([1-9]|1[0-9]|2[0-7])|W|own", 'a family from S1 to S27, W, or "own"')
    ] = Field(description="scenario family")
    title: StrictStr = Field(min_length=1, description="a few words")
    description: StrictStr = Field(min_length=1, description="what it answers, what is expected")
    expectation: StrictStr | None = Field(
        default=None, min_length=1, description="what it should show, in one sentence"
    )
    marks: Annotated[tuple[str, ...], Words(tuple(MARKS))] = Field(
        default=(),
        description="; ".join(f"{mark}: {meaning}" for mark, meaning in MARKS.items()),
    )
    is_core: StrictBool = Field(
        default=False,
        description="has decisions, is contended, and is not lost whatever is answered",
    )
    decisions: Annotated[Range | None, Span(0, 10**6)] = Field(
        default=None, description="decisions of most episodes under blind retry, as calibrated"
    )
    objective: Annotated[str | None, ObjectiveText()] = Field(
        default=None,
        description="what an episode costs: a preset's name or weights of its parts; left out: "
        "what the environment's version counts",
    )
    clock_khz: Annotated[int, Whole(100_000, 10_000_000)] = Field(
        default=2_500_000, description="TSC frequency [kHz]"
    )
    cost_bands: Annotated[tuple[int, ...], Bands()] = Field(
        default=tuple(range(10)), description="tenths of every cost range that are drawn from"
    )
    host: Host
    module: Module = Module()
    guest: Guest = Guest()
    limits: Limits
    areas: dict[str, Area]
    groups: dict[str, AnyGroup]
    tasks: dict[str, AnyTask] = {}
    costs: dict[str, CostRange]

    @model_validator(mode="before")
    @classmethod
    def _has_old_control(cls, data: Any) -> Any:
        """Read `is_control`, which files had before there were marks, as the mark; warn."""
        if not isinstance(data, Mapping) or not isinstance(data.get("is_control"), bool):
            return data
        changed = {key: value for key, value in data.items() if key != "is_control"}
        if data["is_control"] and "marks" not in data:
            changed["marks"] = ["control"]
        text = f'{data.get("name")}: is_control is an old key, write marks = ["control"] instead'
        warnings.warn(text, FutureWarning, stacklevel=2)
        return changed

    @property
    def is_control(self) -> bool:
        """Whether it has few decisions by nature."""
        return "control" in self.marks

    def cycles(self, us: int) -> int:
        """Return a time in cycles of the scenario's clock."""
        return us * self.clock_khz // 1_000


def _defaults(models: Iterable[type[FileTable]]) -> dict[str, Any]:
    """Return every key that one of the models has, with its default (None: it has to be given)."""
    fields = {key: field for model in models for key, field in model.model_fields.items()}
    return {
        key: None if field.is_required() else to_jsonable_python(field.default)
        for key, field in fields.items()
    }


def digest(scenario: Scenario) -> str:
    """Return a hash of the resolved content, for report manifests.

    A key that a kind of group or task hasn't counts as left at its default: a digest stays when
    another kind is given the key.
    """
    content = scenario.model_dump(mode="json")
    for table, models in (("groups", PROGRAMS.values()), ("tasks", KINDS.values())):
        defaults = _defaults(models)
        content[table] = {name: defaults | given for name, given in content[table].items()}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
