"""The world: the scalars of a run and the arrays that are its whole state."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from tdx_env.state.actors import ACTOR, ENTRY
from tdx_env.state.calls import (
    LAST_CALL,
    LAST_SEAMCALL,
    MAX_STEPS,
    N_LEAVES,
    STEP,
    Delay,
    Lock,
)
from tdx_env.state.costs import N_COSTS
from tdx_env.state.discipline import N_ACTIONS, N_HOST_LOCKS
from tdx_env.state.features import N_AVERAGES, N_FEATURES
from tdx_env.state.owners import N_OWNERS
from tdx_env.state.setup import MAX_GROUPS, MAX_PCPUS, MAX_TASKS

N_CALLS = LAST_SEAMCALL + 1
N_HOLDERS = LAST_CALL + 2  # calls that can hold a lock, and one place for "nobody known"
# In cell order.
CELL_LOCKS = (Lock.TDR, Lock.OP_STATE, Lock.TREE, Lock.ENTRY, Lock.EPOCH, Lock.MIG, Lock.MIGSC)
N_CELLS = N_CALLS * N_HOLDERS * len(CELL_LOCKS)
MAX_ENDED = 32
OCTAVES = 44  # latency histogram: powers of two ...
SUB_BINS = 16  # ... each cut into this many bins
N_BINS = OCTAVES * SUB_BINS


class End(IntEnum):
    """How an episode ended."""

    RUNNING = 0
    FINISHED = 1
    KILLED = 2
    HUNG = 3
    CAPPED = 4
    BROKEN = 5  # the simulator met a case that it doesn't handle: see `state.broken`


class Word(IntEnum):
    """Lock words of the TD; index into the run's ``words``, ``holder`` and ``holder_leaf``."""

    TDR = 0
    OP_STATE = 1
    TREE = 2
    EPOCH = 3
    MIG = 4
    MIGSC = 5


N_WORDS = len(Word)


class Operation(IntEnum):
    """Kinds of operations whose latency is kept."""

    FAULT = 0
    ZAP = 1


N_OPERATIONS = len(Operation)


# What is drawn from a guest group's or a host task's ranges at the start.
GROUP_DRAWN_FIELDS = [
    ("count", np.int64),  # its vCPUs
    ("items", np.int64),  # work items of each
    ("tick", np.int64),  # timer period [cycles], 0: none
    ("host_tick", np.int64),  # the host's own timer period [cycles], 0: none
    ("device_gap", np.int64),  # mean [cycles], 0: none
    ("first", np.int64),  # its first vCPU
]
GROUP_DRAWN = np.dtype(GROUP_DRAWN_FIELDS, align=True)
TASK_DRAWN_FIELDS = [
    ("count", np.int64),
    ("items", np.int64),
    ("first", np.int64),  # its first actor
    ("device_gap", np.int64),  # mean [cycles], 0: none
]
TASK_DRAWN = np.dtype(TASK_DRAWN_FIELDS, align=True)

# What every event and every step needs comes first: of a large batch the cache holds little else.
RUN_FIELDS = [
    ("seed", np.uint64),
    ("now", np.int64),
    ("end", np.int64),  # an End
    ("decision_actor", np.int64),  # actor that waits for a decision, or NONE
    ("turn", np.int64),  # actor whose event it is, or NONE
    ("others_due", np.int64),  # nobody but the one whose turn it is is due before that [cycles]
    ("soonest_apart", np.int64),  # no actor off the agenda has an event before that [cycles]
    ("may_be_apart", np.int64),  # 1: actors may be off the agenda (see `host.lazy`), 0: none is
    ("epoch_until", np.int64),  # TRACK held the epoch lock last until then [cycles]
    ("n_returned", np.int64),  # entries of `returned`
    ("enter_cycles", np.int64),  # a VP.ENTER that meets nobody, after its first step [cycles]
    ("enter_steps", np.int64),  # its steps
    ("n_hammers", np.int64),  # vCPUs whose program is HAMMER
    ("n_events", np.int64),
    ("n_decisions", np.int64),
    ("n_seamcalls", np.int64),
    ("n_busy", np.int64),
    ("n_ipis", np.int64),
    ("n_kicks", np.int64),
    ("n_guest_busy", np.int64),
    ("n_abandoned", np.int64),  # of them those by the mark of a host call that was given up
    ("n_synthetic", np.int64),  # zero-step's synthetic exits
    ("n_armed", np.int64),  # VP.ENTERs that took the tree lock
    ("n_interrupted", np.int64),  # SEAMCALLs that came back for an interrupt
    ("n_list_busy", np.int64),  # entries of a list that were busy and passed over
    ("n_splits", np.int64),  # 2M mappings split
    ("n_write_locks", np.int64),  # mmu_lock taken for write
    ("n_switches", np.int64),  # vCPU threads given a CPU that another one had
    ("n_moves", np.int64),  # of them those whose last CPU was another (VP.FLUSH)
    ("n_pamt_gets", np.int64),  # pages for which tdx_pamt_get was called
    ("n_pamt_adds", np.int64),  # of them those that needed PAMT.ADD
    ("pamt_get_cycles", np.int64),  # spent in tdx_pamt_get, waiting for its lock included [cycles]
    ("pamt_get_max", np.int64),  # the longest one [cycles]
    ("waste", np.int64),  # [cycles]
    ("overhead", np.int64),  # [cycles]
    ("owned", np.int64, (N_OWNERS,)),  # overhead by Owner [cycles]
    ("track", np.int64, (N_OWNERS,)),  # TRACK's kicks and the shared EPT's flush in it [cycles]
    ("latency", np.int64),  # of faults and chunks [cycles]
    ("preempt_penalty", np.int64),  # beyond the scenario's limit [cycles]
    ("preempt_1ms", np.int64),  # beyond 1 ms [cycles]
    ("preempt_50us", np.int64),  # beyond 50 us [cycles]
    ("tail_cost", np.int64),  # n_cpus * (cap - now) of an episode that did not finish [cycles]
    ("longest_stretch", np.int64),  # longest non-preemptible stretch [cycles]
    ("n_vcpus", np.int64),
    ("n_actors", np.int64),
    ("n_blocks", np.int64),  # blocks of actors whose earliest due time is kept, 0: too few
    ("n_cpus", np.int64),  # CPUs: pCPUs of the vCPU threads, and one for each host task
    ("work_total", np.int64),
    ("work_done", np.int64),
    ("last_progress", np.int64),  # [cycles]
    ("guest_items", np.int64),  # finished foreground items of vCPUs
    ("task_items", np.int64),  # finished items of host tasks
    ("kill_actor", np.int64),
    ("kill_leaf", np.int64),
    ("kill_outcome", np.int64),
    ("broken_place", np.int64),  # a Place of `state.broken` ...
    ("broken_case", np.int64),  # ... and what it doesn't handle
    ("broken_actor", np.int64),  # whose event it was, or NONE
    ("broken_state", np.int64),  # its State, or NONE
    ("broken_leaf", np.int64),  # Leaf of its call, or NONE
    ("target", np.int64),  # entry the host works on (what a hostile guest hammers), or NONE
    ("td_epoch", np.int64),
    ("gate_count", np.int64),
    ("n_in_guest", np.int64),  # vCPUs in IN_GUEST_MODE
    ("kick_seq", np.int64),  # kicks begun
    ("operation_seq", np.int64),  # operations begun
    ("mmu_writer", np.int64),  # actor, or NONE
    ("mmu_readers", np.int64),
    ("mmu_first", np.int64),  # queue of mmu_lock: first and last actor, or NONE
    ("mmu_last", np.int64),
    ("mmu_queued", np.int64),  # threads in it ...
    ("mmu_waited", np.int64),  # ... and what all have waited in it, up to ... [cycles]
    ("mmu_counted", np.int64),  # ... this time [cycles]
    ("n_behind_writers", np.int64),  # threads that began to wait while mmu_lock was held for write
    ("write_held", np.int64),  # mmu_lock held for write, in all [cycles]
    ("write_taken", np.int64),  # since when it is now [cycles]
    ("n_flushes", np.int64),  # TRACKs' kicks
    ("n_frozen_met", np.int64),  # faults that met a FROZEN SPTE
    (
        "lock_owner",
        np.int64,
        (N_HOST_LOCKS,),
    ),  # HostLocks: exclusive holder, or NONE
    ("lock_readers", np.int64, (N_HOST_LOCKS,)),
    ("lock_first", np.int64, (N_HOST_LOCKS,)),  # its queue
    ("lock_last", np.int64, (N_HOST_LOCKS,)),
    ("first_kicker", np.int64),  # list of the kicks under way, or NONE
    ("guard_owner", np.int64),  # actor that holds slots_lock and the build guard, or NONE
    ("guard_first", np.int64),  # its queue
    ("guard_last", np.int64),
    ("srcu_actor", np.int64),  # actor that waits for SRCU's readers, or NONE
    ("bw_epoch", np.int64),  # epoch of the last BLOCKW
    ("line_socket", np.int64),  # socket that has the TD's lock words in its cache
    ("n_pcpus", np.int64),  # CPUs that the vCPU threads share, 0: one for each
    ("run_first", np.int64),  # queue of vCPU threads that wait for a CPU
    ("run_last", np.int64),
    ("populate_cycles", np.int64),  # spent before the episode under `prepopulate` [cycles]
    ("page_shift", np.int64),  # a region has 1 << page_shift 4K entries
    ("first_pd", np.int64),  # index of the first level 1 entry ...
    ("first_l2", np.int64),  # ... level 2 ...
    ("first_l3", np.int64),  # ... and of the level 3 entry
    ("is_building", np.int64),  # 1: the TD is not finalised, BLOCK and TRACK are not required
    ("stall_cycles", np.int64),
    ("time_cap", np.int64),  # [cycles]
    ("scenario", np.int64),  # row of the setups
    ("kernel", np.int64),  # whose rules hold: place in `state.kernels.KERNELS`
    ("module_version", np.int64),  # drawn: place in `module.versions.MODULE_VERSIONS`
    ("was_masked", np.int64),  # 1: the last action given was masked
    ("n_masked", np.int64),  # masked actions given in this episode
    ("n_chunks", np.int64),  # chunks zapped
    ("n_pages", np.int64),  # pages removed
    ("chunk_cycles", np.int64),  # from asking for mmu_lock to the end of each chunk [cycles]
    ("hold_max", np.int64),  # mmu_lock held for write [cycles]
    ("fault_max", np.int64),  # [cycles]
    ("zap_max", np.int64),  # [cycles]
    ("n_operations", np.int64, (N_OPERATIONS,)),  # finished, for each Operation
    ("refcount", np.int64, (2,)),  # vCPUs in the guest, by parity of their epoch
    ("words", np.int64, (N_WORDS,)),
    ("holder", np.int64, (N_WORDS,)),  # actor that took the word last
    ("holder_leaf", np.int64, (N_WORDS,)),
    ("taken_at", np.int64, (N_WORDS,)),  # when it did [cycles]
    ("try_cycles", np.int64, (N_AVERAGES,)),  # average busy try: tree, entry, epoch [cycles]
    ("tries", np.int64, (N_AVERAGES,)),  # average issues to success [1/16]
    ("kick_send_target", np.int64),  # average sending cost of one IPI [cycles]
    ("kick_wait", np.int64),  # average wait after sending [cycles]
    ("kick_target", np.int64),  # average exit to re-entry of a kicked vCPU [cycles]
    ("flush_send", np.int64),  # average time of the sender of TRACK's kick [cycles]
    ("flush_target", np.int64),  # average exit to re-entry of a vCPU that it stops [cycles]
    ("calm_cycles", np.int64),  # average of a batch until somebody is seen waiting [cycles]
    ("calm_hits", np.int64),  # share of the batches in which somebody is [1/1024]
    ("features", np.int64, (N_FEATURES,)),  # of the decision that is waited for
    ("mask", np.int64, (N_ACTIONS,)),
    ("n_ended", np.int64),  # operations ended since the last decision
    ("capacity", np.int64),  # actors that the block has room for
    ("trace_capacity", np.int64),
    ("decision_capacity", np.int64),
    ("n_traced", np.int64),
    ("n_decisions_traced", np.int64),
    ("costs", np.int64, (N_COSTS,)),  # drawn for this episode [cycles]
    ("delays", np.int64, (N_LEAVES, len(Delay))),  # [cycles]
    ("group_drawn", GROUP_DRAWN, (MAX_GROUPS,)),
    ("task_drawn", TASK_DRAWN, (MAX_TASKS,)),
    ("cpu_thread", np.int32, (MAX_PCPUS,)),  # vCPU that runs on each pCPU, or NONE
    ("ended", np.int64, (MAX_ENDED, 2)),  # the latest of them: id, waste booked on their actor
    ("cells", np.int64, (N_CELLS, 2)),  # busy replies, cycles lost
    ("histogram", np.int32, (N_OPERATIONS, N_BINS)),  # latencies of each Operation
    ("holds", np.int32, (N_BINS,)),  # how long mmu_lock was held for write
]
RUN = np.dtype(RUN_FIELDS, align=True)

MAX_ACTORS = 320
BLOCK_SHIFT = 4  # 16 actors have one entry in `soonest`
MAX_ENTRIES = 1 << 20
MAX_TRACED = 1 << 22

# Blocks: one record per episode, each with more room than an episode uses. The records of a batch
# overlap in memory: they stand as far apart as the batch needs (see `engine.batch`).
ACTORS_FIELDS = [
    ("due", np.int64, (MAX_ACTORS,)),  # time of each actor's next event [cycles]
    ("soonest", np.int64, (MAX_ACTORS >> BLOCK_SHIFT,)),  # earliest of each block [cycles]
    ("apart", np.int64, (MAX_ACTORS,)),  # next event of an actor off the agenda, or NEVER [cycles]
    ("returned", np.int64, (MAX_ACTORS,)),  # kicked vCPUs that have re-entered: time and number
    ("returned_trip", np.int64, (MAX_ACTORS,)),  # from exit to re-entry; TRACK's negative [cycles]
    ("row", ACTOR, (MAX_ACTORS,)),
]
ACTORS = np.dtype(ACTORS_FIELDS, align=True)
ENTRIES = np.dtype([("row", ENTRY, (MAX_ENTRIES,))], align=True)
EVENT_FIELDS = [
    ("time", np.int64),  # [cycles]
    ("actor", np.int64),
    ("state", np.int64),  # the State that ends
    ("entry", np.int64),  # S-EPT entry, or NONE
]
EVENT = np.dtype(EVENT_FIELDS, align=True)
TRACE = np.dtype([("event", EVENT, (MAX_TRACED,))], align=True)
DECISION_FIELDS = [
    ("time", np.int64),  # [cycles]
    ("actor", np.int64),
    ("path", np.int64),  # a CallPath
    ("leaf", np.int64),  # a Leaf
    ("operand", np.int64),  # operand id of the status
    ("entry", np.int64),  # S-EPT entry, or NONE
    ("issues", np.int64),
    ("action", np.int64),  # an Action
]
DECISION = np.dtype(DECISION_FIELDS, align=True)
DECISIONS = np.dtype([("decision", DECISION, (MAX_TRACED,))], align=True)

# The rules of a version of the module: its table of calls, and 1 or 0 for each rule that is in no
# step of it. The names are those of `module.versions.ModuleVersion`.
MODULE_RULES = (
    "tree_has_priority",
    "commits_keep_mark",
    "accept_keeps_mark",
    "guests_test_mark_first",
    "acceptable_pending_disarms",
    "guests_lock_free_entries",
)
PROGRAM_FIELDS = [
    ("steps", STEP, (N_LEAVES, MAX_STEPS)),
    *((rule, np.int32) for rule in MODULE_RULES),
]
PROGRAM = np.dtype(PROGRAM_FIELDS, align=True)


class World(NamedTuple):
    """All state of one episode: records, which compiled code passes round as pointers.

    A batch has arrays of these records: one for each episode, but one for each scenario for
    `setup`, one for each version of the module for `program`, and one in all for `discipline`.
    """

    run: np.void  # RUN
    actors: np.void  # ACTORS
    entries: np.void  # ENTRIES
    setup: np.void  # SETUP: the scenario, ranges undrawn
    discipline: np.void  # DISCIPLINE
    program: np.void  # PROGRAM: the rules of the module's version
    trace: np.void  # TRACE
    decisions: np.void  # DECISIONS
