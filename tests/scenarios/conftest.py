"""A user's own scenario file, small enough to change one line of."""

from collections.abc import Callable
from pathlib import Path

import pytest

TINY = """
schema_version = 1
name = "tiny"
family = "own"
title = "a test"
description = "Nothing in particular."
clock_khz = 2_000_000

[host]
n_vcpus = { low = 4, high = 6 }

[limits]
stall_us = 20_000
time_cap_us = 500_000
reward_scale = 1_000

[areas.ram]
initial = "mapped_4k"

[areas.fresh]
initial = "free"

[groups.acceptors]
program = "accept"
count = { low = 1, high = 2 }
area = "fresh"
items = { low = 10, high = 300 }
think_cycles = 5_000
tick_us = 1_000

[groups.spinners]
program = "compute"
count = "rest"
tick_us = { low = 1_000, high = 4_000 }

[tasks.zapper]
kind = "zap"
area = "ram"
items = 5
chunk = 4
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes the tiny scenario, one text replaced, more behind it."""

    def write_file(old: str = "", new: str = "", more: str = "") -> Path:
        assert old in TINY
        path = tmp_path / "tiny.toml"
        path.write_text((TINY.replace(old, new, 1) if old else TINY) + more)
        return path

    return write_file
