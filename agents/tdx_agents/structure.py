"""Rows that change what is asked of the module, and when, rather than what a busy reply meets."""

from dataclasses import replace

from tdx_agents.merged import merged_6_16
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_env.host.discipline import DEFAULT


def gate_page() -> Row:
    """P18-gate-page: as P18, but the gate of a kick lasts until the page is gone.

    Between BLOCK, TRACK and REMOVE no vCPU comes back to make the next call busy: one gate a page,
    where P18 may need three.

    Source:
        P18 with the gate of Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo), the optional variant.
    """
    row = merged_6_16()
    return replace(
        row,
        name="p18-gate-page",
        number="P18-gate-page",
        title="as P18, a kick's gate lasts to the end of the page",
        source="variant of P18",
        discipline=row.discipline.with_(gate_scope="page"),
    )


def batched_merged(pages: int) -> Row:
    """P18-batch: as P18, but a zap blocks many pages before one TRACK and one kick.

    Args:
        pages: Pages blocked before one flush, at most.

    Source:
        None upstream: the bound that a batching KVM could reach, under P18's decisions.
    """
    row = merged_6_16()
    return replace(
        row,
        name=f"p18-batch-{pages}",
        number=f"P18-batch-{pages}",
        title=f"as P18, one TRACK for up to {pages} pages",
        source="variant of P18",
        discipline=row.discipline.with_(flush=pages),
    )


def batched_retry(pages: int) -> Row:
    """Retry-batch: again whatever is busy, one TRACK for many pages, else the default discipline.

    Args:
        pages: Pages blocked before one flush, at most.

    Source:
        None upstream: the bound that a batching KVM could reach without decided kicks.
    """
    discipline = DEFAULT.with_(flush=pages)
    which = "each page" if pages == 1 else f"up to {pages} pages"
    title = f"again whatever is busy, one TRACK for {which}"
    return Row(f"retry-batch-{pages}", "", title, "yardstick", always_retry, discipline)


def no_private_faults() -> Row:
    """P25: all private memory is there before the TD runs; one lock round the S-EPT SEAMCALLs.

    Conversions bring faults back: they re-enter the guest. Zap as P18.

    Source:
        David Matlack, 19 Jan 2023; rejected on the call that Rick Edgecombe and Sean
        Christopherson reported on 17 Dec 2024 (Z2IGaW6q520PxWo-).
    """
    row = merged_6_16()
    return replace(
        row,
        name="p25-no-private-faults",
        number="P25",
        title="all private memory from the start, one lock; zap as P18",
        source="David Matlack, Jan 2023; Dec 2024",
        discipline=row.discipline.with_(
            prepopulate=True, seamcall_lock="always", on_frozen="reenter", fault_yield="reenter"
        ),
    )
