"""KVM_BUG_ON: the TD is dead."""

from tdx_env.jit import inner
from tdx_env.state.world import End, World


@inner
def kill(world: World, actor: int, leaf: int, outcome: int) -> None:
    """KVM_BUG_ON: the TD is dead, the episode over."""
    run = world.run
    run["end"] = End.KILLED
    run["kill_actor"] = actor
    run["kill_leaf"] = leaf
    run["kill_outcome"] = outcome
