"""A simulator and Gymnasium environment for SEAMCALL contention between KVM and the TDX module."""

import gymnasium

__version__ = "0.1.0"

gymnasium.register(
    id="tdx_env/SeamcallRetry-v0",
    entry_point="tdx_env.env:SeamcallRetryEnv",
    vector_entry_point="tdx_env.vector:SeamcallRetryVectorEnv",
    order_enforce=False,  # the environment's own error says more
)
gymnasium.register(
    id="tdx_env/SeamcallRetry-v1",
    entry_point="tdx_env.env:SeamcallRetryEnv",
    vector_entry_point="tdx_env.vector:SeamcallRetryVectorEnv",
    kwargs={"edition": "v1"},
    order_enforce=False,
)
gymnasium.register(
    id="tdx_env/SeamcallRetryMO-v1",
    entry_point="tdx_env.multi_objective:SeamcallRetryMOEnv",
    vector_entry_point="tdx_env.multi_objective:SeamcallRetryMOVectorEnv",
    kwargs={"edition": "v1"},
    order_enforce=False,
    disable_env_checker=True,  # Gymnasium's wants a reward that is a number
)
