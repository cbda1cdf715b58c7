"""Record dtypes and enums of the simulated world: below everything else.

What lives here: the records that a `World` is made of (`world`, `actors`, `setup`, `discipline`),
the enums that their fields hold (`State`, `Leaf`, `Action` ...), the numbers they are indexed by
(costs, features, categories), and the few kernels that every other part needs to touch them:
random draws (`draws`), whose turn is next (`agenda`), booking cycles (`booking`), ending an episode
for a forgotten case (`broken`). The door is `world.World`: a kernel is handed one and reads the
rest by name. Calls go in, never out: nothing here imports a package above it, `tdx_env.jit` aside.
"""
