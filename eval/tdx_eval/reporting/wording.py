"""How numbers, calls and conflicts read in texts and tables."""

from tdx_eval.comparing.statistics import Estimate
from tdx_eval.comparing.summary import Conflict, ScenarioResult

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
PERCENT = "\N{NO-BREAK SPACE}%"
_LARGE = 10  # a relative difference beyond it reads better as a factor
_NEARLY_ALL = -0.99  # a saving beyond it needs one digit more
_MOST = -0.9999  # the largest saving shown that isn't all
_MS, _S = 1e3, 1e6  # [µs]
_FACTOR = 2  # from here on, and from its inverse, a ratio is told as a factor
_ROUND = 10  # factors from here on are whole
_PRECISE = 0.1  # relative differences below have a decimal
_LEAST_RATIO = 1e-6  # a cost of nothing against one

_HOLDERS = {
    "none known": "nobody known",
    "ACCEPT": "the guest's ACCEPT",
    "ATTR_RD": "the guest's ATTR.RD",
    "ATTR_WR": "the guest's ATTR.WR",
}
_LOCKS = {
    "TREE": "the S-EPT tree",
    "ENTRY": "an S-EPT entry",
    "EPOCH": "the TD epoch",
    "TDR": "the TDR",
    "OP_STATE": "OP_STATE",
}
_PARTS = {
    "host": "overhead of the host",
    "stolen": "overhead stolen from the guest",
    "hostile": "overhead of hostile vCPUs",
    "latency": "latency of faults and chunks",
    "preempt_1ms": "penalty: non-preemptible beyond 1 ms",
    "preempt_50us": "penalty: non-preemptible beyond 50 µs",
    "lost": "penalty: killed, hung or cut off",
    "waste": "what decisions waste",
    "guest_busy": "guest TDCALLs that were busy",
    "guest_priority_stall": "guests stalled by host priority",
    "kick_target": "vCPUs interrupted by kicks",
    "seamcall_busy": "busy SEAMCALLs",
    "mmu_lock_wait": "waiting for mmu_lock",
    "seamcall_lock_wait": "waiting for the SEAMCALL lock",
    "ipi_send": "sending IPIs",
    "kick_wait": "waiting for kicked vCPUs",
    "gated": "vCPUs kept out by the gate",
    "refault": "repeated faults",
    "synthetic_exit": "synthetic zero-step exits",
    "unwind": "unwinding",
    "decision": "deciding",
    "yield": "time off the CPU",
    "preempt_penalty": "penalty: non-preemptible too long",
    "tail_cost": "penalty: killed, hung or cut off",
}


def number(value: float, digits: int = 1) -> str:
    """Return a number with thousands separated."""
    text = f"{value:,.{digits}f}".replace("-", MINUS)
    return text.removeprefix(MINUS) if float(f"{value:.{digits}f}") == 0 else text


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and float(f"{value:.{digits}f}") != 0 else text


def percent(share: float) -> str:
    """Return a relative difference with its sign: in percent, or as a factor if it is large.

    A saving is never rounded up to all of it.
    """
    if share > _LARGE:
        return f"×{number(share + 1)}"
    if share > -1:
        share = max(share, _MOST)
    return f"{signed(100 * share, 2 if share < _NEARLY_ALL else 1)}{PERCENT}"


def _significant(value: float) -> str:
    """Return a factor with two significant digits, thousands separated."""
    if value < _ROUND:
        return number(value, 1)
    digits = len(str(int(value))) - 2
    return number(round(value, -digits), 0)


def factor(relative: float) -> str:
    """Return a relative difference as people say it: in percent, or as a factor from two on.

    Args:
        relative: The difference as a share of what it refers to, at least -1.
    """
    ratio = max(1 + relative, _LEAST_RATIO)
    if ratio <= 1 / _FACTOR:
        return f"÷{_significant(1 / ratio)}"
    if ratio >= _FACTOR:
        return f"×{_significant(ratio)}"
    text = signed(100 * relative, 1 if abs(relative) < _PRECISE else 0)
    return "same" if text in ("0", "0.0") else f"{text}{PERCENT}"


def interval(estimate: Estimate, digits: int = 1, scale: float = 1.0) -> str:
    """Return an estimate's interval."""
    return f"{signed(estimate.low * scale, digits)} to {signed(estimate.high * scale, digits)}"


def percent_interval(estimate: Estimate) -> str:
    """Return the interval of a relative difference."""
    low, high = percent(estimate.low), percent(estimate.high)
    is_plain = low.endswith("%") and high.endswith("%")
    return f"{low.removesuffix(PERCENT) if is_plain else low} to {high}"


def duration(us: float) -> str:
    """Return a time in the unit that suits it; what rounds to nothing is 0."""
    size = abs(us)
    if size >= _S:
        return f"{number(us / _S)} s"
    if size >= _MS:
        return f"{number(us / _MS)} ms"
    return f"{number(us)} µs"


def direction(estimate: Estimate) -> str:
    """Say which way a difference of costs points: better, worse or even."""
    if estimate.is_negative:
        return "better"
    return "worse" if estimate.is_positive else "even"


def call_name(leaf: str) -> str:
    """Return a leaf as kernel developers write it: MEM_RANGE_BLOCK is RANGE.BLOCK."""
    for prefix in ("MEM_", "PHYMEM_"):
        leaf = leaf.removeprefix(prefix)
    return leaf.replace("_", ".", 1)


def holder_name(leaf: str) -> str:
    """Return the call that held a lock, in words."""
    return _HOLDERS.get(leaf, call_name(leaf))


def lock_name(lock: str) -> str:
    """Return a lock of the module, in words."""
    return _LOCKS.get(lock, lock)


def met(conflict: Conflict) -> str:
    """Say who met whom on which lock."""
    holder, lock = holder_name(conflict.holder), lock_name(conflict.lock)
    return f"{call_name(conflict.call)} met {holder} on {lock}"


def count(value: float) -> str:
    """Return a mean count: whole if it is large."""
    return number(value, 0 if value >= 100 else 1)


def conflict_text(conflict: Conflict, scenario: ScenarioResult) -> str:
    """Say one cell of the busy matrix in words; numbers are means of an episode."""
    lost = duration(scenario.us(conflict.cycles_lost))
    return f"{met(conflict)}: {count(conflict.n_busy)} times, {lost} lost"


def part_name(part: str) -> str:
    """Return a part of the cost in words."""
    return _PARTS.get(part, part.replace("_", " "))


def listing(words: list[str], last: str = "and") -> str:
    """Return words as an enumeration."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def alternatives(numbers: list[int]) -> str:
    """Return whole numbers of which each holds somewhere."""
    return " or ".join(f"{one:,}" for one in numbers)
