"""What users give the environments: a wrong value is told on one line, and not whole if long."""

from collections.abc import Callable
from typing import Any

import pytest

from tdx_env import arguments
from tdx_env.errors import TdxEnvError

LONG = "x\n" * 5_000
_LONGEST_TOLD = 2_000  # characters, with what is allowed


@pytest.mark.parametrize("value", [LONG, [LONG], {1: LONG}, 10**5_000], ids=type)
@pytest.mark.parametrize(
    "check",
    [
        arguments.checked_options,
        arguments.checked_render_mode,
        arguments.checked_mode,
        arguments.checked_seed,
        arguments.checked_action,
        lambda value: arguments.checked_actions([value, [value]], 2),
        lambda value: arguments.checked_count("num_envs", [value]),
        lambda value: arguments.discipline_of({"gate_scope": value}),
        lambda value: arguments.discipline_of({LONG: value}),
    ],
)
def test_long_value_is_told_on_one_short_line(check: Callable[[Any], Any], value: object) -> None:
    with pytest.raises(TdxEnvError) as caught:
        check(value)
    told = str(caught.value)
    assert len(told.splitlines()) == 1
    assert len(told) < _LONGEST_TOLD
