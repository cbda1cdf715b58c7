"""Random draws and running averages of the model, in Python's unbounded integers."""

_WORD = (1 << 64) - 1
_G = 0x9E3779B97F4A7C15
_M = 0xD1342543DE82EF95


def mix(x: int) -> int:
    """Return the splitmix64 finaliser of x."""
    x ^= x >> 30
    x = (x * 0xBF58476D1CE4E5B9) & _WORD
    x ^= x >> 27
    x = (x * 0x94D049BB133111EB) & _WORD
    return x ^ (x >> 31)


def draw(seed: int, purpose: int, actor: int, item: int, attempt: int) -> int:
    """Return 64 random bits for one key."""
    stream = mix((seed + _G * (purpose + 1)) & _WORD)
    key = (actor << 48) ^ (item << 20) ^ attempt
    return mix((stream + _M * key) & _WORD)


def uniform(low: int, high: int, bits: int) -> int:
    """Return an integer from low to high, both included."""
    return low + (((bits >> 32) * (high - low + 1)) >> 32)


def jitter(cycles: int, bits: int) -> int:
    """Return a duration within 6.25 % of the given one."""
    return cycles - (cycles >> 4) + (((bits >> 32) * ((cycles >> 3) + 1)) >> 32)


def moved(average: int, value: int) -> int:
    """Return a running average after one more value."""
    return average + ((value - average) >> 3)
