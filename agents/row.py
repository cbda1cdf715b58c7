"""A row of the catalogue, and the discipline of the kernel series that most rows start from."""

from dataclasses import dataclass

from agents.protocol import Decide, Kind, Policy
from tdx_env.host.discipline import Discipline
from tdx_env.jit import decision

INSTALL = ("MEM_SEPT_ADD", "MEM_PAGE_AUG")
ZAP = ("MEM_RANGE_BLOCK", "MEM_RANGE_UNBLOCK", "MEM_TRACK", "MEM_PAGE_REMOVE", "MEM_PAGE_DEMOTE")

SERIES_OF_2024 = Discipline(
    max_issues={"default": "unlimited", "MR_EXTEND": 1},
    on_exhaustion={"default": "kill"},
    gate_scope="nothing",
    on_frozen="reenter",
    fault_yield="reenter",
    leaves_dying_slot=False,
    build_guard=False,
)
"""What the series under review in September 2024 did where a proposal says nothing.

Faults that met a FROZEN SPTE or got -EAGAIN went back to the guest. VP.ENTER that was busy returned
1: the run loop entered again. PAGE.ADD, TRACK, PAGE.REMOVE and WBINVD were repeated without limit;
a failing MR.EXTEND was KVM_BUG_ON. There was no gate.

Source:
    Series "KVM TDX basic feature support" v8 to v19 (7 Aug 2022 to 26 Feb 2024) and "TDX MMU
    Part 2" v1 (3 Sep 2024), arch/x86/kvm/vmx/tdx.c.
"""


@dataclass(frozen=True, eq=False)
class Row:
    """A policy before it is compiled.

    Attributes:
        name: See `Policy`.
        number: See `Policy`.
        title: See `Policy`.
        source: See `Policy`.
        rule: The decision function, plain.
        discipline: See `Policy`.
        behaves_as: See `Policy`.
    """

    name: str
    number: str
    title: str
    source: str
    rule: Decide
    discipline: Discipline
    behaves_as: str = ""

    def compile(self) -> Policy:
        """Return the policy; the first time, its decision function is compiled."""
        return Policy(
            name=self.name,
            number=self.number,
            title=self.title,
            source=self.source,
            kind=Kind.COMPILED,
            discipline=self.discipline,
            decide=decision(self.rule),
            behaves_as=self.behaves_as,
        )


def each(leaves: tuple[str, ...], value: object) -> dict[str, object]:
    """Return a table of a discipline that has one value for some leaves."""
    return dict.fromkeys(leaves, value)
