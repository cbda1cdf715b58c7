"""The module's lock words and the host's queued locks, as Python objects.

A failed shared acquirer leaves no count behind here: the real one's stray count is wiped by the
exclusive holder's release and never read before.
"""

from dataclasses import dataclass, field
from enum import Enum

from tdx_env.state.calls import NONE


class Result(Enum):
    """What one try of an S-EPT entry's lock gave."""

    TAKEN = 0
    BUSY = 1
    BUSY_HOST_PRIORITY = 2


@dataclass
class SharedLock:
    """TDR, OP_STATE, tree, epoch or a migration lock: readers or one writer, no queue.

    A refused host's mark, where there is one, refuses nobody: no guest takes these locks. The next
    to take the lock wipes it.
    """

    readers: dict[int, int] = field(default_factory=dict)  # actor to its leaf
    writer: int = NONE
    last_leaf: int = NONE
    can_have_mark: bool = False
    has_mark: bool = False

    @property
    def holder_leaf(self) -> int:
        """The call of whoever holds it; of several the one with the lowest number."""
        return self.readers[min(self.readers)] if self.readers else self.last_leaf

    def take(self, actor: int, is_exclusive: bool, leaf: int) -> bool:
        """Try once."""
        if self.writer != NONE or (is_exclusive and self.readers):
            self.has_mark = self.can_have_mark
            return False
        self.has_mark = False
        if is_exclusive:
            self.writer = actor
        else:
            self.readers[actor] = leaf
        self.last_leaf = leaf
        return True

    def drop(self, actor: int) -> None:
        """Let go."""
        if self.writer == actor:
            self.writer = NONE
        else:
            del self.readers[actor]


@dataclass
class EntryLock:
    """The two lock bits of an S-EPT entry."""

    is_locked: bool = False
    has_priority: bool = False
    last_leaf: int = NONE

    def take_as_host(self, leaf: int) -> Result:
        """Try once; a refused host leaves its mark."""
        if self.is_locked:
            self.has_priority = True
            return Result.BUSY
        self.is_locked, self.has_priority, self.last_leaf = True, False, leaf
        return Result.TAKEN

    def take_as_guest(self, leaf: int, looks_first: bool) -> Result:
        """Try once; the mark turns a guest away, and at once if it looks at the mark first."""
        if looks_first and self.has_priority:
            return Result.BUSY_HOST_PRIORITY
        if self.is_locked:
            return Result.BUSY
        if self.has_priority:
            return Result.BUSY_HOST_PRIORITY
        self.is_locked, self.last_leaf = True, leaf
        return Result.TAKEN

    def drop(self) -> None:
        """Clear the lock bit only."""
        assert self.is_locked
        self.is_locked = False

    def store(self, is_locked: bool, keeps_mark: bool) -> None:
        """Overwrite the lock, and the mark too if the store is a plain one."""
        self.is_locked = is_locked
        self.has_priority = self.has_priority and keeps_mark


@dataclass
class QueuedLock:
    """mmu_lock, or the discipline's per-VM lock: readers or one writer, with a fair queue."""

    readers: list[int] = field(default_factory=list)
    writer: int = NONE
    queue: list[tuple[int, bool]] = field(default_factory=list)

    def _fits(self, is_write: bool) -> bool:
        return self.writer == NONE and not (is_write and self.readers)

    def _give(self, actor: int, is_write: bool) -> None:
        if is_write:
            self.writer = actor
        else:
            self.readers.append(actor)

    def request(self, actor: int, is_write: bool) -> bool:
        """Take it at once, or queue and return False."""
        if not self.queue and self._fits(is_write):
            self._give(actor, is_write)
            return True
        self.queue.append((actor, is_write))
        return False

    def release(self, actor: int) -> list[int]:
        """Let go; return the actors that hold it from now on, in order."""
        if self.writer == actor:
            self.writer = NONE
        else:
            self.readers.remove(actor)
        granted = []
        while self.queue and self._fits(self.queue[0][1]):
            following, is_write = self.queue.pop(0)
            self._give(following, is_write)
            granted.append(following)
        return granted

    def is_held_by(self, actor: int) -> bool:
        """Return whether the actor holds it in either mode."""
        return self.writer == actor or actor in self.readers


@dataclass
class Mutex:
    """slots_lock and the build guard: one owner and a fair queue."""

    owner: int = NONE
    queue: list[int] = field(default_factory=list)

    def request(self, actor: int) -> bool:
        """Take it at once, or queue and return False."""
        if self.owner == NONE:
            self.owner = actor
            return True
        self.queue.append(actor)
        return False

    def release(self) -> int:
        """Let go; return the actor that owns it from now on, or NONE."""
        self.owner = self.queue.pop(0) if self.queue else NONE
        return self.owner
