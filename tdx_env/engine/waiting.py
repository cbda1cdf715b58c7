"""Who waits for what, in words: why an episode that hung or was cut off would not have ended."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tdx_env.engine.batch import Batch
from tdx_env.engine.causes import Cause, explain
from tdx_env.engine.scene import Scene
from tdx_env.host.mmu_lock import READ
from tdx_env.state.accounting import Category
from tdx_env.state.actors import Program, State


@dataclass(frozen=True)
class Wait:
    """What one actor does or waits for.

    Attributes:
        actor: Its number.
        name: In words.
        cause: What keeps it from going on; NOTHING if it goes on or has nothing to do.
        on: Actors that it waits for.
        text: In words.
    """

    actor: int
    name: str
    cause: Cause
    on: tuple[int, ...]
    text: str


_PLAIN = {
    State.PARKED: "parked, the TD is being built",
    State.HALTED: "halted, wakes at its next interrupt",
    State.THINK: "between two work items",
    State.FINISHED: "has finished",
    State.HOLD_BLOCKED: "keeps a page blocked",
}


def _plain(scene: Scene, actor: int) -> str:
    """Say what an actor does that waits for nobody."""
    me = scene.rows[actor]
    state = State(int(me["state"]))
    if state in _PLAIN:
        return _PLAIN[state]
    if state == State.COMPUTE:
        is_spinning = me["program"] == Program.COMPUTE
        return "computes in the guest" + (" for ever (background)" if is_spinning else "")
    if state == State.RUN_LOOP and me["category"] == Category.YIELD:
        return "goes round the run loop after a busy VP.ENTER"
    return f"in {scene.doing(actor)}"


def _with_locks(scene: Scene, actor: int, text: str) -> str:
    """Add what an actor holds that others may wait for."""
    me = scene.rows[actor]
    if me["has_mmu_lock"]:
        text += f"; holds mmu_lock for {'read' if me['has_mmu_lock'] == READ else 'write'}"
    if me["has_gate"]:
        text += "; keeps the gate closed"
    return text


def waits(batch: Batch, index: int) -> list[Wait]:
    """Return what every actor of a world does or waits for, in order."""
    scene = Scene(batch, index)
    found = []
    for actor in range(scene.n_actors):
        cause, on, text = explain(scene, actor)
        text = _with_locks(scene, actor, text or _plain(scene, actor))
        found.append(Wait(actor, scene.who(actor), cause, tuple(on), text))
    return found


def waiting_actors(batch: Batch, index: int) -> list[str]:
    """Return in words what every actor of a world does or waits for, one line each."""
    return [f"{wait.name}: {wait.text}" for wait in waits(batch, index)]


def _span(numbers: list[int]) -> str:
    """Return numbers as a list of ranges: 0, 3 to 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in runs)


def together(lines: Iterable[str]) -> Iterator[str]:
    """Put lines of `waiting_actors` together that say the same of several actors."""
    groups: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        name, _, text = line.partition(": ")
        kind, _, number = name.rpartition(" ")
        groups.setdefault((kind, text), []).append(int(number))
    for (kind, text), numbers in groups.items():
        yield f"{kind}{'s' if len(numbers) > 1 else ''} {_span(numbers)}: {text}"
