"""Rows about splitting a 2M mapping, and about SEAMCALLs that an interrupt may end."""

from dataclasses import replace

from tdx_agents.merged import merged_6_19
from tdx_agents.retry import always_retry, blind
from tdx_agents.row import Row


def split_as_zap() -> Row:
    """P21: a split's BLOCK, TRACK and DEMOTE are a zap's calls, under mmu_lock for write.

    A fault that asks for 4K looks for a 2M mapping before it takes the lock. An interrupted DEMOTE
    is repeated without limit; the series uses DEMOTE only if the module doesn't let it be
    interrupted (ENHANCE_DEMOTE_INTERRUPTIBILITY). P20, which has no 2M pages, is given the same
    rules, so that the two differ in no scenario.

    Source:
        Yan Zhao, huge pages for TDX, v3, Jan 2026; Sean Christopherson's answers.
    """
    return replace(
        merged_6_19(),
        name="p21-split-as-zap",
        number="P21",
        title="as P20; split: BLOCK, TRACK, DEMOTE as in a zap, mmu_lock for write",
        source="Yan Zhao, v3, Jan 2026",
        behaves_as="P20",
    )


def split_locked() -> Row:
    """P21-locked: as P21, but a fault takes mmu_lock for write before it looks for a 2M mapping.

    At the boot of a Linux TD that took the lock 17,626 times instead of 11: measured.

    Source:
        Yan Zhao, before the change of 2 Jul 2025.
    """
    row = split_as_zap()
    return replace(
        row,
        name="p21-locked",
        number="P21-locked",
        title="as P21, but every 4K ACCEPT fault looks under mmu_lock for write",
        source="Yan Zhao, before 2 Jul 2025",
        discipline=row.discipline.with_(split_check="locked"),
        behaves_as="",
    )


def mirrored_tree_lock() -> Row:
    """P22: a rwlock of TDX mirrors the tree lock, so that faults split under mmu_lock for read.

    Busy is met as in P21. The proposal ends a busy fault with -EBUSY, and kicks only for the
    UNBLOCK that takes the split back. A second lock keeps TRACK and its kick apart from each other:
    else the second TRACK of two splits at a time finds vCPUs in the epoch before the last.

    Source:
        Yan Zhao, 22 May 2025, on RFC v1 of huge pages for TDX; objection: Rick Edgecombe.
    """
    row = split_as_zap()
    return replace(
        row,
        name="p22-mirrored-tree-lock",
        number="P22",
        title="as P21, a rwlock that mirrors the tree lock; faults split under mmu_lock for read",
        source="Yan Zhao, 22 May 2025",
        discipline=row.discipline.with_(seamcall_lock="mirror", split_read=True),
        behaves_as="",
    )


def unbounded_restart() -> Row:
    """P23: DEMOTE and PROMOTE again while INTERRUPTED_RESTARTABLE, without limit; all else as P1.

    P1 is given the same rule for interrupted calls. An interrupt storm holds the host for ever.

    Source:
        Xiaoyao Li, Isaku Yamahata, huge pages for TDX, v7, tdx_sept_split_private_spt.
    """
    return replace(
        blind(),
        name="p23-unbounded-restart",
        number="P23",
        title="DEMOTE interrupted: again for ever; else as P1",
        source="Xiaoyao Li, Isaku Yamahata, huge pages v7, until 2024",
        rule=always_retry,
        behaves_as="P1",
    )


def interrupts_off() -> Row:
    """P23-irqs-off: the cure for P23's storm, in P21's kernel: DEMOTE runs with interrupts off.

    NMIs can't be masked, which is not modelled.

    Source:
        Rick Edgecombe, 14 May 2025, for the try behind the gate; Yan Zhao, Jan 2026.
    """
    row = split_as_zap()
    return replace(
        row,
        name="p23-irqs-off",
        number="P23-irqs-off",
        title="as P21, calls that can be interrupted are made with interrupts off",
        source="Rick Edgecombe, 14 May 2025",
        discipline=row.discipline.with_(irqs_off=True),
        behaves_as="",
    )


def bounded_resume(restarts: int = 10_000) -> Row:
    """P24: an interrupted call is repeated up to 10,000 times; all else as P21.

    The kernel warns then and goes on with the failure; here the TD ends. It does so for
    PHYMEM.CACHE.WB, which is not simulated: for DEMOTE and the export's lists it is a proposal of
    this project.

    Args:
        restarts: Repeats of one interrupted call.

    Source:
        Linux 6.16, tdx.c, smp_func_do_phymem_cache_wb and TDX_SEAMCALL_RETRIES.
    """
    row = split_as_zap()
    return replace(
        row,
        name=f"p24-bounded-resume-{restarts}",
        number="P24",
        title=f"as P21, an interrupted call again up to {restarts:,} times, then KVM_BUG_ON",
        source="Linux 6.16, TDX_SEAMCALL_RETRIES",
        discipline=row.discipline.with_(max_interrupted=restarts),
        behaves_as="",
    )
