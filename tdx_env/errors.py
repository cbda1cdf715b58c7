"""The project's own errors: one class for each kind of mistake a user can make.

Command lines print the message of a `TdxEnvError` alone and leave with exit code 2; a message says
where the mistake is, what was given and what is allowed.
"""

import difflib
from collections.abc import Iterable
from typing import Self

_LONGEST = 400  # characters of a name or value that a message repeats
N_NEAREST = 3  # known names that a message offers in place of one that is unknown


def escaped(text: str) -> str:
    """Return a user's text on one line: what can't be printed is written with a backslash."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def printable(text: str) -> str:
    """Return a user's text as a message may repeat it: one line, its middle left out if long."""
    half = _LONGEST // 2
    return escaped(text if len(text) <= _LONGEST else f"{text[:half]}...{text[-half:]}")


def shown(value: object) -> str:
    """Return any value as a message may repeat it: one line, its middle left out if long."""
    try:
        text = repr(value)
    except Exception:  # a user's own class, or an integer of thousands of digits
        return f"a {type(value).__name__}"
    return printable(" ".join(text.split()))


def nearest(given: str, names: Iterable[str], n: int = N_NEAREST) -> list[str]:
    """Return the known names that are most like one that is unknown, the likeliest first.

    Capitals don't matter, and a name that begins or ends as the given one is nearer than its
    letters say; names that are equally like keep their order.
    """
    wanted = given.lower()[:_LONGEST]

    def likeness(name: str) -> float:
        known = name.lower()
        has_end = bool(wanted) and (known.startswith(wanted) or known.endswith(wanted))
        has_part = bool(wanted) and wanted in known
        return difflib.SequenceMatcher(None, wanted, known).ratio() + (has_end + has_part) / 2

    return sorted(dict.fromkeys(names), key=likeness, reverse=True)[:n]


def one_of(given: str, names: Iterable[str]) -> str:
    """Return what is allowed in place of a name that is unknown: the three nearest.

    Args:
        given: The unknown name.
        names: The known ones.
    """
    known = list(dict.fromkeys(names))
    n_named = N_NEAREST if len(known) > N_NEAREST + 1 else len(known)
    found = ", ".join(map(printable, nearest(given, known, n_named)))
    others = f" or {len(known) - n_named} others" if n_named < len(known) else ""
    return f"must be one of: {found or '(there is none)'}{others}"


class TdxEnvError(Exception):
    """Base of every error that is the user's to mend."""


class ScenarioError(TdxEnvError, ValueError):
    """A scenario (or a setting of one) that is unknown, malformed or impossible."""


class ObjectiveError(TdxEnvError, ValueError):
    """An objective that doesn't exist, or weights that are none."""


class PolicyError(TdxEnvError, ValueError):
    """A policy that is unknown, can't be loaded, or answered with something not allowed."""


class RenderModeError(TdxEnvError, TypeError):
    """A render mode that the environment doesn't have.

    A TypeError: stable-baselines3's `make_vec_env` asks each environment for "rgb_array" and takes
    that error as the answer of one that has no pictures.
    """


class ActionError(TdxEnvError, ValueError):
    """An action outside the action space."""


class SnapshotError(TdxEnvError, ValueError):
    """A kept state that is none, of other worlds or of another version of the simulator."""


class BundleError(TdxEnvError, ValueError):
    """A bundle of a learned agent that is damaged or not one of ours."""


class CheckpointError(TdxEnvError, ValueError):
    """A checkpoint of a training run that is damaged, or that this run can't go on from."""


class OutputError(TdxEnvError, OSError):
    """A place for results that exists already or can't be written."""


class ResultError(TdxEnvError, ValueError):
    """A file of results that can't be read, or isn't one of ours."""


class ConfigError(TdxEnvError, ValueError):
    """A training configuration that is unknown, malformed or impossible."""


class BackendError(TdxEnvError, ValueError):
    """A way to run jobs side by side that is unknown or not installed."""


class StatusError(TdxEnvError, ValueError):
    """A text that is no TDX completion status."""


class NotResetError(TdxEnvError, RuntimeError):
    """`step` was called before `reset`, or after the episode had ended."""


class BrokenError(RuntimeError):
    """The simulator met a case that it doesn't handle: its own mistake, which nobody else can mend.

    Not a `TdxEnvError`: a traceback belongs into the report of it.
    """


class MissingExtraError(TdxEnvError, ImportError):
    """Something needs a library that is not installed."""

    @classmethod
    def of(cls, what: str, library: str, extra: str) -> Self:
        """Return the error that names the extra of this package which brings a library.

        Args:
            what: What needs it.
            library: What is missing.
            extra: The extra.
        """
        return cls(
            f"{what} needs {library}, which is not installed: pip install 'tdx-env[{extra}]'"
        )
