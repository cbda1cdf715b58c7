"""A row of the catalogue, and the discipline of the kernel series that most rows start from."""

from dataclasses import dataclass

from tdx_agents.protocol import Decide, Kind, Policy
from tdx_env.host.discipline import DEFAULT, Discipline
from tdx_env.jit import decision

INSTALL = ("MEM_SEPT_ADD", "MEM_PAGE_AUG", "EXPORT_UNBLOCKW")
"""Calls of the fault path. EXPORT.UNBLOCKW, which no kernel has upstream, goes as AUG: a guess."""
ZAP = ("MEM_RANGE_BLOCK", "MEM_RANGE_UNBLOCK", "MEM_TRACK", "MEM_PAGE_REMOVE", "MEM_PAGE_DEMOTE")
CREATE = ("VP_CREATE", "VP_ADDCX", "VP_INIT")
EXPORT = ("EXPORT_BLOCKW", "EXPORT_MEM")
ONE_TRY = ("MR_EXTEND", "VP_FLUSH", *CREATE, *EXPORT)
"""Calls that no kernel repeats when they are busy.

MR.EXTEND and those on vCPUs: KVM_BUG_ON, or a TD that can't be built. The export's list calls,
which are not upstream: Intel's own kernel ended its ioctl with -EIO.

Source:
    Linux 6.16, tdx.c: tdx_td_vcpu_init, tdx_flush_vp_on_cpu, tdx_gmem_post_populate; TDs lost so:
    Yan Zhao, Jan and Aug 2025. Intel's out-of-tree tdx_mig.c: tdx_write_block_private_pages.
"""
# MODEL: user space answers the -EIO of an export with the next try, not by giving up.


def each(leaves: tuple[str, ...], value: object) -> dict[str, object]:
    """Return a table of a discipline that has one value for some leaves."""
    return dict.fromkeys(leaves, value)


SERIES_OF_2024 = DEFAULT.with_(
    max_issues={"default": "unlimited"} | each(ONE_TRY, 1),
    on_exhaustion={"default": "kill"} | each(EXPORT, "user_error"),
    tree_only={"MEM_PAGE_ADD": True},
    gate_scope="nothing",
    on_frozen="reenter",
    fault_yield="reenter",
    kernel="series-2024",
)
"""What the series under review in September 2024 did where a proposal says nothing.

Faults that met a FROZEN SPTE or got -EAGAIN went back to the guest. VP.ENTER that was busy returned
1: the run loop entered again. TRACK, PAGE.REMOVE and WBINVD were repeated without limit, PAGE.ADD
while the tree lock was busy: it never is, so that a busy PAGE.ADD ended in KVM_BUG_ON as well as a
failing MR.EXTEND, VP.CREATE, VP.ADDCX or VP.INIT ended the TD. There was no gate, and nothing
that kept the ioctls that build a TD apart. An interrupted call was repeated without limit. Where a
scenario has 2M pages, they are split as P21 does.

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
