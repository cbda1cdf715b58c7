"""Learners of other projects on the environment, unchanged, for a minute each.

Each gets a virtual environment of its own, since some pin other versions of what they share, and a
program that is its own quick start but for the environment's name, the discount and a clock. Run as
a script::

    python benchmarks/clients.py --work DIR --cleanrl path/to/cleanrl/ppo.py sb3 cleanrl
"""

import argparse
import json
import os
import re
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tdx_env.errors import one_of

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).resolve().parent / "client_programs"
ID = "tdx_env/SeamcallRetry-v0"
TORCH = "torch==2.13.0"
SURROUNDINGS = {
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": str(PROGRAMS),
    "RAY_worker_niceness": "0",  # Ray's default, 15, starves its workers on a busy machine
}
N_SHOWN = 10  # episodes of which the first and the last mean are, where no learner has its own


class Outcome(NamedTuple):
    """What a client's program came to.

    Attributes:
        steps: Steps of the environment.
        first: Mean return of the first episodes, None if the program doesn't say.
        last: Mean return of the last ones.
    """

    steps: int
    first: float | None
    last: float | None


class Client(NamedTuple):
    """A learner of another project.

    Attributes:
        name: As given on the command line.
        requirements: What pip installs beside this project and torch.
        shown: Packages whose versions the table names.
        command: What follows the interpreter, as one line; PPO stands for the path of CleanRL's.
        outcome: What its output came to.
    """

    name: str
    requirements: tuple[str, ...]
    shown: tuple[str, ...]
    command: str
    outcome: Callable[[str], Outcome]


def told(output: str) -> Outcome:
    """Return what one of our programs said in its last line."""
    return Outcome(**json.loads(output.strip().splitlines()[-1]))


def of_cleanrl(output: str) -> Outcome:
    """Return what CleanRL's ppo.py said; the returns are said by `client_programs/telling.py`."""
    returns = [float(value) for value in re.findall(r"episodic_return=(-?[\d.]+)", output)]
    n_updates = len(re.findall(r"^SPS:", output, re.MULTILINE))
    some = (fmean(returns[:N_SHOWN]), fmean(returns[-N_SHOWN:])) if returns else (None, None)
    return Outcome(n_updates * 4 * 128, *some)  # its num_envs and num_steps


def of_zoo(output: str) -> Outcome:
    """Return what RL-Zoo3 logged after each update."""
    steps = re.findall(r"total_timesteps\s*\|\s*(\d+)", output)
    returns = [float(value) for value in re.findall(r"ep_rew_mean\s*\|\s*(-?[\d.e+]+)", output)]
    return Outcome(int(steps[-1]), returns[0], returns[-1])


CLIENTS = (
    Client(
        "sb3",
        ("stable-baselines3==2.9.2",),
        ("stable-baselines3", "gymnasium", "torch"),
        "client_programs/with_sb3.py",
        told,
    ),
    Client(
        "sb3-contrib",
        ("sb3-contrib==2.9.2",),
        ("sb3-contrib", "gymnasium", "torch"),
        "client_programs/with_sb3_contrib.py",
        told,
    ),
    Client(
        "tianshou",
        ("tianshou==2.0.1",),
        ("tianshou", "gymnasium", "torch"),
        "client_programs/with_tianshou.py",
        told,
    ),
    Client(
        "cleanrl",
        ("tyro", "tensorboard", "setuptools"),
        ("gymnasium", "torch"),
        "PPO --env-id telling:Telling-v0 --gamma 1.0 --total-timesteps 2048 --no-cuda",
        of_cleanrl,
    ),
    Client(
        "rl-zoo3",
        ("rl_zoo3==2.9.2",),
        ("rl_zoo3", "stable-baselines3", "gymnasium", "torch"),
        f"-m rl_zoo3.train --algo ppo --env {ID} --gym-packages tdx_env --n-timesteps 4096 "
        "--conf-file client_programs/zoo.yml --eval-freq -1 --log-folder zoo",
        of_zoo,
    ),
    Client(
        "rllib",
        ("ray[rllib]==2.60.0",),
        ("ray", "gymnasium", "torch"),
        "client_programs/with_rllib.py",
        told,
    ),
)


def installed(client: Client, work: Path) -> Path:
    """Return the interpreter of a client's virtual environment, made if it isn't there."""
    folder = work / client.name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, str(ROOT), TORCH, *client.requirements], check=True)
    again = ["--force-reinstall", "--no-deps", str(ROOT)]
    subprocess.run([*pip, *again], check=True)  # what was installed may be older than the sources
    return python


def versions(python: Path, names: tuple[str, ...]) -> str:
    """Return the versions of packages as the table shows them."""
    code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]), sep='\\n')"
    done = subprocess.run(
        [str(python), "-c", code, *names], capture_output=True, text=True, check=True
    )
    return ", ".join(
        f"{name} {version}" for name, version in zip(names, done.stdout.split(), strict=True)
    )


def run(client: Client, work: Path, cleanrl: Path | None) -> str:
    """Train with a client; return its row of the table."""
    if "PPO" in client.command.split() and cleanrl is None:
        raise SystemExit(f"{client.name}: give --cleanrl, the path of its ppo.py")
    python = installed(client, work)
    given = [str(cleanrl) if part == "PPO" else part for part in client.command.split()]
    arguments = [
        str(PROGRAMS.parent / part) if part.startswith("client_") else part for part in given
    ]
    done = subprocess.run(
        [str(python), *arguments],
        cwd=work,
        env={**os.environ, **SURROUNDINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (work / f"{client.name}.out").write_text(done.stdout)
    if done.returncode != 0:
        raise SystemExit(f"{client.name}: failed, see {work / client.name}.out")
    outcome = client.outcome(done.stdout)
    returns = [f"{value:.2f}" if value is not None else "not told" for value in outcome[1:]]
    shown = versions(python, client.shown)
    return f"| {client.name} | {shown} | `python {client.command}` | {outcome.steps:,} | " + (
        f"{returns[0]} | {returns[1]} |"
    )


def main() -> None:
    """Run the clients that are named, or all; print their rows of `docs/clients.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="clients; default: all", metavar="NAME")
    parser.add_argument("--work", type=Path, required=True, help="folder for what they need")
    parser.add_argument("--cleanrl", type=Path, help="path of CleanRL's ppo.py")
    options = parser.parse_args()
    known = [client.name for client in CLIENTS]
    for name in options.names:
        if name not in known:
            parser.error(f"{name} is unknown, {one_of(name, known)}")
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for client in CLIENTS:
        if client.name in (options.names or known):
            cleanrl = options.cleanrl.resolve() if options.cleanrl else None
            print(run(client, work, cleanrl), flush=True)


if __name__ == "__main__":
    main()
