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
        "a vCPU that kicks for its fault loses its own time, not the host's",
        "state/owners.py",
        " or category in _SENDING",
        "",
    ),
    Mutant(
        "what hostile vCPUs lose is stolen",
        "engine/start.py",
        "Party.HOSTILE_VCPU if is_hostile else Party.VCPU",
        "Party.VCPU",
    ),
    Mutant(
        "host-priority mark kept on ACCEPT",
        "guest/tdcalls.py",
        'world.program["accept_keeps_mark"] != 0',
        "True",
    ),
    Mutant(
        "host-priority mark dropped on ACCEPT where the module keeps it",
        "guest/tdcalls.py",
        'world.program["accept_keeps_mark"] != 0',
        "False",
    ),
    Mutant(
        "host-priority mark dropped by a host call that commits",
        "host/effects.py",
        'world.program["commits_keep_mark"] != 0',
        "False",
    ),
    Mutant(
        "guest that falls back tries a refused 4K page again",
        "guest/falling_back.py",
        '    run["end"] = End.KILLED\n',
        '    run["end"] = End.RUNNING\n',
    ),
    Mutant(
        "guest that falls back leaves the last 4K page out",
        "guest/falling_back.py",
        'if me["small"] < 1 << world.run["page_shift"]:',
        'if me["small"] < (1 << world.run["page_shift"]) - 1:',
    ),
    Mutant(
        "fault freezes an SPTE that no rule freezes",
        "host/fault.py",
        '    if world.setup["freezes"]:\n        world.entries',
        "    if True:\n        world.entries",
    ),
    Mutant(
        "pass that is given up takes the page of whoever came first",
        "host/fault.py",
        'if me["leaf"] != Leaf.MEM_PAGE_AUG or world.setup["freezes"]:',
        "if True:",
    ),
    Mutant(
        "user space always enters a TD again that was refused too long",
        "host/vcpus.py",
        'if world.setup["stops_on_timeout"]:',
        "if False:",
    ),
    Mutant(
        "every refusal by a mark counts as one by an abandoned mark",
        "guest/tdcalls.py",
        ' and entry["spte"] != Spte.FROZEN',
        "",
    ),
    Mutant(
        "size of a TD drawn without its weight",
        "engine/start.py",
        'left -= setup["n_vcpus_weights"][place]',
        "left -= 1",
    ),
    Mutant(
        "guest never looks at the mark first",
        "guest/tdcalls.py",
        'if world.program["guests_test_mark_first"]:',
        "if False:",
    ),
    Mutant(
        "module drawn by the stream of the scenario",
        "engine/seeds.py",
        "_draw(seeds, Draw.MODULE, 0, 0, 0)",
        "_draw(seeds, Draw.SCENARIO, 0, 0, 0)",
    ),
    Mutant(
        "guests lock FREE entries whatever the module does",
        "guest/tdcalls.py",
        'bool(world.program["guests_lock_free_entries"] and world.setup["guests_lock_free"])',
        'bool(world.setup["guests_lock_free"])',
    ),
    Mutant(
        "tree never has a mark",
        "host/lock_words.py",
        'return bool(world.program["tree_has_priority"])',
        "return False",
    ),
    Mutant(
        "list never gives way to a waiting writer",
        "host/seamcalls.py",
        " or (yields_to != NONE and has_mark(world, yields_to))",
        "",
    ),
    Mutant(
        "list gives way to a waiting writer in every version",
        "host/seamcalls.py",
        "yields_to != NONE and has_mark(world, yields_to)",
        "has_mark(world, Lock.TREE)",
    ),
    Mutant(
        "armed vCPU never shares the tree",
        "module/seamcalls.py",
        "Mode.SHARED if version.armed_enter_shares_tree else Mode.EXCLUSIVE",
        "Mode.EXCLUSIVE",
    ),
    Mutant(
        "PROMOTE leaves the tree to readers",
        "module/seamcalls.py",
        "Mode.EXCLUSIVE if version.promote_takes_tree_exclusive else Mode.SHARED",
        "Mode.SHARED",
    ),
    Mutant(
        "guest looks at the lock before the mark in the newest releases",
        "module/regimes.py",
        "mark_first if version.guests_test_mark_first else guest,",
        "guest,",
    ),
    Mutant(
        "tree without host priority in a newer regime",
        "module/regimes.py",
        "_TREE_WITH_PRIORITY if version.tree_has_priority else _PLAIN_TREE",
        "_PLAIN_TREE",
    ),
    Mutant(
        "what was not seen of 1.5.28 taken from the next newer release",
        "module/rules.py",
        '"no R  no I  no U  yes R   yes I  yes I  yes R",\n    ),\n    (\n        "vp_init',
        '"no R  no I  yes U  yes R   yes I  yes I  yes R",\n    ),\n    (\n        "vp_init',
    ),
    Mutant(
        "a walk to a page does not share its 2M range",
        "matrix/conflicts.py",
        "    if not places:\n        return call\n",
        "    if places:\n        return call\n",
    ),
    Mutant(
        "a scan says that an interrupt stopped it when it gives way",
        "status/polling.py",
        "yields=Status.INTERRUPTED_BUSY",
        "yields=_RESUME",
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
        'if world.run["gate_count"] == 0 or me["has_gate"]:',
        'if world.run["gate_count"] <= 1 or me["has_gate"]:',
    ),
    Mutant(
        "epoch parity swapped at VP.ENTER",
        "host/effects.py",
        'run["refcount"][run["td_epoch"] & 1] += 1',
        'run["refcount"][1 - (run["td_epoch"] & 1)] += 1',
    ),
    Mutant(
        "epoch parity swapped at TD exit",
        "host/trip.py",
        'run["refcount"][me["vcpu_epoch"] & 1] -= 1',
        'run["refcount"][1 - (me["vcpu_epoch"] & 1)] -= 1',
    ),
    Mutant(
        "vCPU counted under its old epoch",
        "host/effects.py",
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
        "module/sharex.py",
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
        "status/polling.py",
        "return other or (intr and interrupts_enabled)",
        "return other or intr",
    ),
    Mutant(
        "BLOCK does not note the epoch",
        "host/effects.py",
        'entry["bepoch"] = run["td_epoch"]',
        'entry["bepoch"] = 0',
    ),
    Mutant(
        "TRACK's kick left out",
        "host/track.py",
        "    begin_kick(world, actor, purpose, Kick.TRACK, 0)",
        "    begin_kick(world, actor, purpose, Kick.DECISION, 0)",
    ),
    Mutant(
        "a pending IPI is sent again",
        "host/kick.py",
        'not target["mode"] or target["kick_seq"]:',
        'not target["mode"]:',
    ),
    Mutant(
        "kick acknowledged only by vCPUs in the guest",
        "host/guest_mode.py",
        '["kick_number"] >= me["kick_seq"]',
        '["kick_number"] > me["kick_seq"]',
    ),
    Mutant(
        "kick reaches vCPUs outside the guest",
        "host/kick.py",
        'if vcpu == actor or not target["mode"] or',
        "if vcpu == actor or",
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
        'wake_at(world, first, run["now"] + run["costs"][Cost.MMU_HANDOFF])\n',
        'wake_at(world, first, run["now"] + run["costs"][Cost.MMU_HANDOFF])\n        return\n',
    ),
    Mutant(
        "SPTE left frozen by an unwinding",
        "host/fault.py",
        '["spte"] = Spte.PRESENT if is_there else Spte.ABSENT',
        '["spte"] = Spte.PRESENT',
    ),
    Mutant(
        "local retry ignores pending events",
        "host/fault.py",
        'elif reenters or next_guest_interrupt(me) <= world.run["now"]:',
        "elif reenters:",
    ),
    Mutant(
        "a host's tick is an event of the guest",
        "guest/interrupts.py",
        '    return min(me["tick_at"], me["device_at"])',
        '    return min(min(me["tick_at"], me["device_at"]), me["host_tick_at"])',
    ),
    Mutant(
        "a host's tick never ends the guest's turn",
        "guest/interrupts.py",
        'return min(next_guest_interrupt(me), me["host_tick_at"])',
        "return next_guest_interrupt(me)",
    ),
    Mutant(
        "a tick is armed only once",
        "guest/interrupts.py",
        'me["must_arm"] = me["arm_cycles"] > 0',
        'me["must_arm"] = me["arm_cycles"] > 0 and me["tick_at"] <= 2 * me["tick_period"]',
    ),
    Mutant(
        "the timer's arming is no progress to zero-step",
        "guest/exits.py",
        '        me["rip"] = RIP_OF_HANDLER\n',
        "",
    ),
    Mutant(
        "the timer's arming is booked as an interrupt",
        "host/trip.py",
        "Category.EXIT_ENTRY if is_arming else Category.HOST_IRQ",
        "Category.HOST_IRQ",
    ),
    Mutant(
        "one issue too many before exhaustion",
        "host/busy.py",
        "if issues < limit:",
        "if issues <= limit:",
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
        "state/agenda.py",
        "if due[actor] < earliest:",
        "if due[actor] <= earliest:",
    ),
    Mutant(
        "decision costs nothing",
        "host/busy.py",
        'run["now"] + world.discipline["decision_cycles"]',
        'run["now"]',
    ),
    Mutant(
        "a split mapping's pages are PENDING",
        "host/effects.py",
        "EntryState.MAPPED if was_mapped else EntryState.PENDING",
        "EntryState.PENDING",
    ),
    Mutant(
        "a page behind a FROZEN 2M mapping is passed over",
        "host/split.py",
        'return bool(world.entries["row"][ancestor(run, entry, 1)]["spte"] == Spte.FROZEN)',
        "return False",
    ),
    Mutant(
        "page blocked for writing stays absent after an unwinding",
        "host/fault.py",
        'is_there = me["leaf"] == Leaf.EXPORT_UNBLOCKW',
        "is_there = False",
    ),
    Mutant(
        "busy entries of EXPORT.BLOCKW forgotten",
        "host/seamcalls.py",
        'me["failed"] += me["leaf"] == Leaf.EXPORT_BLOCKW',
        'me["failed"] += 0',
    ),
    Mutant(
        "SRCU does not wait for prefaults",
        "host/srcu.py",
        'return bool(me["kind"] == Task.PREFAULT) and not (is_out',
        "return False and not (is_out",
    ),
    Mutant(
        "interrupted once too often",
        "host/busy.py",
        'if me["interrupts"] > world.discipline["max_interrupted"]:',
        'if me["interrupts"] >= world.discipline["max_interrupted"]:',
    ),
    Mutant(
        "the first in the queue gets the CPU, whatever it had",
        "host/cpus.py",
        "if (had == cpu) | (had == NONE):",
        "if True:",
    ),
    Mutant(
        "a moved thread is not flushed",
        "host/run_loop.py",
        '        if me["moved"]:\n',
        '        if me["moved"] and False:\n',
    ),
    Mutant(
        "signals come one device interrupt late",
        "guest/interrupts.py",
        'me["device"] % me["signal_every"] == 0',
        'me["device"] % me["signal_every"] == 1 % me["signal_every"]',
    ),
    Mutant(
        "slots_lock handed over at once",
        "host/guard.py",
        'run["now"] + run["costs"][Cost.MMU_HANDOFF]',
        'run["now"]',
    ),
    Mutant(
        "lock words stay in the socket that had them first",
        "host/seamcalls.py",
        '    run["line_socket"] = socket\n',
        "",
    ),
    Mutant(
        "IPIs arrive in irq-off sections",
        "host/kick.py",
        'if world.setup["irq_off_share"] > 0:',
        'if world.setup["irq_off_share"] < 0:',
    ),
    Mutant(
        "one page too many in a batch",
        "host/flush.py",
        'if me["blocked"] >= rule["pages"]:',
        'if me["blocked"] > rule["pages"]:',
    ),
    Mutant(
        "a batch that is seen to be waited for again counts from then",
        "host/flush.py",
        'if me["contended_since"] == NONE and world.run',
        "if world.run",
    ),
    Mutant(
        "waiting before the batch counts",
        "host/flush.py",
        'waited = mmu_waited(world) - me["waited_before"]',
        "waited = mmu_waited(world)",
    ),
    Mutant(
        "batches that nobody waited for count as waited for",
        "host/flush.py",
        'calm, hit = run["now"] - me["batch_opened"], 0',
        'calm, hit = run["now"] - me["batch_opened"], HITS_UNIT',
    ),
    Mutant(
        "one draw for all batches",
        "host/flush.py",
        'draw(world.run["seed"], Draw.BATCH, actor, int(world.actors["row"][actor]["batch"]), 0)',
        'draw(world.run["seed"], Draw.BATCH, actor, 0, 0)',
    ),
    Mutant(
        "the drawn share of the price is all of it",
        "host/flush_rules.py",
        "return price * int(_SHARE[place]) // _SHARE_UNIT",
        "return price * int(_SHARE[place]) // int(_SHARE[place])",
    ),
    Mutant(
        "decided YIELD keeps mmu_lock",
        "host/track.py",
        '        me["makes_way"] = 1\n',
        '        me["makes_way"] = 0\n',
    ),
    Mutant(
        "way is made after each later page",
        "host/zap.py",
        '    world.actors["row"][actor]["makes_way"] = 0\n',
        "",
    ),
    Mutant(
        "nobody is asked at flush points",
        "host/track.py",
        "if not has_next_to_block(world, actor):",
        "if True:",
    ),
    Mutant(
        "busy replies are asked about always",
        "host/busy.py",
        "if asks_at(world, actor, path):",
        "if asks_at(world, actor, path) or True:",
    ),
    Mutant(
        "the shared EPT's flush counts as TRACK's kick",
        "host/kick.py",
        'if me["kick_kind"] == Kick.TRACK:',
        'if me["kick_kind"] != Kick.DECISION:',
    ),
    Mutant(
        "faults that met a FROZEN SPTE before the batch count",
        "host/ask.py",
        'run["n_frozen_met"] - me["frozen_before"]',
        'run["n_frozen_met"]',
    ),
    Mutant(
        "others want the CPUs of all host tasks",
        "host/cpus.py",
        "return bool(who == Resched.ALL)",
        "return bool(who != Resched.NEVER)",
    ),
    Mutant(
        "a vCPU thread's slice is over whoever waits",
        "host/cpus.py",
        'run["n_pcpus"] > 0 and run["run_first"] != NONE',
        'run["n_pcpus"] > 0',
    ),
    Mutant(
        "waiters in the queue are not taken off",
        "host/mmu_lock.py",
        "        _count_waiters(world, -1)\n",
        "        _count_waiters(world, 0)\n",
    ),
    Mutant(
        "gate of the kick before TRACK stays closed",
        "host/track.py",
        '    if not world.discipline["gate_first"]:\n        release_gate(world, actor)\n',
        "",
    ),
    Mutant(
        "an ICR write for each target",
        "host/kick.py",
        'if target["cluster"] != cluster:',
        "if True:",
    ),
    Mutant(
        "targets of a cluster are interrupted one after the other",
        "host/kick.py",
        'end + run["costs"][Cost.IPI_DELIVERY]',
        'end + me["sent"] * run["costs"][Cost.IPI_DELIVERY]',
    ),
    Mutant(
        "a cluster reaches over to the next socket",
        "engine/start.py",
        'socket * MAX_ACTORS + (vcpu - first) // max(1, world.setup["ipi_cluster"])',
        'vcpu // max(1, world.setup["ipi_cluster"])',
    ),
    Mutant(
        "answers read for the IPIs that were sent alone",
        "host/guest_mode.py",
        'me["targets"] * run["costs"][Cost.KICK_ACK]',
        'me["sent"] * run["costs"][Cost.KICK_ACK]',
    ),
    Mutant(
        "a target has answered as soon as it has left",
        "host/guest_mode.py",
        'answered = me["answered_at"] + run["costs"][Cost.KICK_HANDLER]',
        'answered = me["answered_at"]',
    ),
    Mutant(
        "a kick's handler takes as long as a tick's",
        "host/trip.py",
        'run["costs"][Cost.KICK_HANDLER]',
        'run["costs"][Cost.IRQ_HANDLER]',
    ),
    Mutant(
        "vCPUs outside the guest are not looked at",
        "host/kick.py",
        'n_read = run["n_vcpus"] - me["targets"]',
        "n_read = 0",
    ),
    Mutant(
        "the request of a flush is set for nothing",
        "host/kick.py",
        '        n_read += run["n_vcpus"]  # the',
        "        n_read += 0  # the",
    ),
    Mutant(
        "no flush at the end of a zap",
        "host/zap.py",
        """["cursor_end"]:
        if not flushes_remote_tlbs(world, actor, Purpose.NEXT_PAGE):
            release_mmu""",
        """["cursor_end"]:
        if True:
            release_mmu""",
    ),
    Mutant(
        "no flush before a zap makes way",
        "host/zap.py",
        """        if not flushes_remote_tlbs(world, actor, Purpose.NEXT_PAGE):
            _make_way""",
        """        if True:
            _make_way""",
    ),
    Mutant(
        "no flush before a zap's YIELD",
        "host/busy.py",
        "if not flushes_remote_tlbs(world, actor, Purpose.YIELD):",
        "if True:",
    ),
    Mutant(
        "a flush without progress",
        "host/zap.py",
        '    world.actors["row"][actor]["zapped"] = 0\n',
        '    world.actors["row"][actor]["zapped"] = 0\n'
        '    world.actors["row"][actor]["unflushed"] = 1\n',
    ),
    Mutant(
        "a TD that is being built is flushed",
        "host/zap.py",
        'me["unflushed"] = not run["is_building"]',
        'me["unflushed"] = 1',
    ),
    Mutant(
        "only vCPUs in the guest flush",
        "host/kick.py",
        '["flush_requested"] = 1',
        '["flush_requested"] = world.actors["row"][vcpu]["mode"]',
    ),
    Mutant(
        "a vCPU flushes twice",
        "host/run_loop.py",
        '    me["flush_requested"] = 0\n',
        '    me["flush_requested"] = (me["flush_requested"] + 1) % 3\n',
    ),
    Mutant(
        "a flush counts as a decided kick on its targets",
        "guest/exits.py",
        'if me["ipi_kind"] == Kick.TRACK or me["ipi_kind"] == Kick.FLUSH:',
        'if me["ipi_kind"] == Kick.TRACK:',
    ),
    Mutant(
        "the old CPU of a moved thread answers at once",
        "host/run_loop.py",
        "cycles += costs[Cost.IPI_DELIVERY] + costs[Cost.KICK_HANDLER]",
        "cycles += 0",
    ),
    Mutant(
        "a vCPU at the gate has no handler",
        "engine/loop.py",
        "    elif state == State.RUN_LOOP or state == State.GATED:\n",
        "    elif state == State.RUN_LOOP:\n",
    ),
    Mutant(
        "a purpose handled as another one",
        "host/chains.py",
        "    elif purpose == Purpose.BLOCK:\n        block_for_a_while",
        "    elif purpose == Purpose.UNBLOCK:\n        block_for_a_while",
    ),
    Mutant(
        "REENTER forgotten among the exhaustions",
        "host/busy.py",
        "    elif not is_local and what != Exhaustion.REENTER and what",
        "    elif not is_local and what",
    ),
    Mutant(
        "a page that is blocked already taken for KVM's mistake",
        "host/busy.py",
        "    elif outcome == Outcome.GPA_RANGE_ALREADY_BLOCKED:\n",
        "    elif outcome == Outcome.GPA_RANGE_NOT_BLOCKED:\n",
    ),
    Mutant(
        "EXPORT.MEM asks for BLOCK's epoch",
        "host/leaves.py",
        "Cost.EXPORT_MEM, Check.WRITES,",
        "Cost.EXPORT_MEM, _ENTRY,",
    ),
    Mutant(
        "the epoch lock is always free",
        "host/lock_words.py",
        "Lock.MIGSC]] = Word.EPOCH, Word.MIG,",
        "Lock.MIGSC]] = NO_WORD, Word.MIG,",
    ),
    Mutant(
        "VP.INIT made without mmu_lock in 6.19",
        "state/kernels.py",
        "build_guard=True, vp_init_locked=True,",
        "build_guard=True, vp_init_locked=False,",
    ),
    Mutant(
        "a busy PAGE.ADD of 6.19 goes to user space",
        "host/build.py",
        'if is_add and ADD_RETRIED[world.run["kernel"]]:',
        'if is_add and not ADD_RETRIED[world.run["kernel"]]:',
    ),
    Mutant(
        "mmu_lock kept after VP.INIT",
        "host/build.py",
        '"""The ioctl is done."""\n    release_mmu(world, task)\n',
        '"""The ioctl is done."""\n',
    ),
    Mutant(
        "the discipline's kernel is ignored",
        "engine/start.py",
        'if run["kernel"] == OF_SCENARIO:',
        'if run["kernel"] != NONE - 1:',
    ),
    Mutant(
        "a page that was given up keeps its PAMT",
        "host/fault.py",
        "    if entry != NONE and is_add and is_counted(world, actor, leaf, entry):\n",
        "    if entry == NONE and is_add and is_counted(world, actor, leaf, entry):\n",
    ),
    Mutant(
        "PAMT.ADD at every page",
        "host/pamt.py",
        '    if block["pamt"] > 0:\n        block["pamt"] += 1\n',
        '    if block["pamt"] > 1 << 30:\n        block["pamt"] += 1\n',
    ),
    Mutant(
        "the fast path gives the last page back without the lock",
        "host/pamt.py",
        "_counts_without_lock(world, actor, 1)",
        "_counts_without_lock(world, actor, 0)",
    ),
    Mutant(
        "a block is usable before its PAMT.ADD is over",
        "host/pamt.py",
        '    world.actors["row"][actor]["pamt_call"] = 1\n',
        '    world.actors["row"][actor]["pamt_call"] = 0\n    block["pamt"] += 1\n',
    ),
    Mutant(
        "a conversion in place lets go of the file when it breaks off",
        "host/zap.py",
        "    _reschedule(world, actor, Purpose.ZAP, Category.MMU_LOCK_WAIT)\n",
        "    unlock_file(world, actor)\n"
        "    _reschedule(world, actor, Purpose.ZAP, Category.MMU_LOCK_WAIT)\n",
    ),
    Mutant(
        "a fault that slept for the file goes on as if nothing had been",
        "host/chains.py",
        "        unlock_file(world, actor)\n        try_again(world, actor, 0)\n",
        "        unlock_file(world, actor)\n        begin_fault_pass(world, actor)\n",
    ),
    Mutant(
        "pages converted in place stay private",
        "host/zap.py",
        '    me["cursor"] = me["cursor_end"] - chunk\n    _share(world, actor)\n',
        '    me["cursor"] = me["cursor_end"] - chunk\n',
    ),
    Mutant(
        "AUG made without the mirror of the tree lock",
        "host/leaves.py",
        "Cost.PAGE_AUG, _ENTRY, _STORE, True, _SH,",
        "Cost.PAGE_AUG, _ENTRY, _STORE, True, NONE,",
    ),
    Mutant(
        "PENDING page fine for zero-step though its touch is no #VE",
        "host/effects.py",
        ' and not world.setup["sept_ve_disable"]\n',
        "\n",
    ),
]
