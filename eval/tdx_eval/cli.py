"""The door of `tdx-eval`: compare policies, find lost TDs, test the costs and the simulator."""

from tdx_env import command
from tdx_eval.commands.app import app


def main() -> None:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    command.run(app, "tdx-eval", "stopped before anything was done")


if __name__ == "__main__":
    main()
