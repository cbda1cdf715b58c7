"""How a cost is measured on a real host: one line of bpftrace that writes a file for `--costs`.

Function names are those of Linux 6.16 to 6.19 (arch/x86/virt/vmx/tdx/tdx.c, virt/kvm/kvm_main.c,
arch/x86/coco/tdx/tdx-shared.c). `tdh_vp_enter` is noinstr: no probe sees it alone.
"""

from dataclasses import dataclass

from tdx_eval.costs.ranges import common

_DONE = "retval == 0"
_BUSY = "((uint64)retval >> 32) == 0x80000200"  # TDX_OPERAND_BUSY, whatever the operand
_2M, _4K = 2 << 20, 4 << 10
_KHZ = 2_500_000  # of the clock that costs are counted in


@dataclass(frozen=True)
class Probe:
    """Two points of the kernel between which a cost passes.

    Attributes:
        first: Where time begins, as bpftrace writes it.
        last: Where it ends.
        begins_if: Condition on the first, or "".
        counts_if: Condition on the last, or "".
        less: Costs that pass too; the middles of their ranges are taken off.
        is_guest: Whether it runs in the TD.
    """

    first: str
    last: str
    begins_if: str = ""
    counts_if: str = ""
    less: tuple[str, ...] = ()
    is_guest: bool = False


def _call(function: str, counts_if: str = _DONE, less: tuple[str, ...] = ()) -> Probe:
    """Return the probe of a whole function."""
    return Probe(f"kprobe:{function}", f"kretprobe:{function}", "", counts_if, less)


def _accept(size: int) -> Probe:
    """Return the probe of an ACCEPT of one page, in the guest."""
    function = "tdx_accept_memory"
    condition = f"arg1 - arg0 == {size}"
    return Probe(f"kprobe:{function}", f"kretprobe:{function}", condition, "", ("tdcall",), True)


def _between(first: str, last: str) -> Probe:
    """Return the probe of the time between two tracepoints."""
    return Probe(f"tracepoint:{first}", f"tracepoint:{last}")


PROBES = {
    "bare": _call("tdh_mem_page_aug", _BUSY, ("to_tdr", "to_tree", "to_entry")),
    "page_aug": _call("tdh_mem_page_aug"),
    "page_add": _call("tdh_mem_page_add"),
    "sept_add": _call("tdh_mem_sept_add"),
    "page_remove": _call("tdh_mem_page_remove"),
    "range_block": _call("tdh_mem_range_block"),
    "track": _call("tdh_mem_track"),
    "mr_extend": _call("tdh_mr_extend"),
    "wbinvd": _call("tdh_phymem_page_wbinvd_hkid"),
    "vp_flush": _call("tdh_vp_flush"),
    "vp_create": _call("tdh_vp_create"),
    "vp_addcx": _call("tdh_vp_addcx"),
    "vp_init": _call("tdh_vp_init"),
    "accept_4k": _accept(_4K),
    "accept_2m": _accept(_2M),
    "irq_handler": _between("irq_vectors:local_timer_entry", "irq_vectors:local_timer_exit"),
    "kick_handler": _between("irq_vectors:call_function_entry", "irq_vectors:call_function_exit"),
    "user_exit": _between("kvm:kvm_userspace_exit", "kvm:kvm_entry"),
}
"""By cost; what is missing happens inside the module or between CPUs, where no probe is."""


def _offset(probe: Probe) -> str:
    """Return what is taken off the mean, for the line."""
    middles = {row.name: (row.low + row.high) // 2 for row in common()}
    less = sum(middles[cost] for cost in probe.less)
    return f" - {less}" if less else ""


def _if(condition: str) -> str:
    """Return a condition as a filter of bpftrace."""
    return f" /{condition}/" if condition else ""


def measuring_line(cost: str) -> str:
    """Return the shell command that measures a cost and writes a file for `--costs`, or "".

    It ends at Ctrl-C, with the mean in cycles of a TSC of 2.5 GHz, which costs are counted in.
    """
    probe = PROBES.get(cost)
    if probe is None:
        return ""
    counted = " && ".join(part for part in ("@at[tid]", probe.counts_if) if part)
    lasts = f"$ns = nsecs - @at[tid]; @n++; @sum += $ns * {_KHZ} / 1000000; delete(@at[tid]);"
    value = f"@sum / @n{_offset(probe)}"
    script = (
        f"{probe.first}{_if(probe.begins_if)} {{ @at[tid] = nsecs; }} "
        f"{probe.last}{_if(counted)} {{ {lasts} }} "
        f'END {{ if (@n) {{ printf("{cost} = %d\\n", {value}); }} '
        "clear(@at); clear(@n); clear(@sum); }"
    )
    return f"bpftrace -q -e '{script}' > my-costs.toml"


def where_measured(cost: str) -> str:
    """Say where a cost's line runs, or why there is none."""
    probe = PROBES.get(cost)
    if probe is None:
        return "no probe sees it alone: it passes inside the module or between CPUs"
    where = "in the TD" if probe.is_guest else "on the host"
    less = f", with the middle of {', '.join(probe.less)} taken off" if probe.less else ""
    return f"{where}, under load, until Ctrl-C{less}"
