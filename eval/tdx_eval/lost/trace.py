"""The trace of a lost episode: the last events of those involved, a dozen lines."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tdx_env.engine.render import microseconds
from tdx_env.engine.scene import Scene
from tdx_env.engine.waiting import Wait, together, waits
from tdx_env.state.actors import NEVER, State
from tdx_env.state.calls import NONE, Leaf
from tdx_eval.lost.chain import (
    hang_root,
    is_guests_end,
    killers_failures,
    operation_begin,
    told_failure,
)
from tdx_eval.lost.replay import Replay
from tdx_eval.lost.telling import tell

MOST_LINES = 12
_FIRST_LINES = 4
_MOST_EVENTS = 400  # of the killer
_MOST_OF_OTHERS = 60  # events of others that are told
_MOST_OF_LOOP = 60  # events of a loop that are told
_LOOP_US = 1000  # a loop is looked at for so long
_BEFORE_US = 20  # how much of the time before somebody got stuck is told
_ROUNDS = 3  # a loop is told until something in it happens this often
_CHUNKS = 200  # pieces of an episode, to find when somebody got stuck


@dataclass
class _Line:
    """What one actor did, perhaps several times."""

    time: int
    actor: int
    who: str
    key: str
    text: str
    last: int
    n: int = 1

    def shown(self, begin: int, clock_khz: int) -> str:
        """Return the line with its time since an instant."""
        us = microseconds(self.time - begin, clock_khz)
        text = f"{us:10.2f} us  {self.who}: {self.text}"
        if self.n > 1:
            until = microseconds(self.last - begin, clock_khz)
            text += f" ({self.n} times, until {until:.2f} us)"
        return text


def _events(
    replay: Replay, actors: set[int], begin: int, until: int | None = None
) -> list[tuple[int, int, State]]:
    """Return the events of some actors between two instants: time, actor, state before."""
    rows = replay.recorded(begin, until).tolist()
    return [(time, actor, State(state)) for time, actor, state, _ in rows if actor in actors]


def _lines(
    replay: Replay, events: list[tuple[int, int, State]], page: int = NONE
) -> Iterator[_Line]:
    """Play an episode anew, stop at each event, and tell it; only what is done to a page, if any.

    Args:
        replay: The episode.
        events: Time, actor, state before.
        page: The S-EPT entry, or NONE.
    """
    replay.restart()
    for time, actor, before in events:
        leaf = int(replay.to(time - 1).rows[actor]["leaf"])
        scene = replay.to(time)
        if page not in (NONE, _page_of(scene, actor, before)):
            continue
        told = tell(scene, actor, before, leaf)
        if told:
            yield _Line(time, actor, scene.who(actor), *told, last=time)


def _page_of(scene: Scene, actor: int, before: State) -> int:
    """Return the page that an event is about: of the guest's TDCALL, or of a fault."""
    me = scene.rows[actor]
    return int(me["entry" if before in (State.TDCALL, State.HOLD) else "fault_entry"])


def _put_together(lines: Iterator[_Line]) -> list[_Line]:
    """Count what an actor does again and again without anything else between, as one line."""
    found: list[_Line] = []
    latest: dict[int, _Line] = {}
    for line in lines:
        before = latest.get(line.actor)
        if before is not None and before.key == line.key:
            before.n += 1
            before.last = line.last
            continue
        latest[line.actor] = line
        found.append(line)
    return found


def _once_round(lines: Iterator[_Line], since: int) -> Iterator[_Line]:
    """Yield the lines of a loop until somebody does something for the third time from then on."""
    seen: Counter[tuple[int, str]] = Counter()
    for line in lines:
        seen[line.actor, line.key] += line.time >= since
        yield line
        if seen[line.actor, line.key] == _ROUNDS:
            return


def _without_middle(lines: list[str]) -> list[str]:
    """Leave out the middle of a long trace."""
    if len(lines) <= MOST_LINES:
        return lines
    n_last = MOST_LINES - _FIRST_LINES - 1
    gap = f"{'...':>13}  {len(lines) - MOST_LINES + 1} lines more"
    return [*lines[:_FIRST_LINES], gap, *lines[-n_last:]]


def _shortened(lines: list[_Line], main: int, begin: int, clock_khz: int) -> list[str]:
    """Return lines as text; of others than the main actor the last ones, as far as they fit."""
    n_others = sum(line.actor != main for line in lines)
    n_dropped = min(n_others, max(0, len(lines) + 1 - MOST_LINES))
    n_dropped = 0 if len(lines) <= MOST_LINES else n_dropped
    shown: list[str] = []
    n_seen = 0
    for line in lines:
        n_seen += line.actor != main
        if line.actor == main or n_seen > n_dropped:
            shown.append(line.shown(begin, clock_khz))
        elif n_seen == 1:
            shown.append(f"{'...':>13}  {n_dropped} lines of {line.who} more")
    return _without_middle(shown)


def _page_trace(replay: Replay) -> list[str]:
    """Return what was done to the page whose ACCEPT ended the TD, from its first call on."""
    scene = replay.to_the_end()
    guest, now = int(scene.run["kill_actor"]), int(scene.run["now"])
    is_panic = scene.run["kill_leaf"] == Leaf.ACCEPT
    page, khz = int(scene.rows[guest]["entry"]), int(scene.world.setup["clock_khz"])
    every = replay.recorded(0)
    rows = every[every["entry"] == page][:_MOST_OF_LOOP].tolist()
    events = [(time, who, State(state)) for time, who, state, _ in rows]
    lines = _put_together(_lines(replay, events, page))
    lines = lines[: next(n for n, line in enumerate(lines, 1) if line.actor == guest)]
    ms = microseconds(now - lines[-1].last, khz) / 1000
    last = "the guest panics: TDX: Failed to accept memory"
    if not is_panic:
        last = f"and so on for {ms:.1f} ms, until the module ends it: user space stops the TD"
    return [*_shortened(lines, guest, lines[0].time, khz), f"{'':13}  {last}"]


def kill_trace(replay: Replay) -> list[str]:
    """Return what the killer, and who held the lock that it met, did during the operation."""
    scene = replay.to_the_end()
    killer = int(scene.run["kill_actor"])
    if is_guests_end(scene.run):
        return _page_trace(replay)
    begin = operation_begin(scene, killer)
    found = killers_failures(replay)
    if found:
        begin = min(begin, found[0].issued)
    about = told_failure(replay, found)
    actors = {killer} if about is None or about.holder == NONE else {killer, about.holder}
    met = found[0].time if found else begin
    every = _events(replay, actors, begin)
    own = [event for event in every if event[1] == killer][-_MOST_EVENTS:]
    others = [event for event in every if event[1] != killer and event[0] >= met]
    events = sorted([*own, *others[-_MOST_OF_OTHERS:]], key=lambda event: event[0])
    lines = _put_together(_lines(replay, events))
    khz = int(scene.world.setup["clock_khz"])
    return [*_shortened(lines, killer, lines[0].time, khz), f"{'':13}  KVM_BUG_ON"]


def _sign(scene: Scene, actor: int) -> tuple[int, ...]:
    """Return what no longer changes once an actor is stuck."""
    me = scene.rows[actor]
    entry = int(me["fault_entry"])
    page = (0, 0)
    if entry != NONE:
        page = (int(scene.entry(entry)["state"]), int(scene.entry(entry)["purge"]))
    is_asleep = scene.world.actors["due"][actor] == NEVER
    state = int(me["state"]) if is_asleep else NONE
    return int(me["item"]), state, int(me["zs_listed"] > 0), *page


def _last_change(replay: Replay, final: dict[int, tuple[int, ...]], begin: int, end: int) -> int:
    """Return the last of some instants from begin to end at which an actor wasn't stuck yet."""
    replay.restart()
    since = begin
    for chunk in range(_CHUNKS):
        instant = begin + (end - begin) * chunk // _CHUNKS
        scene = replay.to(instant)
        if any(_sign(scene, actor) != sign for actor, sign in final.items()):
            since = instant
    return since


def _stuck_since(replay: Replay, actors: set[int]) -> int:
    """Return about when the last of some actors got stuck, a little before [cycles]."""
    scene = replay.to_the_end()
    end = int(scene.run["now"])
    final = {actor: _sign(scene, actor) for actor in actors}
    since = 0
    while end - since > _CHUNKS:
        chunk = (end - since) // _CHUNKS
        since = _last_change(replay, final, since, end)
        end = since + chunk + 1
    return since


def _involved(found: list[Wait]) -> set[int]:
    """Return the actors whose wait explains a hang: its root, and whom it keeps waiting."""
    root = hang_root(found)
    waiters = [wait.actor for wait in found if root.actor in wait.on]
    return {root.actor, *root.on[:1], *waiters[:1]}


def hang_trace(replay: Replay) -> list[str]:
    """Return what those involved in a hang did when it began, and who waits at its end."""
    scene = replay.to_the_end()
    now, khz = int(scene.run["now"]), int(scene.world.setup["clock_khz"])
    found = waits(replay.batch, 0)
    actors = _involved(found)
    since = _stuck_since(replay, actors)
    begin = max(0, since - _BEFORE_US * khz // 1000)
    events = _events(replay, actors, begin, since + _LOOP_US * khz // 1000)[:_MOST_OF_LOOP]
    lines = _put_together(_once_round(_lines(replay, events), since))
    ms = microseconds(now - since, khz) / 1000
    names = together(f"{wait.name}: {wait.text}" for wait in found if wait.actor in actors)
    left = [f"{'':13}  and so on for {ms:.1f} ms, until:", *(f"{'':13}  {name}" for name in names)]
    return [*_shortened(lines, hang_root(found).actor, lines[0].time, khz), *left]
