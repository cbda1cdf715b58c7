"""What a SEAMCALL checks, and what it changes when it commits."""

from tdx_env.guest.walk import walk_end
from tdx_env.host.leaves import CHECK, EFFECT, Check, Effect
from tdx_env.jit import inner
from tdx_env.module.locks import entry_commit
from tdx_env.module.sept import check_entry, next_state
from tdx_env.module.tlb import check_track, is_tracked
from tdx_env.module.zero_step import still_faults
from tdx_env.state.actors import Spte
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, EntryState, Leaf, Lock, Outcome
from tdx_env.state.world import World


@inner
def first_faulting(world: World, actor: int) -> int:
    """Return the place on the zero-step list of the first page that would still fault, or NONE."""
    me = world.actors["row"][actor]
    acceptable_is_fine = (
        world.program["acceptable_pending_disarms"] != 0 and not world.setup["sept_ve_disable"]
    )
    for place in range(me["zs_listed"]):
        state = world.entries["row"][walk_end(world, me["gpas"][place])]["state"]
        if still_faults(state, acceptable_is_fine):
            return place
    return NONE


@inner
def check(world: World, actor: int) -> int:
    """Return the outcome of the call's checks."""
    run = world.run
    me = world.actors["row"][actor]
    leaf = me["leaf"]
    what = CHECK[leaf]
    if what == Check.EPOCH:
        return check_track(run["td_epoch"], run["refcount"][0], run["refcount"][1])
    if what == Check.ZERO_STEP:
        place = first_faulting(world, actor)
        if place == NONE:
            return Outcome.SUCCESS
        me["fault_entry"] = me["gpas"][place]
        return Outcome.EPT_VIOLATION
    if what == Check.ENTRY or what == Check.WRITES:
        entry = world.entries["row"][me["entry"]]
        epoch = run["bw_epoch"] if what == Check.WRITES else entry["bepoch"]
        tracked = is_tracked(epoch, run["td_epoch"], run["refcount"][0], run["refcount"][1])
        return check_entry(leaf, entry["state"], not run["is_building"], tracked)
    if what != Check.NOTHING:
        break_off(world, actor, Place.CHECK, leaf)
    return Outcome.SUCCESS


@inner
def _sample_epoch(world: World, actor: int) -> None:
    """Count the entering vCPU under the current epoch.

    Source: TDX module 1.5, src/common/helpers/helpers.c, adjust_tlb_tracking_state.
    """
    run = world.run
    me = world.actors["row"][actor]
    me["flushes"] = me["vcpu_epoch"] != run["td_epoch"]
    me["vcpu_epoch"] = run["td_epoch"]
    me["counted"] = 1
    run["refcount"][run["td_epoch"] & 1] += 1


@inner
def _demote_children(world: World, pd: int, state: int) -> None:
    """Put 4K entries in the place of a 2M mapping; the guest finds the same memory."""
    run = world.run
    was_mapped = state == EntryState.BLOCKED or state == EntryState.MAPPED
    first = (pd - run["first_pd"]) << run["page_shift"]
    run["n_splits"] += 1
    world.entries["row"][pd]["pamt"] = 1 << run["page_shift"]  # DEMOTE brings their PAMT
    for number in range(first, first + (1 << run["page_shift"])):
        child = world.entries["row"][number]
        child["word"] = 0
        child["bepoch"] = 0
        child["counter"] = 0
        child["holder"] = NONE
        child["holder_leaf"] = NONE
        child["state"] = EntryState.MAPPED if was_mapped else EntryState.PENDING
        child["spte"] = Spte.PRESENT


@inner
def commit(world: World, actor: int) -> None:
    """Put the call's effect in place."""
    effect = EFFECT[world.actors["row"][actor]["leaf"]]
    if effect == Effect.COUNT:
        _sample_epoch(world, actor)
    elif effect == Effect.EPOCH:
        world.run["td_epoch"] += 1
    elif effect == Effect.ADD or effect == Effect.STORE or effect == Effect.STORE_LOCKED:
        _store_entry(world, actor, effect)
    elif effect != Effect.NOTHING:
        break_off(world, actor, Place.COMMIT, world.actors["row"][actor]["leaf"])


@inner
def _store_entry(world: World, actor: int, effect: int) -> None:
    """Put the call's effect on its entry in place."""
    run = world.run
    me = world.actors["row"][actor]
    leaf = me["leaf"]
    entry = world.entries["row"][me["entry"]]
    if leaf == Leaf.MEM_PAGE_DEMOTE:
        _demote_children(world, me["entry"], entry["state"])
    if leaf == Leaf.EXPORT_BLOCKW:
        run["bw_epoch"] = run["td_epoch"]
    entry["state"] = next_state(leaf, entry["state"])
    entry["counter"] = 0
    if effect == Effect.ADD:
        return
    if leaf == Leaf.MEM_RANGE_BLOCK:
        entry["bepoch"] = run["td_epoch"]
    if leaf == Leaf.MEM_PAGE_AUG:
        entry["bepoch"] = 0
    keeps_mark, keeps_lock = world.program["commits_keep_mark"] != 0, effect == Effect.STORE_LOCKED
    entry["word"] = entry_commit(entry["word"], keeps_mark, keeps_lock)
    if not keeps_lock:
        me["held"] &= ~(1 << Lock.ENTRY)
