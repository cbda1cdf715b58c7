"""Building a TD: pages are added and measured, vCPUs created, none of them runs yet.

Source: Linux arch/x86/kvm/vmx/tdx.c, tdx_vcpu_init_mem_region, tdx_td_vcpu_init; the guard round
the ioctls is tdx_vm_state_guard of 6.19.
"""

from tdx_env.host.guard import release_guard, request_guard
from tdx_env.host.mmu_lock import release_mmu, request_mmu
from tdx_env.host.pamt import add_page, is_counted, put_page
from tdx_env.host.seamcalls import new_call
from tdx_env.host.tasks import entry_at, finish_task_item, set_cursor
from tdx_env.jit import inner
from tdx_env.state.accounting import Category
from tdx_env.state.actors import CallPath, Purpose, State, Task
from tdx_env.state.broken import Place, break_off
from tdx_env.state.calls import NONE, Leaf
from tdx_env.state.costs import Cost
from tdx_env.state.kernels import ADD_RETRIED, BUILD_GUARD, VP_INIT_LOCKED
from tdx_env.state.world import World

EXTENDS_PER_PAGE = 16  # MR.EXTEND measures 256 bytes
ADDCX_PER_VCPU = 5  # TDVPS of module 1.5 has six pages, the root page among them


@inner
def begin_ioctl(world: World, task: int) -> None:
    """Start a build ioctl, under the guard if there is one."""
    if not BUILD_GUARD[world.run["kernel"]] or request_guard(world, task, Purpose.BEGIN):
        build_with_guard(world, task)


@inner
def build_with_guard(world: World, task: int) -> None:
    """Issue the first SEAMCALL of the ioctl."""
    me = world.actors["row"][task]
    kind = me["kind"]
    me["path"] = CallPath.BUILD
    if kind == Task.INIT_VCPU:
        me["extends"] = ADDCX_PER_VCPU
        new_call(world, task, Leaf.VP_CREATE, NONE)
    elif kind == Task.BUILD:
        set_cursor(world, task)
        add_page(world, task, Leaf.MEM_PAGE_ADD, entry_at(world, task, me["cursor"]))
    else:
        break_off(world, task, Place.TASK, kind)


@inner
def give_way(world: World, task: int) -> None:
    """Give a busy call up for now; a page's PAMT goes back first."""
    me = world.actors["row"][task]
    leaf, entry = me["leaf"], me["entry"]
    if leaf == Leaf.MEM_PAGE_ADD and is_counted(world, task, leaf, entry):
        put_page(world, task, Purpose.RETURNED)
    else:
        give_call_up(world, task)


@inner
def give_call_up(world: World, task: int) -> None:
    """Let user space try again or, a page's addition, the ioctl itself.

    Source: Linux 6.19, arch/x86/kvm/mmu/tdp_mmu.c, kvm_tdp_mmu_map_private_pfn.
    """
    is_add = world.actors["row"][task]["leaf"] == Leaf.MEM_PAGE_ADD
    if is_add and ADD_RETRIED[world.run["kernel"]]:
        _unwind_addition(world, task)
    else:
        _return_to_user(world, task)


@inner
def _unwind_addition(world: World, task: int) -> None:
    """Give up a pass over a page that is added: cond_resched, then another one.

    # MODEL: without mmu_lock, which 6.19 holds for read round PAGE.ADD: nobody else takes it while
    # a TD is populated.
    """
    run = world.run
    me = world.actors["row"][task]
    me["state"] = State.RESCHED
    me["purpose"] = Purpose.CALL_AGAIN
    me["category"] = Category.UNWIND
    world.actors["due"][task] = run["now"] + run["costs"][Cost.UNWIND]


@inner
def _return_to_user(world: World, task: int) -> None:
    """Return -EAGAIN to user space, which calls again."""
    run = world.run
    me = world.actors["row"][task]
    release_mmu(world, task)
    release_guard(world, task)
    me["state"] = State.USER_EXIT
    me["category"] = Category.YIELD
    world.actors["due"][task] = run["now"] + run["costs"][Cost.USER_EXIT]


@inner
def call_again(world: World, task: int) -> None:
    """User space calls again, under the guard if there is one."""
    if not BUILD_GUARD[world.run["kernel"]] or request_guard(world, task, Purpose.CALL_AGAIN):
        call_with_guard(world, task)


@inner
def call_with_guard(world: World, task: int) -> None:
    """Issue the SEAMCALL that was busy as a new one."""
    me = world.actors["row"][task]
    if me["leaf"] == Leaf.VP_INIT:
        _initialise(world, task)
    elif me["leaf"] == Leaf.MEM_PAGE_ADD:
        add_page(world, task, me["leaf"], me["entry"])
    else:
        new_call(world, task, me["leaf"], me["entry"])


@inner
def _initialise(world: World, task: int) -> None:
    """Issue VP.INIT, under mmu_lock held for write if the kernel wants that.

    Source: Rick Edgecombe, 28 Oct 2025 (20251028002824.1470939-1), Linux 6.19: version 1 of the
    call takes the TDR exclusively, and must not meet the zap path.
    """
    is_locked = VP_INIT_LOCKED[world.run["kernel"]]
    if not is_locked or request_mmu(world, task, 1, Purpose.VP_INIT):
        new_call(world, task, Leaf.VP_INIT, NONE)


@inner
def _end_ioctl(world: World, task: int) -> None:
    """The ioctl is done."""
    release_mmu(world, task)
    release_guard(world, task)
    finish_task_item(world, task)


@inner
def page_added(world: World, task: int) -> None:
    """PAGE.ADD has succeeded: measure the page."""
    me = world.actors["row"][task]
    me["extends"] = EXTENDS_PER_PAGE
    new_call(world, task, Leaf.MR_EXTEND, me["entry"])


@inner
def page_measured(world: World, task: int) -> None:
    """One MR.EXTEND is done: measure on, add the next page, or end the ioctl."""
    me = world.actors["row"][task]
    me["extends"] -= 1
    if me["extends"] > 0:
        new_call(world, task, Leaf.MR_EXTEND, me["entry"])
        return
    me["cursor"] += 1
    if me["cursor"] < me["cursor_end"]:
        add_page(world, task, Leaf.MEM_PAGE_ADD, entry_at(world, task, me["cursor"]))
    else:
        _end_ioctl(world, task)


@inner
def vcpu_built_on(world: World, task: int) -> None:
    """VP.CREATE, VP.ADDCX or VP.INIT has succeeded: the next call for the vCPU, or the end."""
    me = world.actors["row"][task]
    if me["leaf"] == Leaf.VP_INIT:
        _end_ioctl(world, task)
    elif me["extends"] > 0:
        me["extends"] -= 1
        new_call(world, task, Leaf.VP_ADDCX, NONE)
    else:
        _initialise(world, task)
