"""Libraries that a command needs and a bare installation lacks."""

from collections.abc import Iterable
from importlib.util import find_spec

from tdx_env.errors import MissingExtraError

_EXTRA = "eval"


def need(what: str, libraries: Iterable[str]) -> None:
    """Check that libraries are installed, before hours of work are done that need them.

    Args:
        what: The command.
        libraries: Their import names.

    Raises:
        MissingExtraError: One of them is missing.
    """
    for library in libraries:
        if find_spec(library) is None:
            raise MissingExtraError.of(what, library, _EXTRA)
