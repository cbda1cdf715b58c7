"""Flush rules as integers: when the waiting that a batch of blocked pages causes is enough.

Waiters come at a mean gap g, a flush costs all CPUs together a price K, a thread that waits costs
one cycle a cycle. The disciplines and the decision functions of the catalogue share these.

Source:
    Greedy: Dooly, Goldman, Scott, "On-line analysis of the TCP acknowledgment delay problem",
    J. ACM 48 (2001). The random share: Karlin, Kenyon, Randall, "Dynamic TCP acknowledgement and
    other stories about e/(e-1)", STOC 2001. The roots: Weiss, "Optimal control of batch service
    queues", Management Science 25 (1979), closed forms by renewal and reward.
"""

import math

import numpy as np

from tdx_env.jit import kernel

_PERCENT = 100
_LARGEST_PRICE = 1 << 28
_LARGEST_GAP = 1 << 32
_MOST_VCPUS = 1 << 12
LOTTERY_BITS = 31
_SHARE_BITS = 8
_N_SHARES = 1 << _SHARE_BITS
_SHARE_UNIT = 1 << 16
_LOTTERY_TO_SHARE = LOTTERY_BITS - _SHARE_BITS


def _shares() -> list[int]:
    """Return 256 equally likely shares of the price, in 1/65536: density e^x / (e - 1)."""
    middles = [(place + 0.5) / _N_SHARES for place in range(_N_SHARES)]
    return [round(_SHARE_UNIT * math.log1p(middle * (math.e - 1))) for middle in middles]


_SHARE = np.array(_shares(), np.int64)


@kernel
def flush_price(send: int, target: int, n_in_guest: int, percent: int) -> int:
    """Return what a flush is taken to cost all CPUs together [cycles].

    Args:
        send: Time of the sender of TRACK's kick [cycles].
        target: Trip of one vCPU that it stops [cycles].
        n_in_guest: vCPUs that would be stopped.
        percent: What the sum is multiplied by [%].
    """
    send, target = min(send, _LARGEST_PRICE), min(target, _LARGEST_PRICE)
    price = (send + min(n_in_guest, _MOST_VCPUS) * target) * percent // _PERCENT
    return min(price, _LARGEST_PRICE)


@kernel
def random_price(price: int, lottery: int) -> int:
    """Return the share of a price that a draw stands for; lottery: 31 random bits [cycles]."""
    place = (lottery >> _LOTTERY_TO_SHARE) & (_N_SHARES - 1)
    return price * int(_SHARE[place]) // _SHARE_UNIT


@kernel
def root_of(square: int) -> int:
    """Return the whole part of a square root; exact, whatever the machine's floats do."""
    root = int(math.sqrt(square))
    while root * root > square:
        root -= 1
    while (root + 1) * (root + 1) <= square:
        root += 1
    return root


@kernel
def root_wait(price: int, gap: int) -> int:
    """Return how long after the first waiter to flush, if only that one is seen [cycles].

    T = (sqrt(2 λK - 1) - 1) / λ = sqrt(2 K g - g²) - g; at once as long as λK <= 1.
    """
    gap = max(1, min(gap, _LARGEST_GAP))
    if price <= gap:
        return 0
    return root_of(2 * price * gap - gap * gap) - gap


@kernel
def root_waiters(price: int, gap: int) -> int:
    """Return for how many waiters to flush, if they are counted: about sqrt(2 λK), at least 1.

    The Q with Q (Q - 1) <= 2 λK <= Q (Q + 1).
    """
    gap = max(1, min(gap, _LARGEST_GAP))
    count = root_of(2 * price // gap)
    if count * (count + 1) * gap < 2 * price:
        count += 1
    return max(1, count)
