"""One event of a replay in words."""

from collections.abc import Callable

from tdx_env.engine.causes import Cause, explain
from tdx_env.engine.scene import LOCK_NAMES, Scene
from tdx_env.module.names import short_name
from tdx_env.state.actors import Exit, Kick, State
from tdx_env.state.calls import NONE, EntryState, Leaf, Outcome

Told = tuple[str, str]  # what is the same in repetitions, and the words
_SILENT = frozenset(
    {State.DECIDED, State.MMU_GRANTED, State.TDCALL_RETURN, State.HOST_IRQ, State.THINK}
)
_PLAIN = {
    State.COMPUTE: "runs in the guest",
    State.TOUCH: "touches its page",
    State.VE: "is in its #VE handler",
    State.FAULT_LOCKED: "has mmu_lock for read, walks the mirror",
    State.ZAP_CLEAR: "clears the page",
    State.RESCHED: "drops mmu_lock and reschedules",
    State.IRQ_SERVE: "serves the interrupt",
    State.USER_EXIT: "returns to user space",
    State.HALTED: "halts",
    State.FINISHED: "has finished",
}


def _call(scene: Scene, actor: int) -> str:
    """Return the name of an actor's call."""
    return short_name(Leaf(int(scene.rows[actor]["leaf"])))


def _failed(scene: Scene, actor: int) -> Told:
    """Tell of a call that is on its way back with an error."""
    me, call = scene.rows[actor], _call(scene, actor)
    outcome = Outcome(int(me["outcome"]))
    if outcome == Outcome.OPERAND_BUSY:
        lock = scene.busy_lock(me["leaf"], me["operand"])
        text = f"{LOCK_NAMES[lock]} is busy, held by {scene.holder_text(actor, lock)}"
        return f"{call}: {text}", f"{call}, issue {int(me['issues'])}: {text}"
    if outcome == Outcome.EPT_VIOLATION:
        entry = int(me["fault_entry"])
        state = EntryState(int(scene.entry(entry)["state"])).name
        text = f"{call}: synthetic EPT violation, {scene.page(entry)} is {state}"
        return text, text
    text = f"{call}: {outcome.name}"
    return text, text


def _issued(scene: Scene, actor: int) -> Told | None:
    """Tell of a call that is issued for the first time; repetitions show in their replies."""
    if scene.rows[actor]["issues"] > 1:
        return None
    me = scene.rows[actor]
    on = f" on {scene.page(me['entry'])}" if me["entry"] != NONE else ""
    text = f"issues {_call(scene, actor)}{on}"
    return text, text


_KICKS = {
    Kick.DECISION: "kicks",
    Kick.TRACK: "TRACK's kick",
    Kick.FLUSH: "flushes remote TLBs",
}


def _kicked(scene: Scene, actor: int) -> Told:
    """Tell of a kick."""
    me = scene.rows[actor]
    whose = _KICKS[Kick(int(me["kick_kind"]))]
    gate = ", the gate closed" if me["has_gate"] else ""
    return whose, f"{whose}: {int(me['sent'])} IPIs{gate}"


def _locked(scene: Scene, actor: int) -> Told:
    """Tell of a TDCALL that has locked its entry."""
    text = f"{_call(scene, actor)} locks {scene.page(scene.rows[actor]['entry'])}"
    return text, text


def _left(scene: Scene, actor: int) -> Told:
    """Tell of a TD exit."""
    why = Exit(int(scene.rows[actor]["exit"])).name.replace("_", " ")
    text = f"leaves the guest: {why}"
    return text, text


def _on_fault(scene: Scene, actor: int) -> Told:
    """Tell of a pass of the fault handler, or of its end without success."""
    me = scene.rows[actor]
    page = scene.page(me["fault_entry"])
    cause, _, why = explain(scene, actor)
    if cause in (Cause.DYING_SLOT, Cause.FOREIGN_PAGE, Cause.FROZEN):
        return why, why
    if me["state"] == State.UNWIND:
        text = f"gives up this pass over the fault on {page}"
    else:
        text = f"handles a fault on {page}"
    return text, text


def _to_run_loop(scene: Scene, actor: int) -> Told | None:
    """Tell of the way back to VP.ENTER; its repetitions show in their replies."""
    return None if scene.rows[actor]["leaf"] != NONE else ("run loop", "is in KVM's run loop")


def _to_remove(scene: Scene, actor: int) -> Told:
    """Tell of a page whose removal or split begins."""
    me = scene.rows[actor]
    verb = "split" if me["is_splitting"] else "remove"
    text = f"begins to {verb} {scene.page(me['entry'])}, mmu_lock held for write"
    return text, text


_BY_STATE: dict[State, Callable[[Scene, int], Told | None]] = {
    State.SEAM_RETURN: _failed,
    State.SEAMCALL: _issued,
    State.KICK_SEND: _kicked,
    State.HOLD: _locked,
    State.TD_EXIT: _left,
    State.FAULT_SOFTWARE: _on_fault,
    State.UNWIND: _on_fault,
    State.RUN_LOOP: _to_run_loop,
    State.ZAP_SOFTWARE: _to_remove,
}


def _let_go(scene: Scene, actor: int) -> Told:
    """Tell of a TDCALL that has let its entry go."""
    text = f"{_call(scene, actor)} lets the entry go"
    if scene.rows[actor]["outcome"] == Outcome.INTERRUPTED:
        text = f"{_call(scene, actor)} is interrupted"
        if not scene.world.program["accept_keeps_mark"]:
            text += ", its store erases the host's mark"
    return text, text


def _refused(scene: Scene, actor: int) -> Told | None:
    """Tell of a TDCALL that didn't get its entry."""
    me = scene.rows[actor]
    outcome = Outcome(int(me["outcome"]))
    if outcome not in (Outcome.OPERAND_BUSY, Outcome.OPERAND_BUSY_HOST_PRIORITY):
        return _left(scene, actor) if me["state"] == State.TD_EXIT else None
    why = "it is locked" if outcome == Outcome.OPERAND_BUSY else "a host call's mark is on it"
    text = f"{_call(scene, actor)} of {scene.page(me['entry'])} is refused, {why}"
    return text, text


def _done(scene: Scene, actor: int, leaf: int) -> str:
    """Return the words for a SEAMCALL that has succeeded, before those for what follows."""
    return "is in the guest" if leaf == Leaf.VP_ENTER else f"{short_name(Leaf(leaf))} done"


def tell(scene: Scene, actor: int, before: State, leaf: int) -> Told | None:
    """Tell what an actor's event did, if that is worth a line.

    Args:
        scene: The world after it.
        actor: Whose event.
        before: Its state before.
        leaf: Its call before.
    """
    after = State(int(scene.rows[actor]["state"]))
    if before == State.HOLD:
        return _let_go(scene, actor)
    if before == State.TDCALL and after in (State.TDCALL_RETURN, State.TD_EXIT):
        return _refused(scene, actor)
    is_same = after == before and scene.rows[actor]["leaf"] == leaf
    if is_same and before in (State.SEAMCALL, State.SEAM_RETURN):
        return None  # a step within a SEAMCALL, or the event that killed the TD
    found: Told | None = None
    if after in _BY_STATE:
        found = _BY_STATE[after](scene, actor)
    elif after in _PLAIN:
        found = (_PLAIN[after], _PLAIN[after])
    elif after not in _SILENT:
        cause, _, why = explain(scene, actor)
        found = (why, why) if cause != Cause.NOTHING else None
    if before == State.SEAMCALL and after != State.SEAM_RETURN and leaf != NONE:
        done = _done(scene, actor, leaf)
        key, text = found or ("", "")
        is_more = text and leaf != Leaf.VP_ENTER
        return f"{done} {key}", f"{done}; {text}" if is_more else done
    return found
