"""Deliberate mistakes in the kernel; the suite must notice each of them.

A mutant is a file of the package, a piece of its text and what stands there instead.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One mistake.

    Attributes:
        name: What is wrong.
        file: Path below the package.
        old: Text as it is; it stands there once.
        new: Text as it would be wrong.
    """

    name: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "host-priority mark kept on ACCEPT",
        "guest/tdcalls.py",
        '    entry["word"] = 0\n    if level_of',
        '    entry["word"] = entry["word"] & ~(1 << 11)\n    if level_of',
    ),
    Mutant(
        "host-priority mark dropped on a short TDCALL",
        "guest/tdcalls.py",
        '        word, _ = entry_release(entry["word"])\n        entry["word"] = word\n    if me',
        '        word, _ = entry_release(entry["word"])\n        entry["word"] = 0\n    if me',
    ),
    Mutant(
        "gate dropped before the call it is for",
        "host/chains.py",
        "    note_kick_over(world, actor)\n",
        "    note_kick_over(world, actor)\n    release_gate(world, actor)\n",
    ),
    Mutant(
        "gate not checked on the way in",
        "host/enter.py",
        'if run["gate_count"] > 0 and not me["has_gate"]:',
        'if run["gate_count"] > 1 and not me["has_gate"]:',
    ),
    Mutant(
        "epoch parity swapped at VP.ENTER",
        "host/seamcalls.py",
        'run["refcount"][run["td_epoch"] & 1] += 1',
        'run["refcount"][1 - (run["td_epoch"] & 1)] += 1',
    ),
    Mutant(
        "epoch parity swapped at TD exit",
        "host/chains.py",
        'run["refcount"][me["vcpu_epoch"] & 1] -= 1',
        'run["refcount"][1 - (me["vcpu_epoch"] & 1)] -= 1',
    ),
    Mutant(
        "vCPU counted under its old epoch",
        "host/seamcalls.py",
        '    me["vcpu_epoch"] = run["td_epoch"]\n',
        '    me["vcpu_epoch"] = max(me["vcpu_epoch"], run["td_epoch"] - 1)\n',
    ),
    Mutant(
        "refcount not reverted by a failed VP.ENTER",
        "host/seamcalls.py",
        '        run["refcount"][me["vcpu_epoch"] & 1] -= 1\n',
        "        pass\n",
    ),
    Mutant(
        "zero-step threshold off by one",
        "guest/exits.py",
        'setup["zero_step_threshold"],',
        'setup["zero_step_threshold"] + 1,',
    ),
    Mutant(
        "zero-step not reset by progress",
        "guest/exits.py",
        'moved = me["rip"] != me["entry_rip"] or (',
        "moved = False and (",
    ),
    Mutant(
        "ACCEPT faults counted by zero-step",
        "guest/exits.py",
        '        if not me["accept_fault"]:\n            _log(world, actor)',
        "        _log(world, actor)",
    ),
    Mutant(
        "PENDING page does not keep a vCPU armed",
        "module/zero_step.py",
        "return state != EntryState.MAPPED and",
        "return state != EntryState.PENDING and state != EntryState.MAPPED and",
    ),
    Mutant(
        "shared count of a failed acquirer undone",
        "module/locks.py",
        "    if word & SHAREX_EXCLUSIVE:\n        return after, LockResult.BUSY\n    return after",
        "    if word & SHAREX_EXCLUSIVE:\n        return word, LockResult.BUSY\n    return after",
    ),
    Mutant(
        "RANGE.BLOCK takes the tree shared",
        "module/host_calls.py",
        '_API + "tdh_mem_range_block.c",\n        (*_ENTRY_WRITER,',
        '_API + "tdh_mem_range_block.c",\n        (*_ENTRY_READER,',
    ),
    Mutant(
        "DEMOTE polls under the large page's lock",
        "module/host_calls.py",
        "POLL, take(_PAGE, _EX, _RCX),\n         *let_go(_PAGE), COMMIT, *let_go(_NEW_PAGE, _ENTRY",
        "take(_PAGE, _EX, _RCX), POLL,\n         *let_go(_PAGE), COMMIT, *let_go(_NEW_PAGE, _ENTRY",
    ),
    Mutant(
        "EXPORT.MEM lets go of the tree before the next entry",
        "module/migration_calls.py",
        "*let_go(_ENTRY), NEXT,\n         *let_go(_MIGSC, _TREE,",
        "*let_go(_ENTRY, _TREE), NEXT,\n         *let_go(_MIGSC,",
    ),
    Mutant(
        "a host with interrupts disabled is stopped by INTR",
        "module/polling.py",
        "return other or (intr and interrupts_enabled)",
        "return other or intr",
    ),
    Mutant(
        "BLOCK does not note the epoch",
        "host/seamcalls.py",
        'entry["bepoch"] = run["td_epoch"]',
        'entry["bepoch"] = 0',
    ),
    Mutant(
        "TRACK's kick left out",
        "host/chains.py",
        "    begin_kick(world, actor, purpose, Kick.TRACK, 0)",
        "    begin_kick(world, actor, purpose, Kick.DECISION, 0)",
    ),
    Mutant(
        "a pending IPI is sent again",
        "host/kick.py",
        '        if target["kick_seq"]:\n            continue\n',
        "",
    ),
    Mutant(
        "kick acknowledged only by vCPUs in the guest",
        "host/kick.py",
        'sender["kick_number"] >= me["kick_seq"]',
        'sender["kick_number"] > me["kick_seq"]',
    ),
    Mutant(
        "kick reaches vCPUs outside the guest",
        "host/kick.py",
        'if vcpu == actor or not target["mode"]:',
        "if vcpu == actor:",
    ),
    Mutant(
        "mmu_lock readers overtake a waiting writer",
        "host/mmu_lock.py",
        'if run["mmu_first"] == NONE and _is_free(world, write):',
        'if (run["mmu_first"] == NONE or not write) and _is_free(world, write):',
    ),
    Mutant(
        "one reader granted at a time",
        "host/mmu_lock.py",
        'run["costs"][Cost.MMU_HANDOFF]\n\n\n@inner\ndef request_seamcall_lock',
        'run["costs"][Cost.MMU_HANDOFF]\n        return\n\n\n@inner\ndef request_seamcall_lock',
    ),
    Mutant(
        "SPTE left frozen by an unwinding",
        "host/fault.py",
        '["entry"]]["spte"] = Spte.ABSENT\n        if run["target"]',
        '["entry"]]["spte"] = Spte.PRESENT\n        if run["target"]',
    ),
    Mutant(
        "local retry ignores pending events",
        "host/fault.py",
        'if not me["reenters"] and next_interrupt(me) > run["now"]:',
        'if not me["reenters"]:',
    ),
    Mutant(
        "one issue too many before exhaustion",
        "host/busy.py",
        'me["issues"] >= rules["max_issues"][leaf]',
        'me["issues"] > rules["max_issues"][leaf]',
    ),
    Mutant(
        "2M ACCEPT notices an interrupt one page late",
        "guest/tdcalls.py",
        "(wait + step - 1) // step",
        "(wait + step) // step + 1",
    ),
    Mutant(
        "interrupted ACCEPT starts from the first page",
        "guest/tdcalls.py",
        'entry["counter"] += pages',
        'entry["counter"] = 0',
    ),
    Mutant(
        "WBINVD of a 2M page costs as much as of one page",
        "host/seamcalls.py",
        "return PAGES_PER_2M * (body + others) - others",
        "return body",
    ),
    Mutant(
        "busy SEAMCALL booked as work",
        "host/seamcalls.py",
        '    me["category"] = Category.SEAMCALL_BUSY\n',
        "",
    ),
    Mutant(
        "ties broken the other way",
        "engine/loop.py",
        "if due[actor] < earliest:",
        "if due[actor] <= earliest:",
    ),
    Mutant(
        "decision costs nothing",
        "host/busy.py",
        'run["now"] + world.discipline["decision_cycles"]',
        'run["now"]',
    ),
]
