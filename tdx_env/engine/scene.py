"""A world at one instant in words: actors, pages, calls, who holds what."""

from collections.abc import Iterable, Iterator

import numpy as np

from tdx_env.engine.batch import Batch
from tdx_env.module.names import short_name
from tdx_env.state.actors import State
from tdx_env.state.calls import LAST_SEAMCALL, NONE, Leaf, Lock, Op
from tdx_env.state.world import CELL_LOCKS, Word, World

LOCK_NAMES = {
    Lock.TDR: "the TDR",
    Lock.OP_STATE: "OP_STATE",
    Lock.TREE: "the S-EPT tree lock",
    Lock.ENTRY: "the S-EPT entry",
    Lock.EPOCH: "the TD epoch",
    Lock.MIG: "the migration lock",
    Lock.MIGSC: "the migration stream",
}
IN_SEAMCALL = frozenset({State.SEAMCALL, State.SEAM_RETURN, State.DECIDED, State.IRQ_SERVE})
IN_TDCALL = frozenset({State.TDCALL, State.HOLD, State.TDCALL_RETURN, State.RETRY_WAIT})
IN_CALL = IN_SEAMCALL | IN_TDCALL
_MOST_NAMED = 4  # actors that a list names one by one
_LEVELS = ("4K", "2M", "1G", "512G")


class Scene:
    """Reads one world of a batch; valid until the batch runs on.

    Args:
        batch: Episodes, ended or not.
        index: Which one.
    """

    def __init__(self, batch: Batch, index: int) -> None:
        self.world: World = batch.world(index)
        self.run = self.world.run
        self.n_actors = int(self.run["n_actors"])
        self.rows = self.world.actors["row"][: self.n_actors]

    @property
    def acceptable_is_fine(self) -> bool:
        """Say whether zero-step passes over a listed page that the guest can still accept."""
        rule = bool(self.world.program["acceptable_pending_disarms"])
        return rule and not self.world.setup["sept_ve_disable"]

    def entry(self, number: int) -> np.void:
        """Return an S-EPT entry's record."""
        row: np.void = self.world.entries["row"][int(number)]
        return row

    def is_vcpu(self, actor: int) -> bool:
        """Say whether an actor is a vCPU."""
        return actor < int(self.run["n_vcpus"])

    def who(self, actor: int) -> str:
        """Return an actor's name."""
        return f"{'vCPU' if self.is_vcpu(actor) else 'host task'} {actor}"

    def all_of(self, actors: Iterable[int]) -> str:
        """Return the names of some actors, of the first few if there are many."""
        some = [self.who(actor) for actor in actors]
        if len(some) > _MOST_NAMED:
            some[_MOST_NAMED - 1 :] = [f"{len(some) - _MOST_NAMED + 1} more"]
        if len(some) < 2:
            return "".join(some) or "nobody"
        return f"{', '.join(some[:-1])} and {some[-1]}"

    def level(self, entry: int) -> int:
        """Return an entry's level: 0 for 4K, 1 for 2M, 2 and 3 above."""
        firsts = ("first_pd", "first_l2", "first_l3")
        return sum(int(entry) >= int(self.run[first]) for first in firsts)

    def page(self, entry: int) -> str:
        """Return the name of the page, or table, that an entry maps."""
        level = self.level(entry)
        first = 0 if level == 0 else int(self.run[("first_pd", "first_l2", "first_l3")[level - 1]])
        return f"{_LEVELS[level]} page {int(entry) - first}"

    def call(self, actor: int) -> str:
        """Return the SEAMCALL or TDCALL that an actor is in, with the number of its issue."""
        me = self.rows[actor]
        name = short_name(Leaf(int(me["leaf"])))
        return f"{name}, issue {int(me['issues'])}" if me["leaf"] <= LAST_SEAMCALL else name

    def doing(self, actor: int) -> str:
        """Return the state that an actor is in, and its call if that is what it is in."""
        state = State(int(self.rows[actor]["state"]))
        return f"{state.name}: {self.call(actor)}" if state in IN_CALL else state.name

    def busy_lock(self, leaf: int, operand: int) -> Lock:
        """Return the lock that a call's busy operand is about."""
        for row in self.world.program["steps"][int(leaf)]:
            is_try = row["op"] in (Op.ACQUIRE, Op.ACQUIRE_IF_ARMED)
            if is_try and row["operand"] == operand and row["lock"] in CELL_LOCKS:
                return Lock(int(row["lock"]))
        return Lock.ENTRY

    def met(self, actor: int) -> Lock:
        """Return the lock that an actor's last busy reply was about."""
        me = self.rows[actor]
        return self.busy_lock(me["leaf"], me["busy_operand"])

    def holder(self, actor: int, lock: Lock) -> tuple[int, int]:
        """Return who was last found on a lock that an actor's call needs, and in which leaf.

        Exact from the busy reply until somebody else takes the lock. NONE and NONE: nobody.
        """
        if lock == Lock.ENTRY:
            entry = int(self.rows[actor]["entry"])
            if entry == NONE:
                return NONE, NONE
            row = self.entry(entry)
            return int(row["holder"]), int(row["holder_leaf"])
        word = Word[lock.name]
        return int(self.run["holder"][word]), int(self.run["holder_leaf"][word])

    def holder_text(self, actor: int, lock: Lock) -> str:
        """Say who was last found on a lock."""
        holder, leaf = self.holder(actor, lock)
        if leaf == NONE:
            return "nobody any more"
        return f"{self.who(holder)} in {short_name(Leaf(leaf))}"

    def having(self, field: str) -> list[int]:
        """Return the actors in whose record a field is not 0."""
        return [int(actor) for actor in np.flatnonzero(self.rows[field])]

    def queue(self, first: int) -> Iterator[int]:
        """Yield those who wait in a queue, first in line first."""
        actor = int(first)
        while actor != NONE:
            yield actor
            actor = int(self.rows[actor]["queue_next"])
