"""Names of calls as people write them: PAGE.AUG, TDH.MEM.PAGE.AUG, tdh_mem_page_aug."""

import functools
import re

from tdx_env.errors import ScenarioError, nearest, one_of, shown
from tdx_env.module.seamcalls import row_of
from tdx_env.state.calls import Leaf

_GROUPS = ("TDH.", "TDG.", "MEM.")  # may be left out, in this order
_NEEDS_GROUP = ("RD", "WR")  # MEM.RD is one of several calls that read


def normal_form(text: str) -> str:
    """Return a name in capitals, its parts joined by dots."""
    return re.sub(r"[\s_./-]+", ".", text.strip()).strip(".").upper()


def _written_out(name: str) -> list[str]:
    """Return the names of the calls that a row stands for: X.RD/WR is X.RD and X.WR."""
    head, slash, tail = name.partition("/")
    if not slash:
        return [name]
    return [name, head, f"{head.rpartition('.')[0]}.{tail}"]


def _shortened(name: str) -> str:
    """Return a name without the groups that go without saying."""
    for group in _GROUPS:
        shorter = name.removeprefix(group)
        if not shorter.startswith(_NEEDS_GROUP):
            name = shorter
    return name


def _forms(leaf: Leaf, name: str) -> set[str]:
    """Return the normal forms by which a call is known."""
    forms = {normal_form(leaf.name)}
    for full in _written_out(name):
        forms |= {normal_form(full), normal_form(_shortened(full))}
        forms.add(normal_form(full)[len(_GROUPS[0]) :])
    return forms


@functools.cache
def _known() -> dict[str, Leaf]:
    """Return every form of a name, and its call."""
    return {form: leaf for leaf in Leaf for form in _forms(leaf, row_of(leaf).name)}


def short_name(leaf: Leaf) -> str:
    """Return a call's name without TDH.MEM. and its like."""
    return _shortened(row_of(leaf).name)


def find_leaf(text: str) -> Leaf:
    """Return the call that a name means; the end of a name will do if only one call ends so.

    Raises:
        ScenarioError: No call has that name, or several do.
    """
    form = normal_form(text)
    known = _known()
    if form in known:
        return known[form]
    found = {leaf for name, leaf in known.items() if form and name.endswith("." + form)}
    if len(found) == 1:
        return found.pop()
    if found:
        several = ", ".join(sorted(row_of(leaf).name for leaf in found))
        raise ScenarioError(f"call {shown(text)} is ambiguous: {several}")
    forms = nearest(form, known)
    names = dict.fromkeys(row_of(known[one]).name for one in forms)
    must = one_of(forms[0], [*names, *(row_of(leaf).name for leaf in Leaf)])
    raise ScenarioError(f"call {shown(text)} is unknown, {must}")
