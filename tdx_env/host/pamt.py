"""Dynamic PAMT: a page's PAMT is there only while its 2M block is used, counted under one lock.

Each page that a TD gets or loses goes through `tdx_pamt_get` or `tdx_pamt_put`. The lock is the
host's: every TD takes it, for a counter most of the time, for PHYMEM.PAMT.ADD or PAMT.REMOVE at a
block's first and last page. No call of it is ever busy.

# MODEL: a 2M block of the host holds the pages of one 2M region of the guest; all S-EPT pages of
the TD have one block. Control pages of the TD and its vCPUs are not counted. 2M pages need none.
One cost stands for a count under the free lock (184 ns were measured) and for one by the fast
path's atomic instruction (48 ns).

Source: Linux tip x86/tdx (September 2026, queued for 7.4), arch/x86/virt/vmx/tdx/tdx.c,
tdx_pamt_get, tdx_pamt_put; the fast path, which was not merged: series v6, patch 06/11
(20260526023515.288829).
"""

from tdx_env.guest.walk import level_of
from tdx_env.host.seamcall_lock import release_lock, request_lock
from tdx_env.host.seamcalls import new_call
from tdx_env.host.tasks import fault_category, start_task_item
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Purpose, State, Task
from tdx_env.state.booking import book
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.discipline import HostLock
from tdx_env.state.setup import Pamt
from tdx_env.state.world import World


@inner
def is_counted(world: World, actor: int, leaf: int, entry: int) -> bool:
    """Say whether the page that a call brings or took away is one that Dynamic PAMT counts."""
    way = world.setup["dynamic_pamt"]
    if way == Pamt.STATIC:
        return False
    if way != Pamt.LOCKED and way != Pamt.FAST:
        break_off(world, actor, Place.PAMT, way)
    return bool(leaf == Leaf.MEM_SEPT_ADD or level_of(world.run, entry) == 0)


@inner
def _block_of(world: World, actor: int) -> int:
    """Return the entry that counts the pages of the block that the actor's page is in."""
    run = world.run
    me = world.actors["row"][actor]
    if me["leaf"] == Leaf.MEM_SEPT_ADD:
        return run["first_l3"]
    return run["first_pd"] + (me["entry"] >> run["page_shift"])


@inner
def add_page(world: World, actor: int, leaf: int, entry: int) -> None:
    """Issue a call that gives the TD a page; with Dynamic PAMT the page's PAMT comes first."""
    run = world.run
    me = world.actors["row"][actor]
    if not is_counted(world, actor, leaf, entry):
        new_call(world, actor, leaf, entry)
        return
    me["leaf"] = leaf
    me["entry"] = entry
    me["purpose"] = Purpose.ADD
    me["pamt_since"] = run["now"]
    run["n_pamt_gets"] += 1
    if _counts_without_lock(world, actor, 0):
        world.entries["row"][_block_of(world, actor)]["pamt"] += 1
        return
    me["state"] = State.PAMT_PAGES
    me["category"] = _category_of(world, actor)
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.PAMT_PAGES]


@inner
def put_page(world: World, actor: int, purpose: int) -> None:
    """Give a page's PAMT back; what the purpose says comes next."""
    me = world.actors["row"][actor]
    me["purpose"] = purpose
    if _counts_without_lock(world, actor, 1):
        world.entries["row"][_block_of(world, actor)]["pamt"] -= 1
    else:
        take_pamt_lock(world, actor)


@inner
def _counts_without_lock(world: World, actor: int, least: int) -> bool:
    """Start to count a page by an atomic instruction, if it may be; say whether it may."""
    run = world.run
    me = world.actors["row"][actor]
    if world.setup["dynamic_pamt"] != Pamt.FAST:
        return False
    if world.entries["row"][_block_of(world, actor)]["pamt"] <= least:
        return False
    me["pamt_call"] = 0
    me["state"] = State.PAMT_HELD
    me["category"] = _category_of(world, actor)
    world.actors["due"][actor] = run["now"] + run["costs"][Cost.PAMT_COUNT]
    return True


@inner
def _category_of(world: World, actor: int) -> int:
    """Return what counting a page is booked to, waiting for the lock left out."""
    me = world.actors["row"][actor]
    if me["kind"] == Task.OTHER_TDS:
        return Category.IDLE
    if me["purpose"] == Purpose.GIVEN_UP or me["purpose"] == Purpose.RETURNED:
        return Category.UNWIND
    return fault_category(me) if me["path"] == CallPath.FAULT else Category.HOST_WORK


@inner
def pages_taken(world: World, actor: int) -> None:
    """Handle PAMT_PAGES: two pages are at hand, needed or not; the lock."""
    book(world, actor, world.actors["row"][actor]["category"])
    take_pamt_lock(world, actor)


@inner
def take_pamt_lock(world: World, actor: int) -> None:
    """Ask for the host-wide lock; with it, count."""
    me = world.actors["row"][actor]
    if request_lock(world, actor, HostLock.PAMT, 1):
        count_page(world, actor)
        return
    me["state"] = State.PAMT_WAIT
    me["category"] = Category.PAMT_LOCK_WAIT
    if me["kind"] == Task.OTHER_TDS:
        me["category"] = Category.IDLE


@inner
def count_page(world: World, actor: int) -> None:
    """Hold the host-wide lock: count the page, and add or remove its block's PAMT."""
    run = world.run
    me = world.actors["row"][actor]
    me["pamt_call"] = 0
    cycles = run["costs"][Cost.PAMT_COUNT]
    if me["kind"] == Task.OTHER_TDS:
        me["pamt_call"] = _begins_block(world, actor)
        cycles += me["pamt_call"] * run["costs"][Cost.PAMT_ADD]
    elif me["purpose"] == Purpose.ADD:
        cycles += _count_up(world, actor)
    else:
        cycles += _count_down(world, actor)
    me["state"] = State.PAMT_HELD
    me["category"] = _category_of(world, actor)
    world.actors["due"][actor] = run["now"] + cycles


@inner
def _count_up(world: World, actor: int) -> int:
    """Count a page that comes; return the cycles of its block's PAMT.ADD, if it is the first."""
    run = world.run
    block = world.entries["row"][_block_of(world, actor)]
    if block["pamt"] > 0:
        block["pamt"] += 1
        return 0
    # Counted when PAMT.ADD is over, so that nobody takes the block for usable before.
    world.actors["row"][actor]["pamt_call"] = 1
    run["n_pamt_adds"] += 1
    return run["costs"][Cost.PAMT_ADD]


@inner
def _count_down(world: World, actor: int) -> int:
    """Count a page that goes; return the cycles of its block's PAMT.REMOVE, if it is the last."""
    block = world.entries["row"][_block_of(world, actor)]
    block["pamt"] -= 1
    if block["pamt"] > 0:
        return 0
    block["pamt"] = 0
    return world.run["costs"][Cost.PAMT_REMOVE]


@inner
def page_counted(world: World, actor: int) -> None:
    """The page is counted: let the lock go; note how long tdx_pamt_get has taken."""
    run = world.run
    me = world.actors["row"][actor]
    book(world, actor, me["category"])
    release_lock(world, actor, HostLock.PAMT)
    if me["kind"] == Task.OTHER_TDS or me["purpose"] != Purpose.ADD:
        return
    world.entries["row"][_block_of(world, actor)]["pamt"] += me["pamt_call"]
    cycles = run["now"] - me["pamt_since"]
    run["pamt_get_cycles"] += cycles
    run["pamt_get_max"] = max(run["pamt_get_max"], cycles)


@inner
def _begins_block(world: World, task: int) -> int:
    """Say, as 0 or 1, whether the page of another TD's vCPU is its block's first.

    # MODEL: every so many pages of a vCPU, at another page for each; its puts are left out.
    """
    me = world.actors["row"][task]
    chunk = world.setup["tasks"][me["group"]]["chunk"]
    return int((me["item"] + me["member"]) % chunk == 0)


@inner
def get_for_others(world: World, task: int) -> None:
    """A vCPU of another TD gets a page: the lock, unless the fast path spares it."""
    world.actors["row"][task]["purpose"] = Purpose.OTHER
    if world.setup["dynamic_pamt"] == Pamt.FAST and not _begins_block(world, task):
        others_on(world, task)
    else:
        take_pamt_lock(world, task)


@inner
def others_on(world: World, task: int) -> None:
    """A vCPU of another TD has its page: on to the next, for ever."""
    world.actors["row"][task]["item"] += 1
    start_task_item(world, task)
