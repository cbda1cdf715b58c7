"""The training log: one CSV row for each update, readable at any time."""

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tdx_env.errors import OutputError
from tdx_env.state.discipline import Action

_GENERAL = ("steps", "seconds", "episodes", "score", "best_score")
_LEARNER = {
    "policy_loss": "train/policy_gradient_loss",
    "value_loss": "train/value_loss",
    "entropy_loss": "train/entropy_loss",
    "approx_kl": "train/approx_kl",
    "clip_fraction": "train/clip_fraction",
    "explained_variance": "train/explained_variance",
    "learning_rate": "train/learning_rate",
}


def cost_column(scenario: str) -> str:
    """Return the column of a training scenario: mean cost of its episodes since the last row."""
    return f"cost[{scenario}]"


def answer_column(action: Action) -> str:
    """Return the column of an action: its share of the agent's answers at validation."""
    return f"answers[{action.name}]"


def ratio_column(scenario: str) -> str:
    """Return the column of a validation scenario: mean cost as a share of the reference's."""
    return f"ratio[{scenario}]"


def learner_values(recorded: Mapping[str, object]) -> dict[str, object]:
    """Return what the learner last recorded about itself, by column."""
    return {column: recorded[key] for column, key in _LEARNER.items() if key in recorded}


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what the operating system refuses into an `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"the training log can't be written: {error.strerror}") from error


class ProgressLog:
    """Writes the log; columns that a row doesn't have stay empty.

    Args:
        path: The file.
        training: Names of the training scenarios.
        validation: Names of the validation scenarios.
        before: What a run that goes on had written; "": nothing.

    Raises:
        OutputError: The file can't be written.
    """

    def __init__(
        self, path: Path, training: Sequence[str], validation: Sequence[str], before: str = ""
    ) -> None:
        self._text = ""
        columns = [
            *_GENERAL,
            *map(answer_column, Action),
            *(ratio_column(name) for name in validation),
            *(cost_column(name) for name in training),
            *_LEARNER,
        ]
        with _explained():
            self._file = path.open("w", newline="", encoding="utf-8")
        self._line = io.StringIO(newline="")
        self._writer = csv.DictWriter(self._line, columns)
        try:
            if before:
                self._add(before)
            else:
                self.write({column: column for column in columns})
        except OutputError:
            self._close()
            raise

    def _close(self) -> None:
        """Close the file; what can't be written any more was told already."""
        with contextlib.suppress(OSError):
            self._file.close()

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row.

        Raises:
            OutputError: It can't be written.
        """
        self._line.seek(0)
        self._line.truncate()
        self._writer.writerow(
            {
                key: f"{value:.6g}" if isinstance(value, float) else value
                for key, value in row.items()
            }
        )
        self._add(self._line.getvalue())

    @property
    def text(self) -> str:
        """All that is written."""
        return self._text

    def _add(self, text: str) -> None:
        """Write some lines."""
        with _explained():
            self._file.write(text)
            self._file.flush()
        self._text += text

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._close()
