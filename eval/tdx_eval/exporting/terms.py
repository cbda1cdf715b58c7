"""How each input of a tree is written in C: whole numbers of 64 bits, none of them negative."""

from dataclasses import dataclass

from tdx_agents.tree_inputs import INPUTS, Input, InputKind
from tdx_env.errors import PolicyError
from tdx_env.module.operand_classes import OperandClass
from tdx_env.spaces import FEATURES, FLUSH_FEATURES
from tdx_env.state.actors import CallPath
from tdx_env.state.features import Feature

_MEANINGS = {row.name: row.meaning for row in (*FEATURES, *FLUSH_FEATURES)}


@dataclass(frozen=True)
class Local:
    """A number that C works out once, before the tests.

    Attributes:
        text: The expression.
        fields: Fields of the decision that it reads.
        needs: Locals that it reads.
    """

    text: str
    fields: tuple[str, ...]
    needs: tuple[str, ...] = ()


LOCALS = {
    "price": Local(
        "min(d->flush_send + d->n_in_guest * d->flush_target, TDX_LARGEST_PRICE)",
        ("flush_send", "n_in_guest", "flush_target"),
    ),
    "kick": Local(
        "d->kick_wait + d->n_in_guest * (d->kick_send_target + d->kick_target)",
        ("kick_wait", "n_in_guest", "kick_send_target", "kick_target"),
    ),
    "wait": Local("min(d->contended_cycles, TDX_ROOT_LIMIT)", ("contended_cycles",)),
    "gap": Local("min(d->wait_gap, TDX_ROOT_LIMIT)", ("wait_gap",)),
    "most": Local("min(price, TDX_ROOT_LIMIT)", (), ("price",)),
}
"""By name, each behind those that it needs."""
_SHIFTED = {1: "(price >> 2)", 2: "(price >> 1)", 4: "price", 8: "(price << 1)"}


@dataclass(frozen=True)
class Term:
    """A test of an input in C: ``left > right + THRESHOLD``, or a flag.

    Attributes:
        left: What is compared; of a flag the whole condition.
        right: What it is compared with, before the threshold is added; "" if nothing is.
        fields: Fields of the decision that it reads.
        needs: Locals that it reads.
        is_flag: Whether there is no threshold.
    """

    left: str
    right: str = ""
    fields: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    is_flag: bool = False

    def condition(self, threshold: str) -> str:
        """Return the test as a condition in C.

        Args:
            threshold: Name of the constant; "" for 0.
        """
        if self.is_flag:
            return self.left
        right = " + ".join(part for part in (self.right, threshold) if part)
        return f"{self.left} > {right or '0'}"


def _field(name: str) -> str:
    """Return how a field of the decision is read."""
    return f"d->{name}"


def term_of(one: Input) -> Term:
    """Return how an input is tested in C.

    Raises:
        PolicyError: There is no way to write it.
    """
    kind, argument = one.kind, one.argument
    if kind == InputKind.FEATURE:
        name = Feature(argument).name.lower()
        return Term(_field(name), fields=(name,), is_flag=False)
    if kind == InputKind.PATH:
        return Term(
            f"d->path == TDX_PATH_{CallPath(argument).name}", fields=("path",), is_flag=True
        )
    if kind == InputKind.LOCK:
        name = OperandClass(argument).name
        return Term(f"d->lock == TDX_LOCK_{name}", fields=("lock",), is_flag=True)
    if kind == InputKind.PAST_ROOT:
        text = (
            "d->blocked && d->mmu_contended &&\n"
            "{tab}(wait + 2 * gap) * wait + 2 * gap * gap >= 2 * most * gap"
        )
        return Term(
            text, "", ("blocked", "mmu_contended"), ("price", "wait", "gap", "most"), is_flag=True
        )
    found = _AMOUNTS.get(kind)
    if found is None:
        raise PolicyError(f"input {one.name}: can't be written in C")
    left, right, fields, needs = found
    return Term(left, right or _SHIFTED.get(argument, ""), fields, needs)


_WAITED, _GAP = _field("contended_cycles"), _field("wait_gap")
_AMOUNTS = {
    InputKind.FLUSH_PRICE: ("price", "", (), ("price",)),
    InputKind.KICK_PRICE: ("kick", "", (), ("kick",)),
    InputKind.WAIT_BEYOND_PRICE: (_WAITED, "", ("contended_cycles",), ("price",)),
    InputKind.GAP_BEYOND_PRICE: (_GAP, "price", ("wait_gap",), ("price",)),
    InputKind.WAIT_BEYOND_GAP: (_WAITED, _GAP, ("contended_cycles", "wait_gap"), ()),
    InputKind.BUSY_BEYOND_PRICE: (_field("busy_cycles"), "kick", ("busy_cycles",), ("kick",)),
}
TERMS = {one.name: term_of(one) for one in INPUTS}


def fields_of(terms: list[Term]) -> list[str]:
    """Return the fields of the decision that some tests read, in the order of the features."""
    read = {name for term in terms for name in term.fields}
    read |= {name for local in locals_of(terms) for name in LOCALS[local].fields}
    order = ["path", "lock", *(feature.name.lower() for feature in Feature)]
    return [name for name in dict.fromkeys(order) if name in read]


def locals_of(terms: list[Term]) -> list[str]:
    """Return the locals that some tests need, each behind those that it needs."""
    wanted = {name for term in terms for name in term.needs}
    return [name for name in LOCALS if name in wanted]


def meaning_of(name: str) -> str:
    """Return what a field of the decision says."""
    if name == "lock":
        return "which lock was busy, TDX_LOCK_..., from RAX bits 31:0"
    if name == "path":
        return "which call chain asks, TDX_PATH_..."
    return _MEANINGS[name]
