"""The module's lock operations, written from its description: fields of a word, one case each.

A word is taken apart into its fields; the result is put together again. Nothing is shared with the
package but the numbers of `LockResult`.
"""

from typing import NamedTuple

OK, BUSY, HP_BUSY, FATAL = range(4)
OLD_TREE = ("1.5.01", "1.5.06")  # tree lock without host priority, commits erase the mark
MARK_FIRST = ("1.5.34", "2.0.18")  # guests look at an entry's mark before they try its lock
RELEASES = (*OLD_TREE, "1.5.28", *MARK_FIRST, "2.0.12", "2.0.16")


class Plain(NamedTuple):
    """A sharex word: a writer, and a counter of 15 bits."""

    writer: int
    readers: int

    def word(self) -> int:
        """Return it as 16 bits."""
        return self.writer + 2 * (self.readers % 0x8000)


class Priority(NamedTuple):
    """A sharex-HP word: a writer, a refused host's mark, and a counter of 14 bits."""

    writer: int
    mark: int
    readers: int

    def word(self) -> int:
        """Return it as 16 bits."""
        return self.writer + 2 * self.mark + 4 * (self.readers % 0x4000)


def plain(word: int, operation: str) -> tuple[int, int]:
    """Return what an operation makes of a sharex word, and its result; FATAL leaves any word."""
    e, n = Plain(word & 1, word >> 1)
    readers_only = not e and n > 0
    full = not e and n == 0x7FFF
    cases = {
        "acquire_shared": (Plain(e, n + 1), FATAL if full else BUSY if e else OK),
        "acquire_exclusive": (Plain(1, 0), OK) if word == 0 else (Plain(e, n), BUSY),
        "release_shared": (Plain(e, n - 1), OK if readers_only else FATAL),
        "release_exclusive": (Plain(0, 0), OK if e else FATAL),
        "promote": (Plain(1, 0), OK) if readers_only and n == 1 else (Plain(e, n), BUSY),
        "demote": (Plain(0, 1), OK if e else FATAL),
    }
    after, result = cases[operation]
    if operation == "promote" and not readers_only:
        result = FATAL
    return after.word(), result


def _shared(e: int, h: int, k: int, is_guest: bool) -> tuple[Priority, int]:
    """Count a reader in: a guest is refused by the mark, everybody by a writer."""
    if is_guest and h:
        return Priority(e, h, k), HP_BUSY
    if e and is_guest:
        return Priority(1, 0, k + 1), BUSY
    if e:
        return Priority(1, 1, k + 1), BUSY
    return Priority(0, 0, k + 1), FATAL if k == 0x3FFF else OK


def _exclusive(e: int, h: int, k: int, is_guest: bool) -> tuple[Priority, int]:
    """Let a writer in where nobody is: the mark alone keeps a guest out, not a host."""
    nobody = not e and not k
    if nobody and not (is_guest and h):
        return Priority(1, 0, 0), OK
    if is_guest:
        return Priority(e, h, k), HP_BUSY if nobody else BUSY
    return Priority(e, 1, k), BUSY


def priority(word: int, operation: str, is_guest: bool = False) -> tuple[int, int]:
    """Return what an operation makes of a sharex-HP word, and its result.

    A promote of a word that is the mark alone passes the module's check and is BUSY.
    """
    e, h, k = Priority(word & 1, word >> 1 & 1, word >> 2)
    if operation == "acquire_shared":
        after, result = _shared(e, h, k, is_guest)
    elif operation == "acquire_exclusive":
        after, result = _exclusive(e, h, k, is_guest)
    elif operation == "release_shared":
        after, result = Priority(e, h, k - 1), FATAL if e or not k else OK
    elif operation == "release_exclusive":
        after, result = Priority(0, h, 0), OK if e else FATAL
    elif e or word == 0:  # promote
        after, result = Priority(e, h, k), FATAL
    elif k == 1:
        after, result = Priority(1, 0, 0), OK
    else:
        after, result = Priority(0, 1, k), BUSY
    return after.word(), result


# An S-EPT entry: who tries, is it locked, has it the mark -> locked, mark, result.
HOST_ON_ENTRY = {
    (0, 0): (1, 0, OK),
    (0, 1): (1, 0, OK),
    (1, 0): (1, 1, BUSY),
    (1, 1): (1, 1, BUSY),
}
GUEST_ON_ENTRY = {
    (0, 0): (1, 0, OK),
    (0, 1): (0, 1, HP_BUSY),
    (1, 0): (1, 0, BUSY),
    (1, 1): (1, 1, BUSY),
}
GUEST_ON_ENTRY_MARK_FIRST = {**GUEST_ON_ENTRY, (1, 1): (1, 1, HP_BUSY)}
RELEASE_OF_ENTRY = {
    (0, 0): (0, 0, FATAL),
    (0, 1): (0, 1, FATAL),
    (1, 0): (0, 0, OK),
    (1, 1): (0, 1, OK),
}
