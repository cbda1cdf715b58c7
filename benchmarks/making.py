"""Making environments of many scenarios, and resetting them with options."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.rounds import Effort, in_rounds
from benchmarks.tables import in_seconds, table
from tdx_env.env import SeamcallRetryEnv
from tdx_env.scenarios import loader

_SPLIT = "train"
_TEXT = """
## Making an environment

Of all training scenarios, the simulator and the files' text loaded. A scenario that was loaded
before is not read, checked and turned into a record again, unless its file holds another text; with
options that were not given before, all scenarios are checked with them.

"""


def _milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call takes [ms]."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def _anew(number: int) -> float:
    """Make an environment of scenarios that nobody has loaded."""
    loader._KEPT.clear()
    return _again(number)


def _again(number: int) -> float:
    """Make an environment of the scenarios of another one."""
    return _milliseconds(lambda: SeamcallRetryEnv(_SPLIT))


class _Resets:
    """Resets of one environment with options."""

    def __init__(self) -> None:
        self._env = SeamcallRetryEnv(_SPLIT)

    def _reset(self, bare: int) -> float:
        """Reset with another cost."""
        return _milliseconds(lambda: self._env.reset(seed=0, options={"costs.bare": bare}))

    def other(self, number: int) -> float:
        """Reset with options that were not given before."""
        return self._reset(2300 + number)

    def same(self, number: int) -> float:
        """Reset with the options of the reset before."""
        return self._reset(2300 + number)

    def plain(self, number: int) -> float:
        """Reset without options."""
        return _milliseconds(lambda: self._env.reset(seed=0))


def measure(effort: Effort) -> dict[str, Any]:
    """Return what each takes in milliseconds."""
    resets = _Resets()
    ways = {
        "make, nothing loaded": _anew,
        "make, another one": _again,
        "reset": resets.plain,
        "reset(options=), not given before": resets.other,
        "reset(options=), the same again": resets.same,
    }
    return {name: value._asdict() for name, value in in_rounds(ways, effort).items()}


def text(found: dict[str, Any]) -> str:
    """Return what the page says about it."""
    rows = [(name, in_seconds(one, 2)) for name, one in found.items()]
    return _TEXT + table(("what", "ms"), rows)
