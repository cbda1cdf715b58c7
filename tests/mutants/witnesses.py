"""Where mutants are noticed: a world, or tests. That is where each is looked for first.

A witness that doesn't notice its mutant any more costs time, no more: all other places are looked
at then. ``python -m tests.mutants.witnesses`` finds them anew.
"""

import json
import tempfile
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.nursery import NOTICED, Try, nursery
from tests.mutants.search import WORLDS, Place

_FILE = Path(__file__).with_suffix(".json")
_TESTS = Path(__file__).resolve().parents[1]
_ROOMS = ("module", "status", "matrix")  # checked by their tables, the rest by the oracle
WITNESSES: dict[str, Place] = json.loads(_FILE.read_text())


def is_in_tables(mutant: Mutant) -> bool:
    """Return whether tests have to notice the mutant, not worlds."""
    return mutant.file.split("/")[0] in _ROOMS


def places(mutant: Mutant) -> list[Place]:
    """Return all places where a mutant may be noticed."""
    return [f"tests/{room}" for room in _ROOMS] if is_in_tables(mutant) else [*WORLDS]


def tried(ask: Try, mutant: Mutant) -> tuple[int, str]:
    """Look at the mutant's witness, then everywhere; return what the last look gave."""
    if mutant.name in WITNESSES:
        code, said = ask(mutant, [WITNESSES[mutant.name]])
        if code == NOTICED:
            return code, said
    return ask(mutant, places(mutant))


def _files() -> list[str]:
    """Return the files with tests of the tables, small ones first."""
    found = [path for room in _ROOMS for path in (_TESTS / room).glob("test_*.py")]
    found.sort(key=lambda path: path.stat().st_size)
    return [path.relative_to(_TESTS.parent).as_posix() for path in found]


def _file_with(ask: Try, mutant: Mutant) -> str | None:
    """Return the first file of tests that notices the mutant."""
    return next((file for file in _files() if ask(mutant, [file])[0] == NOTICED), None)


def _world_with(ask: Try, mutant: Mutant) -> Place | None:
    """Return the first world that notices the mutant."""
    code, said = ask(mutant, WORLDS)
    if code != NOTICED:
        return None
    place = said.partition(":")[0]
    return int(place) if place.isdigit() else place


def main() -> None:
    """Find the witnesses and write them down."""
    found: dict[str, Place | None] = {}
    with tempfile.TemporaryDirectory() as folder, nursery(Path(folder)) as ask:
        for mutant in MUTANTS:
            find = _file_with if is_in_tables(mutant) else _world_with
            found[mutant.name] = find(ask, mutant)
            print(f"{mutant.name}: {found[mutant.name]}", flush=True)
    noticed = {name: place for name, place in found.items() if place is not None}
    _FILE.write_text(json.dumps(noticed, indent=1) + "\n")


if __name__ == "__main__":
    main()
