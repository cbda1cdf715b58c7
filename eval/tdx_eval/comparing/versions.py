"""What results were made with."""

import platform
from collections.abc import Sequence
from importlib.metadata import version

SIMULATOR = ("tdx-env", "numpy", "numba")


def versions(packages: Sequence[str] = SIMULATOR) -> dict[str, str]:
    """Return the versions of Python and of some packages, by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
