"""The command `tdx-eval policies`."""

import json

from tdx_env.command import AsJson


def policies(as_json: AsJson = False) -> None:
    """List all hand-written policies with one line each."""
    import tdx_agents
    from tdx_env.table import table_text
    from tdx_eval.comparing.yardsticks import load_policy, yardstick_names

    yardsticks = [(name, load_policy(name).title) for name in yardstick_names()]
    if as_json:
        records = [{"name": name, "title": title} for name, title in yardsticks]
        listed = {"policies": tdx_agents.policies_records(), "yardsticks": records}
        print(json.dumps(listed, indent=2))
        return
    print(tdx_agents.policies_table())
    print("\nYardsticks, under the default discipline:")
    print(table_text(("name", "what it does"), yardsticks))
