"""The last step of an episode as a picture: who did what, until the reply that is decided about.

Nothing is kept while nobody looks. From the first picture on the beginning of each step is kept; to
draw the step, it is played once more with its events written down.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tdx_env.engine.batch import Batch
from tdx_env.engine.render import holder_text, microseconds
from tdx_env.engine.scene import IN_CALL, Scene
from tdx_env.engine.world_snapshot import WorldSnapshot
from tdx_env.errors import MissingExtraError
from tdx_env.module.names import short_name
from tdx_env.state.actors import State
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.discipline import Action

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT = 960, 540  # pixels; of every picture, as films need it
_MOST_LANES = 20
_MOST_EVENTS = 160  # in one picture: the last ones of the step
_MORE_ROOM = 8  # times as many events, if a step has more than there was room for
_TOP, _BOTTOM, _LEFT, _RIGHT = 70, 60, 110, 20
_FONT_SIZE = 13
_N_MARKS = 5  # of the time axis

_GUEST, _TDCALL, _SEAMCALL, _BUSY = "guest", "TDCALL", "SEAMCALL", "busy reply"
_WAIT, _KICK, _HOST, _OFF = "waits", "kicks", "host software", "halted or done"
_COLOURS: dict[str, tuple[int, int, int]] = {
    _GUEST: (197, 227, 191),
    _TDCALL: (240, 163, 66),
    _SEAMCALL: (66, 120, 190),
    _BUSY: (205, 50, 50),
    _WAIT: (170, 170, 170),
    _KICK: (140, 80, 170),
    _HOST: (165, 205, 235),
    _OFF: (245, 245, 245),
}
_GROUPS: dict[str, set[State]] = {
    _GUEST: {State.COMPUTE, State.TOUCH, State.VE, State.RETRY_WAIT},
    _TDCALL: {State.TDCALL, State.HOLD, State.TDCALL_RETURN},
    _SEAMCALL: {State.SEAMCALL},
    _BUSY: {State.SEAM_RETURN, State.DECIDED},
    _WAIT: {
        State.MMU_WAIT, State.MMU_GRANTED, State.SEAMCALL_LOCK_WAIT, State.GATED,
        State.GUARD_WAIT, State.SRCU_WAIT, State.RUNNABLE, State.PAMT_WAIT, State.FILE_WAIT,
    },
    _KICK: {State.KICK_SEND, State.KICK_WAIT},
    _OFF: {State.PARKED, State.HALTED, State.THINK, State.WAIT_TRIGGER, State.FINISHED},
}  # fmt: skip
_GROUP_OF = {state: group for group, states in _GROUPS.items() for state in states}


@dataclass(frozen=True)
class Stretch:
    """A time in which an actor was in one state.

    Attributes:
        actor: Which one.
        state: Its state.
        start: When it began [cycles].
        end: When it ended [cycles].
    """

    actor: int
    state: State
    start: int
    end: int

    @property
    def group(self) -> str:
        """What the state is drawn as."""
        return _GROUP_OF.get(self.state, _HOST)


class Timeline:
    """Keeps the beginning of a step, and draws the step."""

    def __init__(self) -> None:
        self._before: WorldSnapshot | None = None
        self._action = NONE

    def keep(self, batch: Batch, action: int) -> None:
        """Keep the state before a step.

        Args:
            batch: Has one world, which waits for a decision.
            action: What is decided.
        """
        self._before, self._action = batch.snapshot(), action

    def forget(self) -> None:
        """Forget the step: another episode has begun."""
        self._before = None

    def stretches(self, batch: Batch) -> list[Stretch]:
        """Return what the actors did in the step, or what they do now if there was none."""
        run = batch.run[0]
        now, n_actors = int(run["now"]), int(run["n_actors"])
        events = self._events(batch)
        first = now if len(events) == 0 else int(events["time"][0])
        since = dict.fromkeys(range(n_actors), first)
        found = []
        for event in events:
            actor, time = int(event["actor"]), int(event["time"])
            found.append(Stretch(actor, State(int(event["state"])), since[actor], time))
            since[actor] = time
        states = batch.actors["row"][0]["state"][:n_actors]
        found += [Stretch(one, State(int(states[one])), since[one], now) for one in since]
        return found

    def _events(self, batch: Batch) -> NDArray[np.void]:
        """Return the last events of the step, dtype EVENT; none if there was no step."""
        if self._before is None:
            return np.empty(0, [("time", np.int64), ("actor", np.int64), ("state", np.int64)])
        room = _MOST_EVENTS
        while True:
            twin = batch.traced(self._before, room)
            twin.advance(actions=[self._action])
            n_events = int(twin.run["n_traced"][0])
            if n_events < room:
                events: NDArray[np.void] = twin.world(0).trace["event"][:n_events]
                return events[-_MOST_EVENTS:]
            room *= _MORE_ROOM

    def frame(self, batch: Batch, clock_khz: int, title: str) -> NDArray[np.uint8]:
        """Return the picture, shape (HEIGHT, WIDTH, 3).

        Args:
            batch: Has one world: the episode as it is now.
            clock_khz: The scenario's clock.
            title: What stands above it.

        Raises:
            MissingExtraError: Pillow is not installed.
        """
        try:
            from PIL import Image, ImageDraw, ImageFont
        except ImportError as error:
            what = 'render() with render_mode="rgb_array"'
            raise MissingExtraError.of(what, "pillow", "eval") from error
        picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
        pen = ImageDraw.Draw(picture)
        pen.font = ImageFont.load_default(_FONT_SIZE)
        pen.text((10, 8), title, fill="black")
        pen.text((10, 28), _told(batch), fill=_COLOURS[_BUSY])
        stretches = self.stretches(batch)
        _draw_lanes(pen, batch, stretches)
        _draw_axis(pen, stretches, clock_khz)
        _draw_legend(pen)
        return np.asarray(picture)


def _told(batch: Batch) -> str:
    """Return what is decided about now, in words."""
    run = batch.run[0]
    actor = int(run["decision_actor"])
    if actor == NONE:
        return "nothing is decided now"
    me = batch.actors["row"][0][actor]
    if not batch.masks[0][[Action.KICK, Action.YIELD]].any() and me["leaf"] == NONE:
        return "the episode begins"
    call = short_name(Leaf(int(me["leaf"]))) if me["leaf"] != NONE else "a call"
    return f"{Scene(batch, 0).who(actor)}: {call} came back busy: {holder_text(batch, 0)}"


def _lanes(batch: Batch, stretches: list[Stretch]) -> list[int]:
    """Return the actors to draw: who decides first, then those who did most."""
    deciding = int(batch.run["decision_actor"][0])
    called = {one.actor for one in stretches if one.state in IN_CALL}
    counts: dict[int, int] = {}
    for one in stretches:
        counts[one.actor] = counts.get(one.actor, 0) + 1
    ranked = sorted(counts, key=lambda who: (who != deciding, who not in called, -counts[who], who))
    return sorted(ranked[:_MOST_LANES])


def _across(time: int, stretches: list[Stretch]) -> int:
    """Return where an instant is drawn, in pixels from the left."""
    first, last = min(one.start for one in stretches), max(one.end for one in stretches)
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (time - first) // max(1, last - first)


def _draw_lanes(pen: "ImageDraw", batch: Batch, stretches: list[Stretch]) -> None:
    """Draw a lane for each actor, with its stretches in colours."""
    scene, lanes = Scene(batch, 0), _lanes(batch, stretches)
    height = (HEIGHT - _TOP - _BOTTOM) // max(1, len(lanes))
    deciding = int(batch.run["decision_actor"][0])
    for place, actor in enumerate(lanes):
        top = _TOP + place * height
        bottom = top + max(2, min(height, 2 * _FONT_SIZE) - 3)
        colour: Any = _COLOURS[_BUSY] if actor == deciding else "black"
        pen.text((10, top), scene.who(actor), fill=colour)
        for one in stretches:
            if one.actor == actor:
                left, right = _across(one.start, stretches), _across(one.end, stretches)
                pen.rectangle((left, top, max(left + 1, right), bottom), _COLOURS[one.group])


def _draw_axis(pen: "ImageDraw", stretches: list[Stretch], clock_khz: int) -> None:
    """Draw the times below the lanes."""
    first, last = min(one.start for one in stretches), max(one.end for one in stretches)
    for mark in range(_N_MARKS):
        time = first + (last - first) * mark // (_N_MARKS - 1)
        across = _across(time, stretches)
        pen.line((across, _TOP, across, HEIGHT - _BOTTOM), (225, 225, 225))
        text = f"{microseconds(time, clock_khz):.2f} us"
        anchor = "ra" if mark == _N_MARKS - 1 else "la"
        pen.text((across, HEIGHT - _BOTTOM + 4), text, fill="black", anchor=anchor)


def _draw_legend(pen: "ImageDraw") -> None:
    """Draw what the colours mean, at the bottom."""
    across, top = 10, HEIGHT - 26
    for name, colour in _COLOURS.items():
        pen.rectangle((across, top, across + 14, top + 14), colour, "grey")
        pen.text((across + 19, top), name, fill="black")
        across += 30 + int(pen.textlength(name))
