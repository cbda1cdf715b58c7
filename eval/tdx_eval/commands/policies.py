"""The command `tdx-eval policies`."""


def policies() -> None:
    """List all hand-written policies with one line each."""
    import tdx_agents
    from tdx_eval.comparing.yardsticks import load_policy, yardstick_names

    print(tdx_agents.policies_table())
    print("\nyardsticks, under the default discipline:")
    for name in yardstick_names():
        print(f"{name}  {load_policy(name).title}")
