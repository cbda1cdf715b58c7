"""Rows about flush points: when a zap that has blocked pages stops the vCPUs.

Each is a discipline under which nobody is asked; `decided` is the same rule as a decision function,
for a comparison with agents under one discipline. Busy calls are issued again. All need a KVM
change: a mirror state "blocked", so that pages can be blocked before the vCPUs are stopped.
"""

from dataclasses import replace

from tdx_agents.protocol import Decide, Features
from tdx_agents.retry import always_retry
from tdx_agents.row import Row
from tdx_env.host.discipline import DEFAULT
from tdx_env.host.flush_rules import flush_price, random_price, root_wait, root_waiters
from tdx_env.host.flush_table import FlushRule, flush_rule
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action, Waiting
from tdx_env.state.features import Feature

DECIDED_PREFIX = "decided-"
CLOCK_KHZ = 2_500_000
"""The TSC of the packaged scenarios, by which a decision function takes microseconds."""
_NONE, _GREEDY, _RANDOM = int(Waiting.NONE), int(Waiting.GREEDY), int(Waiting.RANDOM)
_US_PER_MS = 1000


def decide_by(rule: FlushRule, clock_khz: int = CLOCK_KHZ) -> Decide:
    """Return the decision function that stops the vCPUs when a flush rule says so.

    Busy calls are issued again.

    Args:
        rule: The rule.
        clock_khz: Cycles of the TSC in a millisecond; what `held_us` is read by.

    Source:
        docs/flush.md.
    """
    pages, held = rule.pages, rule.held_us * clock_khz // _US_PER_MS
    looks, rescheds = rule.contended, rule.resched
    way, percent, counts = (
        int(Waiting[rule.waiting.upper()]),
        rule.price_percent,
        rule.sees == "count",
    )

    def decide(features: Features) -> int:
        if features[Feature.PATH] != CallPath.FLUSH:
            return Action.RETRY
        is_contended = features[Feature.MMU_CONTENDED] != 0
        if features[Feature.BLOCKED] >= pages or (looks and is_contended):
            return Action.KICK
        if held > 0 and features[Feature.BATCH_CYCLES] >= held:
            return Action.KICK
        if rescheds and features[Feature.NEED_RESCHED] != 0:
            return Action.KICK
        if way == _NONE or not is_contended:
            return Action.RETRY
        send, target = features[Feature.FLUSH_SEND], features[Feature.FLUSH_TARGET]
        price = flush_price(send, target, features[Feature.N_IN_GUEST], percent)
        waited = features[Feature.MMU_WAITED] if counts else features[Feature.CONTENDED_CYCLES]
        if way == _GREEDY:
            enough = waited >= price
        elif way == _RANDOM:
            enough = waited >= random_price(price, features[Feature.BATCH_LOTTERY])
        elif counts:
            best = root_waiters(price, features[Feature.WAIT_GAP])
            enough = features[Feature.MMU_WAITERS] >= best or waited >= price
        else:
            enough = waited >= root_wait(price, features[Feature.WAIT_GAP])
        return Action.KICK if enough else Action.RETRY

    return decide


def decided(row: Row) -> Row:
    """Return the same flush rule as decisions, charged as a counter's, where all is asked."""
    discipline = row.discipline.with_(flush="decided", asks="all")
    return replace(
        row,
        name=f"{DECIDED_PREFIX}{row.name}",
        number="",
        title=f"{row.title}; asked at each flush point",
        rule=decide_by(flush_rule(row.discipline.flush)),
        discipline=discipline,
    )


def _row(name: str, title: str, source: str, **rule: object) -> Row:
    """Return a row that issues busy calls again and has a flush rule."""
    discipline = DEFAULT.with_(flush=FlushRule.model_validate(rule))
    return Row(name, "", f"again whatever is busy; flush {title}", source, always_retry, discipline)


def until_waits() -> Row:
    """Until-waits: block on until somebody waits for mmu_lock.

    The best threshold as long as fewer than one waiter comes in the time that a flush costs.

    Source:
        Linux, tdp_mmu_iter_cond_resched: what KVM does with flushes of ordinary VMs.
    """
    return _row(
        "until-waits", "when somebody waits", "Linux, KVM's own deferred flush", contended=True
    )


def needbreak(is_preemptible: bool = True) -> Row:
    """Needbreak: flush when KVM would drop mmu_lock.

    Args:
        is_preemptible: Of the kernel; if not, rwlock_needbreak is 0, and need_resched alone counts.

    Source:
        Linux, tdp_mmu_iter_cond_resched, rwlock_needbreak.
    """
    name = "needbreak" if is_preemptible else "needbreak-voluntary"
    title = "when KVM would yield: need_resched"
    if is_preemptible:
        title += ", or somebody waits"
    source = "Linux, tdp_mmu_iter_cond_resched"
    return _row(name, title, source, resched=True, contended=is_preemptible)


def pages_or_time(pages: int = 250, held_us: int = 100) -> Row:
    """Pages-or-time: after so many pages or so long, whichever comes first.

    Args:
        pages: Pages of a batch, at most.
        held_us: Age of the batch [µs]; the IOMMU's is 10,000, under no spinning lock.

    Source:
        Linux, drivers/iommu, the flush queue of 250 entries or 10 ms, commit 5e0d2a6fc094.
    """
    title = f"after {pages} pages or {held_us} us"
    source = "Linux, IOMMU flush queue (5e0d2a6fc094)"
    return _row(f"pages-{pages}-or-{held_us}us", title, source, pages=pages, held_us=held_us)


def greedy(percent: int = 100, sees: str = "bit") -> Row:
    """Greedy: flush when the waiting since the last flush has reached the price of a flush.

    Never worse than twice the clairvoyant, and no rule that draws nothing is better at worst.

    Args:
        percent: What the price is taken for [%].
        sees: "bit": that somebody waits, and since when; "count": all that was waited, a yardstick.

    Source:
        Dooly, Goldman, Scott, J. ACM 48 (2001).
    """
    name = "greedy" if percent == 100 else f"greedy-{percent}"
    price = "a flush's price" if percent == 100 else f"{percent} % of a flush's price"
    if sees == "count":
        name += "-count"
    title = f"when waiting reaches {price}" + (", waiters counted" if sees == "count" else "")
    source = "Dooly, Goldman, Scott, 2001"
    return _row(name, title, source, waiting="greedy", price_percent=percent, sees=sees)


def greedy_random(sees: str = "bit") -> Row:
    """Greedy-random: as greedy, with a share of the price drawn for each batch.

    e/(e - 1) = 1.58 times the clairvoyant in the mean, the best that drawing can do.

    Args:
        sees: As for `greedy`.

    Source:
        Karlin, Kenyon, Randall, STOC 2001.
    """
    name = "greedy-random" + ("-count" if sees == "count" else "")
    title = "when waiting reaches a drawn share of a flush's price"
    return _row(name, title, "Karlin, Kenyon, Randall, 2001", waiting="random", sees=sees)


def root(sees: str = "bit") -> Row:
    """Root: flush when it is best, if waiters come at their average rate so far.

    Args:
        sees: "bit": so long after the first waiter, sqrt(2Kg - g²) - g for a gap g; "count": at
            about sqrt(2K/g) waiters, at the latest when greedy would.

    Source:
        Weiss, Management Science 25 (1979); closed forms of this project, docs/flush.md.
    """
    name = "root" + ("-count" if sees == "count" else "")
    title = "by the square root of waiters a flush" + (", counted" if sees == "count" else "")
    return _row(name, title, "Weiss, 1979", waiting="root", sees=sees)
