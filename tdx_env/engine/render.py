"""The state of a world as text: CPUs, locks, who waits."""

import numpy as np

from tdx_env.engine.batch import Batch
from tdx_env.engine.scene import Scene
from tdx_env.module.names import short_name
from tdx_env.state.actors import NEVER, CallPath, State
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.world import CELL_LOCKS, N_HOLDERS, Word, World

_MHZ = 1000


def microseconds(cycles: int, clock_khz: int) -> float:
    """Return cycles of the scenario's clock in microseconds."""
    return cycles * _MHZ / clock_khz


def _lock_lines(run: np.void, tree_has_priority: bool) -> list[str]:
    """Return one line for each lock of the TD."""
    lines = []
    for word in (Word.TDR, Word.OP_STATE, Word.TREE, Word.EPOCH):
        has_priority = word < Word.TREE or (word == Word.TREE and tree_has_priority)
        value = int(run["words"][word])
        n_shared = value >> 2 if has_priority else value >> 1
        held = "exclusive" if value & 1 else f"{n_shared} shared"
        mark = ", host priority" if has_priority and value & 2 else ""
        lines.append(f"  {word.name:9} {held}{mark}")
    writer = int(run["mmu_writer"])
    held = f"written by {writer}" if writer != NONE else f"{int(run['mmu_readers'])} readers"
    lines.append(f"  mmu_lock  {held}" + (", contended" if run["mmu_first"] != NONE else ""))
    lines.append(f"  gate      {int(run['gate_count'])} closed it")
    return lines


def _actor_line(run: np.void, me: np.void, actor: int, due: int, clock_khz: int) -> str:
    """Return one line about an actor."""
    name = "vCPU" if actor < run["n_vcpus"] else "task"
    line = f"  {name} {actor:3} {State(int(me['state'])).name:18}"
    if me["leaf"] != NONE and me["state"] in _IN_CALL:
        line += f" {Leaf(int(me['leaf'])).name} issue {int(me['issues'])}"
    if due == NEVER:
        line += " waits"
    else:
        line += f" for {microseconds(due - int(run['now']), clock_khz):.2f} us"
    if me["mode"]:
        line += ", IN_GUEST_MODE"
    if me["has_mmu_lock"]:
        line += ", holds mmu_lock"
    if me["has_gate"]:
        line += ", holds the gate"
    return line + (" <- decides" if actor == run["decision_actor"] else "")


_IN_CALL = {State.SEAMCALL, State.SEAM_RETURN, State.TDCALL, State.HOLD, State.DECIDED}


def _due(world: World, actor: int) -> int:
    """Return when an actor's next event is, on the agenda or off it [cycles]."""
    apart = int(world.actors["apart"][actor])
    return int(world.actors["due"][actor]) if apart == NEVER else apart


def state_text(batch: Batch, index: int) -> str:
    """Return the state of a world as text, one line an actor and a lock."""
    world = batch.world(index)
    run = world.run
    clock_khz = int(world.setup["clock_khz"])
    lines = [f"time {microseconds(int(run['now']), clock_khz):.2f} us", "locks"]
    lines += _lock_lines(run, bool(world.program["tree_has_priority"]))
    lines.append("CPUs")
    for actor in range(run["n_actors"]):
        me, due = world.actors["row"][actor], _due(world, actor)
        if actor == run["decision_actor"]:
            due = int(run["now"])
        lines.append(_actor_line(run, me, actor, due, clock_khz))
    return "\n".join(lines)


def holder_text(batch: Batch, index: int) -> str:
    """Return who held the lock that made the call busy a decision is asked for (hidden state)."""
    scene = Scene(batch, index)
    actor = int(scene.run["decision_actor"])
    me = scene.rows[actor]
    if me["question"] == CallPath.FLUSH:
        return "nobody: a page is blocked, another one could be"
    if me["operand"] == 0:
        return "nobody: an interrupt ended the call"
    lock = scene.met(actor)
    met = int(me["cell"]) // len(CELL_LOCKS) % N_HOLDERS
    if met == N_HOLDERS - 1:
        return f"{lock.name} held by nobody any more"
    # The lock may have changed hands while the reply came back: then only the call is known.
    holder, leaf = scene.holder(actor, lock)
    by = f"{scene.who(holder)} in " if leaf == met else ""
    return f"{lock.name} held by {by}{short_name(Leaf(met))}"
