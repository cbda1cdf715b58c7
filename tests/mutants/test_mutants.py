"""Every deliberate mistake of the catalogue is noticed by the suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.directed import DIRECTED
from tests.mutants.nursery import NOTICED, Try, nursery
from tests.mutants.search import RARE, compare_in
from tests.mutants.witnesses import WITNESSES, tried

_PACKAGE = Path(__file__).resolve().parents[2] / "tdx_env"


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Try]:
    """Return a function that looks for a mutant, in a process started once."""
    with nursery(tmp_path_factory.mktemp("hypothesis")) as function:
        yield function


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_text_of_a_mutant_stands_once(mutant: Mutant) -> None:
    """A mutant whose text has moved would be no mistake any more."""
    assert (_PACKAGE / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


@pytest.mark.slow
def test_worlds_differ_by_mistakes_alone() -> None:
    """Without one, kernel and oracle agree in the directed, the rare and all witnessing worlds."""
    witnesses = {place for place in WITNESSES.values() if isinstance(place, int)}
    found = {place: compare_in(place) for place in (*DIRECTED, *sorted(witnesses | set(RARE)))}
    assert {place: text for place, text in found.items() if text} == {}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_caught(mutant: Mutant, ask: Try) -> None:
    """The lock tables or the comparison with the oracle fail with the mistake in place."""
    code, said = tried(ask, mutant)
    assert code == NOTICED, f"{mutant.name}: exit code {code}\n{said[-3000:]}"
