"""Between BLOCK and what it is for: TRACK and its kick, which every chain that blocks has.

Source: Linux 6.16, arch/x86/kvm/vmx/tdx.c, tdx_track; batches and the kick before TRACK are
disciplines.
"""

from tdx_env.host.ask import ask, asks_at
from tdx_env.host.export import list_tracked
from tdx_env.host.fault import walk_with_lock
from tdx_env.host.flush import count_blocked, is_flush_due
from tdx_env.host.kick import begin_kick, release_gate
from tdx_env.host.mmu_lock import release_mmu
from tdx_env.host.restore import keep_blocked
from tdx_env.host.seamcall_lock import release_lock
from tdx_env.host.seamcalls import new_call
from tdx_env.host.split import end_split
from tdx_env.host.tasks import is_vcpu
from tdx_env.host.zap import (
    blocks_next,
    close_batch,
    has_next_to_block,
    next_page,
    remove_page,
)
from tdx_env.jit import inner
from tdx_env.state.actors import CallPath, Exit, Kick, Purpose, Task
from tdx_env.state.booking import begin_operation
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action, HostLock, TrackKick
from tdx_env.state.world import World


@inner
def _purpose_of(world: World, actor: int) -> int:
    """Return what follows when nobody can have an old translation any more."""
    me = world.actors["row"][actor]
    kind = me["kind"]
    if me["is_splitting"]:
        return Purpose.DEMOTE
    if kind == Task.BLOCK_RESTORE:
        return Purpose.UNBLOCK
    if kind == Task.EXPORT:
        return Purpose.EXPORT
    if not is_vcpu(me) and kind != Task.ZAP and kind != Task.SLOT_DELETE:
        break_off(world, actor, Place.TRACK_FOR, kind)
    return Purpose.REMOVE


@inner
def go_on_tracked(world: World, actor: int, purpose: int) -> None:
    """Go on when TRACK is done and every vCPU has been out of the guest."""
    me = world.actors["row"][actor]
    release_lock(world, actor, HostLock.TRACK)
    if purpose == Purpose.REMOVE:
        remove_page(world, actor)
    elif purpose == Purpose.DEMOTE:
        new_call(world, actor, Leaf.MEM_PAGE_DEMOTE, me["entry"])
    elif purpose == Purpose.UNBLOCK:
        keep_blocked(world, actor)
    elif purpose == Purpose.EXPORT:
        list_tracked(world, actor)
    else:
        break_off(world, actor, Place.TRACKED, purpose)


@inner
def after_block(world: World, actor: int) -> None:
    """BLOCK has succeeded: TRACK, or the batch's next page first; a rule or somebody decides."""
    me = world.actors["row"][actor]
    if me["is_splitting"] or me["kind"] == Task.BLOCK_RESTORE:
        _begin_track(world, actor)
        return
    count_blocked(world, actor)
    if not has_next_to_block(world, actor):
        _flush(world, actor)
    elif world.discipline["flush"]["is_decided"] and asks_at(world, actor, CallPath.FLUSH):
        me["operand"] = 0
        ask(world, actor, CallPath.FLUSH)
    elif is_flush_due(world, actor) or not blocks_next(world, actor):
        _flush(world, actor)


@inner
def _flush(world: World, actor: int) -> None:
    """End the batch: stop the vCPUs and remove what is blocked."""
    close_batch(world, actor)
    _begin_track(world, actor)


@inner
def act_on_batch(world: World, actor: int) -> None:
    """Carry out the decision at a flush point; a page that has gone meanwhile ends the batch."""
    me = world.actors["row"][actor]
    action = me["action"]
    if action == Action.RETRY and blocks_next(world, actor):
        return
    if action == Action.YIELD:
        me["makes_way"] = 1
    elif action != Action.RETRY and action != Action.KICK:
        break_off(world, actor, Place.BATCH_ACTION, action)
    _flush(world, actor)


@inner
def _begin_track(world: World, actor: int) -> None:
    """Issue TRACK, or what comes before it."""
    me = world.actors["row"][actor]
    when = world.discipline["track_kick"]
    if world.run["is_building"]:
        # tdx_track returns: no vCPU has run yet
        go_on_tracked(world, actor, _purpose_of(world, actor))
    elif when == TrackKick.BEFORE:
        begin_kick(world, actor, Purpose.TRACK, Kick.TRACK, 1)
    elif when == TrackKick.AFTER:
        new_call(world, actor, Leaf.MEM_TRACK, me["entry"])
    else:
        break_off(world, actor, Place.TRACK_KICK, when)


@inner
def after_track(world: World, actor: int) -> None:
    """TRACK has succeeded: kick every vCPU, whatever the discipline, unless that is done.

    Source: Linux 6.16, tdx.c, tdx_track.
    """
    me = world.actors["row"][actor]
    purpose = _purpose_of(world, actor)
    if world.discipline["track_kick"] == TrackKick.AFTER or me["kind"] == Task.EXPORT:
        begin_kick(world, actor, purpose, Kick.TRACK, 0)
        return
    if not world.discipline["gate_first"]:
        release_gate(world, actor)
    go_on_tracked(world, actor, purpose)


@inner
def after_demote(world: World, actor: int) -> None:
    """The mapping is split: zap on, or look up the page that the fault is about."""
    me = world.actors["row"][actor]
    end_split(world, actor)
    if is_vcpu(me) and me["exit"] == Exit.EPT_VIOLATION:
        release_mmu(world, actor)
        me["path"] = CallPath.FAULT
        begin_operation(world, actor)
        walk_with_lock(world, actor)
        return
    me["zapped"] += 1
    next_page(world, actor)
