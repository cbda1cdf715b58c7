"""What differs between two versions of the module: their rules, and who meets whom."""

import json
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tdx_env.matrix.cells import Cell, matrix
from tdx_env.matrix.conflicts import Conflict
from tdx_env.matrix.parties import Party, parties, party_name
from tdx_env.module.rules import RULES, Fact, Rule
from tdx_env.module.versions import module_version, version_name
from tdx_env.status.decoder import decode_value
from tdx_env.status.explanations import LOCK_NAMES

CASES: dict[str, str] = {  # the fields of `Cell`
    "different_entries": "whatever they are about",
    "same_entry": "about the same entry and page",
    "same_vcpu": "about the same vCPU",
    "merged_entry": "about an entry that PROMOTE merges",
    "same_range": "about the same 2M range of memory",
}
_NOTHING = "no conflict"
_NO_CALL = "no such call"
_WIDTH = 100


@dataclass(frozen=True)
class RuleChange:
    """A rule that two versions follow differently.

    Attributes:
        rule: Which one.
        before: What the release of the first version does.
        after: What that of the second one does.
    """

    rule: Rule
    before: Fact
    after: Fact


@dataclass(frozen=True)
class Change:
    """What becomes of a pair of parties otherwise.

    Attributes:
        first: Who holds.
        second: Who arrives.
        case: A key of `CASES`.
        before: How the second one fails in the first version.
        after: How in the second version.
    """

    first: Party
    second: Party
    case: str
    before: str
    after: str


def changed_rules(before: str, after: str) -> list[RuleChange]:
    """Return the rules that two versions follow differently.

    A variant that is hypothetical has the facts of its release; what it changes is not among them.

    Raises:
        ScenarioError: There is no such version.
    """
    first, second = module_version(before), module_version(after)
    return [
        RuleChange(rule, rule.fact(first.release), rule.fact(second.release))
        for rule in RULES.values()
        if rule.fact(first.release).holds != rule.fact(second.release).holds
    ]


def _fate(conflict: Conflict) -> str:
    """Return how the second party fails, without names."""
    text = str(decode_value(conflict.status)).partition(" ")[2]
    if conflict.lock is not None:
        text += f" on {LOCK_NAMES[conflict.lock]}"
    if conflict.is_momentary:
        text += " for an instant"
    if conflict.leaves_mark:
        text += ", mark stays" if conflict.mark_survives else ", mark erased"
    return f"{text} ({conflict.note})" if conflict.note else text


def _of_case(cell: Cell, case: str) -> tuple[Conflict, ...]:
    """Return the conflicts of a case, without those that come whatever the two are about."""
    found: tuple[Conflict, ...] = getattr(cell, case)
    if case == "different_entries":
        return found
    return tuple(one for one in found if one not in cell.different_entries)


def _fates(cell: Cell | None, case: str) -> str:
    """Return how the second party can fail, if there are such parties at all."""
    if cell is None:
        return _NO_CALL
    return " / ".join(_fate(one) for one in _of_case(cell, case)) or _NOTHING


def _cells(version: str, among: tuple[Party, ...]) -> dict[tuple[Party, Party], Cell]:
    """Return the cells of those parties that a version has."""
    having = [party for party in among if party in parties(version)]
    return {(one.first, one.second): one for row in matrix(version, having) for one in row}


def changes(before: str, after: str, among: tuple[Party, ...] | None = None) -> list[Change]:
    """Return the pairs that two versions of the module treat differently.

    Args:
        before: A version of the module.
        after: Another.
        among: The parties; None: all of either version.

    Raises:
        ScenarioError: There is no such version.
    """
    before, after = version_name(before), version_name(after)
    chosen = among or tuple(dict.fromkeys((*parties(before), *parties(after))))
    old, new = _cells(before, chosen), _cells(after, chosen)
    return [
        Change(*pair, case, earlier, later)
        for pair in dict.fromkeys((*old, *new))
        for case in CASES
        if (earlier := _fates(old.get(pair), case)) != (later := _fates(new.get(pair), case))
        and {earlier, later} != {_NO_CALL, _NOTHING}
    ]


def _grouped(found: Iterable[Change]) -> Mapping[tuple[str, str, str], list[tuple[str, str]]]:
    """Return the pairs of each kind of change, in two lists of names: who holds, who comes."""
    pairs: dict[tuple[str, str, str], dict[Party, list[Party]]] = {}
    for one in found:
        by_first = pairs.setdefault((one.case, one.before, one.after), defaultdict(list))
        by_first[one.first].append(one.second)
    return {kind: _products(by_first) for kind, by_first in pairs.items()}


def _products(by_first: Mapping[Party, list[Party]]) -> list[tuple[str, str]]:
    """Return those who meet the same others together."""
    together: dict[tuple[Party, ...], list[Party]] = defaultdict(list)
    for first, seconds in by_first.items():
        together[tuple(seconds)].append(first)
    return [(_names(firsts), _names(seconds)) for seconds, firsts in together.items()]


def _names(members: Iterable[Party]) -> str:
    """Return the names of parties."""
    return ", ".join(party_name(party) for party in members)


def _in_words(fact: Fact) -> str:
    """Return a fact as yes or no, with its evidence."""
    return f"{'yes' if fact.holds else 'no'} ({fact.evidence.meaning})"


def _wrapped(text: str, indent: int = 4) -> list[str]:
    """Return the lines of a text for the terminal."""
    spaces = " " * indent
    return textwrap.wrap(text, _WIDTH, initial_indent=spaces, subsequent_indent=spaces + "  ")


def changes_text(before: str, after: str, among: tuple[Party, ...] | None = None) -> str:
    """Return what two versions do differently as a text for the terminal."""
    lines = [f"From module version {before} to {after}", "", "Rules"]
    for rule in changed_rules(before, after):
        lines.append(f"  {rule.rule.name}")
        lines += _wrapped(f"{rule.rule.meaning} ({rule.rule.source})")
        lines += _wrapped(f"{_in_words(rule.before)} -> {_in_words(rule.after)}")
    lines += ["", "Who meets whom"]
    for (case, earlier, later), pairs in _grouped(changes(before, after, among)).items():
        lines += [f"  {CASES[case]}", *_wrapped(f"before: {earlier}"), *_wrapped(f"after: {later}")]
        for firsts, seconds in pairs:
            lines += [*_wrapped(f"hold: {firsts}", 6), *_wrapped(f"come: {seconds}", 6)]
    return "\n".join(lines)


def changes_json(before: str, after: str, among: tuple[Party, ...] | None = None) -> str:
    """Return what two versions do differently as a JSON text."""
    rules = [
        {
            "rule": one.rule.name,
            "meaning": one.rule.meaning,
            "source": one.rule.source,
            "before": {"holds": one.before.holds, "evidence": one.before.evidence.value},
            "after": {"holds": one.after.holds, "evidence": one.after.evidence.value},
        }
        for one in changed_rules(before, after)
    ]
    pairs = [
        {
            "first": party_name(one.first),
            "second": party_name(one.second),
            "case": one.case,
            "before": one.before,
            "after": one.after,
        }
        for one in changes(before, after, among)
    ]
    return json.dumps({"from": before, "to": after, "rules": rules, "pairs": pairs}, indent=2)
