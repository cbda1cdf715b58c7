"""Command about the TDX module alone: ``conflicts`` between its calls."""

from tdx_env.matrix.cells import Cell, cell, cells_json, matrix_json, matrix_text
from tdx_env.matrix.changes import changes_json, changes_text
from tdx_env.matrix.parties import Party, find_party, parties, party_name, require_party
from tdx_env.module.versions import DEFAULT_VERSION, version_name
from tdx_env.table import folded, width


def _print(text: str, as_json: bool = False) -> None:
    """Print a text; in a narrow terminal long lines go on below, but not those of JSON."""
    print(text if as_json else folded(text))


def _cells(first: Party, second: Party | None, version: str) -> list[Cell]:
    """Return the cells of a pair in both orders, or of one party with all."""
    others = parties(version) if second is None else (second,)
    cells = [cell(first, other, version) for other in others]
    if first is second:
        return cells
    return cells + [cell(other, first, version) for other in others if other is not first]


_CASES = {
    "same_entry": "About the same entry and page",
    "same_vcpu": "About the same vCPU",
    "merged_entry": "About an entry that PROMOTE merges",
    "same_range": "About the same 2M range of memory",
}


def _lines(found: Cell) -> list[str]:
    """Return what there is to say about a cell."""
    lines = [str(one) for one in found.different_entries]
    for case, heading in _CASES.items():
        special = [one for one in getattr(found, case) if one not in found.different_entries]
        lines += [f"{heading}: {one}" for one in special]
    return lines or [f"{party_name(found.second)} meets {party_name(found.first)}: no conflict"]


def _has_conflicts(found: Cell) -> bool:
    """Say whether a cell has any."""
    return any((found.different_entries, *(getattr(found, case) for case in _CASES)))


def _named(names: tuple[str | None, ...]) -> list[Party]:
    """Return the parties that are named."""
    return [find_party(name) for name in names if name is not None]


def conflicts_command(
    a: str | None, b: str | None, as_json: bool, version: str = DEFAULT_VERSION
) -> None:
    """Show which calls into the TDX module get in each other's way, and on which lock.

    Args:
        a: A call as PAGE.AUG; None: all pairs.
        b: Another; None: all.
        as_json: Print JSON.
        version: A version of the module.

    Raises:
        ScenarioError: A call or the version is unknown, or the version has no such call.
    """
    version = version_name(version)
    named = _named((a, b))
    if not named:
        _print(matrix_json(version) if as_json else matrix_text(version, columns=width()), as_json)
        return
    for party in named:
        require_party(party, version)
    cells = _cells(named[0], named[1] if len(named) > 1 else None, version)
    if as_json:
        _print(cells_json(cells, version), as_json)
        return
    if len(named) == 1:
        cells = [found for found in cells if _has_conflicts(found)]
    lines = [line for found in cells for line in _lines(found)]
    _print("\n".join(lines) or f"{party_name(named[0])} conflicts with nothing")


def changes_command(versions: tuple[str, str], a: str | None, b: str | None, as_json: bool) -> None:
    """Show what two versions of the TDX module do differently.

    Args:
        versions: The version before, and the one after.
        a: A call as PAGE.AUG, to see the pairs among the calls named alone; None: all.
        b: Another.
        as_json: Print JSON.

    Raises:
        ScenarioError: A call or a version is unknown.
    """
    before, after = (version_name(version) for version in versions)
    among = tuple(_named((a, b))) or None
    text = changes_json(before, after, among) if as_json else changes_text(before, after, among)
    _print(text, as_json)
