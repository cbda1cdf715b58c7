"""A fork as SVG: for each answer the CPUs' time as bars, and beneath what it cost so far."""

from collections.abc import Iterable

from markupsafe import Markup

from tdx_env.engine.render import microseconds
from tdx_env.state.accounting import Category
from tdx_env.state.discipline import Action
from tdx_eval.forking.branches import Branch, Fork
from tdx_eval.reporting.wording import duration, listing
from tdx_eval.tracing.record import GUEST_ENTRY, Record

_WIDTH, _LEFT, _RIGHT = 980, 150, 20
_MAIN, _LANE, _GAP = 14, 5, 1  # heights of a named lane, of another, between them
_STEPS = {_MAIN: 1.0, _LANE: 4.0}  # width of the narrowest bar in a lane of that height [pixels]
_HEAD, _AXIS, _CURVE = 22, 22, 110
_MOST_LANES = 4  # of the others
_FIRST = 1000.0  # weight of what is drawn in place of all else
_N_POINTS = 25  # of a curve
_TICKS = (5, 10, 20, 25, 50, 100, 200)

_C = Category
KINDS: dict[str, tuple[str, frozenset[Category]]] = {
    "guest": ("in the guest", frozenset({_C.GUEST_COMPUTE, _C.GUEST_ACCEPT})),
    "call": ("in a SEAMCALL", frozenset({_C.SEAMCALL})),
    "busy": (
        "busy call, decision",
        frozenset({_C.SEAMCALL_BUSY, _C.DECISION, _C.GUEST_BUSY, _C.GUEST_PRIORITY_STALL}),
    ),
    "ipi": ("sends IPIs, waits for targets", frozenset({_C.IPI_SEND, _C.KICK_WAIT})),
    "kicked": ("stopped by a kick", frozenset({_C.KICK_TARGET})),
    "gated": ("kept out by the gate", frozenset({_C.GATED})),
    "track": ("TRACK’s own kick, comes either way", frozenset({_C.TRACK_KICK})),
    "wait": (
        "waits for a lock",
        frozenset({_C.MMU_LOCK_WAIT, _C.SEAMCALL_LOCK_WAIT, _C.PAMT_LOCK_WAIT}),
    ),
    "again": ("fault repeated", frozenset({_C.REFAULT, _C.SYNTHETIC_EXIT, _C.UNWIND})),
    "off": ("off the CPU", frozenset({_C.YIELD})),
    "host": ("TD exit, host’s work", frozenset({_C.EXIT_ENTRY, _C.HOST_WORK, _C.HOST_IRQ})),
    "idle": ("idle", frozenset({_C.IDLE, _C.RUNNABLE})),
}
"""What bars show: class of the style sheet, words, categories."""

_HOLDS = "holds"  # a guest that holds an S-EPT entry
_CLASS = {category: name for name, (_, some) in KINDS.items() for category in some}
_WORDS = {
    Action.RETRY: "RETRY: the caller issues the call again; the vCPUs notice nothing",
    Action.KICK: "KICK: IPIs to all vCPUs in the guest, and a gate until the call is through",
    Action.YIELD: "YIELD: the caller gives the CPU up and comes back later",
}


class _Panel:
    """Draws one answer's bars.

    Args:
        fork: The busy reply.
        branch: The answer.
        lanes: Actors whose time is shown, after caller and holder.
        top: Where the panel begins [pixels].
    """

    def __init__(self, fork: Fork, branch: Branch, lanes: list[int], top: float) -> None:
        self._fork, self._branch, self._top = fork, branch, top
        self._main = list(dict.fromkeys(one for one in (fork.caller, fork.holder) if one >= 0))
        self._others = lanes
        self.bottom = top + _HEAD + len(self._main) * (_MAIN + 3) + len(lanes) * (_LANE + _GAP) + 4

    def x(self, cycles: float) -> float:
        """Return the place of an instant."""
        share = (cycles - self._fork.begin) / (self._fork.end - self._fork.begin)
        return _LEFT + min(max(share, 0), 1) * (_WIDTH - _LEFT - _RIGHT)

    def _rows(self) -> Iterable[tuple[int, float, int]]:
        """Yield actor, top and height of each lane."""
        y = self._top + _HEAD
        for actor in self._main:
            yield actor, y, _MAIN
            y += _MAIN + 3
        for actor in self._others:
            yield actor, y, _LANE
            y += _LANE + _GAP

    def _bars(self) -> Iterable[Markup]:
        """Yield one path for each kind of bar."""
        paths: dict[str, list[str]] = {"guest": []}
        width = (self._fork.end - self._fork.begin) / (_WIDTH - _LEFT - _RIGHT)
        for actor, y, height in self._rows():
            pixels = _STEPS[height]
            bars = _merged(self._branch, actor, self._fork, pixels * width)
            if bars:  # the guest's is beneath all others
                bars.insert(0, ("guest", bars[0][1], bars[-1][2]))
            for place, (kind, begin, end) in enumerate(bars):
                if kind != "guest" or not place:
                    left, right = round(self.x(begin)), round(self.x(end))
                    bar = f"M{left} {y:.0f}h{right - left}v{height}H{left}z"
                    paths.setdefault(kind, []).append(bar)
        for kind, parts in paths.items():
            yield Markup('<path class="fk-{}" d="{}"/>').format(kind, "".join(parts))

    def _names(self) -> Iterable[Markup]:
        """Yield the names of the lanes."""
        record = self._branch.record
        for place, (actor, y, height) in enumerate(self._rows()):
            role = {self._fork.caller: ", calls", self._fork.holder: ", holds"}.get(actor, "")
            if place < len(self._main):
                yield _text(_LEFT - 6, y + height - 3, f"{record.names[actor]}{role}", "end")
        if self._others:
            y = self.bottom - 4 - len(self._others) * (_LANE + _GAP) / 2 + 4
            n_more = len(record.names) - len(self._main) - len(self._others)
            more = f" of {n_more + len(self._others)}" if n_more else ""
            yield _text(_LEFT - 6, y, f"{len(self._others)}{more} others", "end")

    def draw(self) -> Iterable[Markup]:
        """Yield the panel."""
        yield _text(_LEFT, self._top + 14, _WORDS[self._branch.action], "start", "fk-title")
        yield from self._bars()
        yield from self._names()
        zero = self.x(self._fork.time)
        yield Markup('<path class="fk-zero" d="M{:.1f} {:.0f}V{:.0f}"/>').format(
            zero, self._top + _HEAD - 3, self.bottom
        )


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> Markup:
    """Return a text."""
    extra = Markup(' class="{}"').format(kind) if kind else Markup("")
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>').format(
        x, y, anchor, extra, words
    )


def _stretches(record: Record, actor: int) -> Iterable[tuple[str, float, int, int]]:
    """Yield kind, weight, begin and end of what an actor did; a lock that a guest holds first."""
    own = [one for one in record.slices if one.actor == actor]
    for hold in record.holds:
        if hold.actor == actor and hold.lock == GUEST_ENTRY:
            is_old = hold.begin == record.begin and own
            yield _HOLDS, _FIRST, own[0].begin if is_old else hold.begin, hold.end
    for one in own:
        yield _CLASS[one.category], 1.0, one.begin, one.end


def _merged(branch: Branch, actor: int, fork: Fork, step: float) -> list[tuple[str, float, float]]:
    """Return kind, begin and end of an actor's bars in the window.

    Time is cut into steps of a pixel or two; each shows what it was mostly spent on.

    Args:
        branch: The answer.
        actor: Whose time.
        fork: The busy reply.
        step: [cycles]
    """
    spent: dict[int, dict[str, float]] = {}
    for kind, weight, since, until in _stretches(branch.record, actor):
        if until <= fork.begin or since >= fork.end:
            continue
        begin, end = max(since, fork.begin), min(until, fork.end)
        first, last = int((begin - fork.begin) / step), int((end - fork.begin) / step)
        for place in range(first, last + 1):
            left = fork.begin + place * step
            share = min(end, left + step) - max(begin, left)
            kinds = spent.setdefault(place, {})
            kinds[kind] = kinds.get(kind, 0.0) + weight * max(share, 0.0)
    found: list[tuple[str, float, float]] = []
    for place in sorted(spent):
        kind = max(spent[place], key=spent[place].__getitem__)
        at = fork.begin + place * step
        if found and found[-1][0] == kind and found[-1][2] >= at - step / 2:
            found[-1] = (kind, found[-1][1], at + step)
        else:
            found.append((kind, at, at + step))
    return found


def _lanes(fork: Fork) -> list[int]:
    """Return the other actors that are shown: those most of whose time differs from the guest's."""
    touched: dict[int, int] = {}
    n_actors = len(fork.branches[0].record.names)
    for branch in fork.branches:
        for one in branch.record.slices:
            if one.end > fork.time and _CLASS[one.category] not in ("guest", "idle"):
                touched[one.actor] = touched.get(one.actor, 0) + one.end - max(one.begin, fork.time)
    others = [one for one in range(n_actors) if one not in (fork.caller, fork.holder)]
    most = sorted(others, key=lambda one: -touched.get(one, 0))[:_MOST_LANES]
    return sorted(most)


def _us(fork: Fork, cycles: float) -> float:
    """Return cycles in microseconds."""
    return microseconds(round(cycles), fork.branches[0].record.clock_khz)


def _axis(fork: Fork, panel: _Panel, y: float) -> Iterable[Markup]:
    """Yield the ticks of time, from the busy reply on."""
    length = _us(fork, fork.end - fork.time)
    step = next((one for one in _TICKS if length / one <= 9), _TICKS[-1])
    for us in range(0, int(length) + 1, step):
        x = panel.x(fork.time + (fork.end - fork.time) * us / length)
        yield _text(x, y + 14, f"{us}", "middle")
    yield _text(_LEFT - 6, y + 14, "µs after the reply", "end")


def _curves(fork: Fork, panel: _Panel, top: float) -> Iterable[Markup]:
    """Yield what each answer has cost so far."""
    instants = [
        fork.time + (fork.end - fork.time) * place // _N_POINTS for place in range(_N_POINTS + 1)
    ]
    costs = {
        one.action: [one.waste(fork.time, instant) for instant in instants] for one in fork.branches
    }
    most = max(1, *(some[-1] for some in costs.values()))
    bottom = top + _CURVE
    ends: list[float] = []
    for action, some in costs.items():
        points = [
            (panel.x(at), bottom - (_CURVE - 20) * cost / most)
            for at, cost in zip(instants, some, strict=True)
        ]
        line = "L".join(f"{x:.0f} {y:.1f}" for x, y in points)
        name = action.name.lower()
        yield Markup('<path class="fk-curve fk-{}" d="M{}"/>').format(name, line)
        y = points[-1][1] - 5
        while any(abs(y - other) < 14 for other in ends):
            y -= 14
        ends.append(y)
        cost = duration(_us(fork, some[-1]))
        yield _text(_WIDTH - _RIGHT, y, f"{action.name} {cost}", "end", f"fk-t-{name}")
    yield _text(_LEFT - 6, bottom - _CURVE / 2, "wasted on all CPUs", "end")
    yield Markup('<path class="fk-base" d="M{} {:.0f}H{}"/>').format(_LEFT, bottom, _WIDTH - _RIGHT)


def finding(fork: Fork) -> str:
    """Return what the answers came to within the window."""
    told = [
        f"{one.action.name} wastes {duration(_us(fork, one.waste(fork.time, fork.end)))}"
        for one in fork.branches
    ]
    length = duration(_us(fork, fork.end - fork.time))
    return f"{fork.call}: within {length} {listing(told)}"


def fork_svg(fork: Fork) -> Markup:
    """Return a fork, drawn."""
    lanes, parts, top = _lanes(fork), [], 0.0
    panel = None
    for branch in fork.branches:
        panel = _Panel(fork, branch, lanes, top)
        parts += [*panel.draw()]
        top = panel.bottom + 4
    assert panel is not None
    parts += [*_curves(fork, panel, top)]
    parts += [*_axis(fork, panel, top + _CURVE)]
    height = top + _CURVE + _AXIS
    opening = Markup('<svg role="img" aria-label="Timeline" viewBox="0 0 {} {:.0f}">').format(
        _WIDTH, height
    )
    return opening + Markup("").join(parts) + Markup("</svg>")


def kinds_in(forks: Iterable[Fork]) -> list[tuple[str, str]]:
    """Return class and words of what the bars of some forks show, in order."""
    records = [branch.record for fork in forks for branch in fork.branches]
    shown = {_CLASS[one.category] for record in records for one in record.slices}
    if any(hold.lock == GUEST_ENTRY for record in records for hold in record.holds):
        shown.add(_HOLDS)
    words = {_HOLDS: "the guest holds the S-EPT entry"} | {k: v for k, (v, _) in KINDS.items()}
    return [(kind, text) for kind, text in words.items() if kind in shown]
