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
