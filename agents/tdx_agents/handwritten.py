"""The catalogue: every hand-written policy, by name and number."""

import functools

from tdx_agents import adaptive, fault_loop, flush, kick, merged, retry, split, structure, tries
from tdx_agents.protocol import Policy
from tdx_agents.row import Row
from tdx_env.table import table_text

_FLUSH: tuple[Row, ...] = (
    structure.batched_retry(1),
    structure.batched_retry(8),
    structure.batched_retry(16),
    structure.batched_retry(64),
    structure.batched_retry(512),
    flush.until_waits(),
    flush.needbreak(),
    flush.needbreak(is_preemptible=False),
    flush.pages_or_time(),
    flush.greedy(),
    flush.greedy(50),
    flush.greedy(200),
    flush.greedy(sees="count"),
    flush.greedy_random(),
    flush.root(),
    flush.root(sees="count"),
)
_ROWS: tuple[Row, ...] = (
    retry.blind(),
    retry.blind_any(),
    retry.unlimited_loop(),
    retry.gated_track(),
    retry.seamcall_lock(),
    retry.doubling_cap(),
    retry.optimistic_lock(),
    kick.sean_2(),
    kick.paolo_5(),
    kick.paolo_5_once(),
    retry.rely_on_host_priority(),
    fault_loop.fault_loop(),
    kick.zero_step_kick(),
    kick.flagged_kick(),
    retry.write_barrier(),
    kick.gate_first(),
    kick.retry_then_gate(),
    fault_loop.frozen_loop(),
    fault_loop.walk_again(),
    merged.install_16(),
    merged.merged_6_16(),
    structure.gate_page(),
    structure.batched_merged(16),
    structure.batched_merged(512),
    merged.merged_6_18(),
    merged.merged_6_19(),
    split.split_as_zap(),
    split.split_locked(),
    split.mirrored_tree_lock(),
    split.unbounded_restart(),
    split.interrupts_off(),
    split.bounded_resume(),
    structure.no_private_faults(),
    retry.zero_tolerance(),
    tries.plain_tries(1),
    tries.retry_once(),
    *(tries.plain_tries(n) for n in (4, 8, 16, 32, 64)),
    tries.operand_split(),
    tries.bounded(),
    *_FLUSH,
    adaptive.break_even(),
    adaptive.operand(),
    adaptive.uniform_random(),
)


def rows() -> tuple[Row, ...]:
    """Return the rows of the catalogue, in order, nothing compiled."""
    return _ROWS


def names() -> list[str]:
    """Return the names of the catalogue's policies, in order."""
    return [row.name for row in _ROWS]


def known_names() -> list[str]:
    """Return what `find` understands: names and numbers, in order."""
    return [name for row in _ROWS for name in (row.name, row.number) if name]


@functools.cache
def _compiled(row: Row) -> Policy:
    """Return the policy of a row, compiled once a process."""
    return row.compile()


@functools.cache
def _decided() -> tuple[Row, ...]:
    """Return the flush rules as decision functions."""
    return tuple(flush.decided(row) for row in _FLUSH)


def find(name: str) -> Policy | None:
    """Return the policy of a name or number, in capital or small letters, or None.

    A flush rule's name behind "decided-" is the same rule as decisions.
    """
    wanted = name.lower()
    among = _decided() if wanted.startswith(flush.DECIDED_PREFIX) else _ROWS
    known = (row for row in among if wanted in (row.name.lower(), row.number.lower()))
    row = next(known, None) if wanted else None
    return None if row is None else _compiled(row)


def catalogue() -> tuple[Policy, ...]:
    """Return all policies of the catalogue, in order."""
    return tuple(_compiled(row) for row in _ROWS)


def policies_records() -> list[dict[str, str | bool]]:
    """Return what the table of policies says, as JSON has it."""
    return [
        {
            "number": row.number,
            "name": row.name,
            "needs_kvm_change": row.discipline.needs_kvm_change,
            "title": row.title,
            "behaves_as": row.behaves_as,
            "source": row.source,
        }
        for row in _ROWS
    ]


def policies_table(columns: int | None = None) -> str:
    """Return the catalogue as text.

    Args:
        columns: Columns of the terminal; None: ask.
    """
    rows = []
    for row in _ROWS:
        title = f"{row.title} (behaves as {row.behaves_as})" if row.behaves_as else row.title
        mark = "needs a change" if row.discipline.needs_kvm_change else "today"
        rows.append((row.number or "-", row.name, mark, title))
    return table_text(("number", "name", "KVM", "what it does"), rows, columns)
