"""Learners of other projects on the environment, unchanged, for a minute each.

Each gets a virtual environment of its own, since some pin other versions of what they share, and a
program that is its own quick start but for the environment's name, the discount and a clock. Run as
a script::

    python benchmarks/clients.py --work DIR --cleanrl path/to/cleanrl/ppo.py sb3 cleanrl

Each learner takes each version of the environment, unless `--versions v1` names one.
"""

import argparse
import json
import os
import re
import subprocess
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tdx_env.errors import one_of

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).resolve().parent / "client_programs"
VERSIONS = ("v0", "v1")
ID = "tdx_env/SeamcallRetry-"  # a version comes behind it
TORCH = "torch==2.13.0"
SURROUNDINGS = {
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": str(PROGRAMS),
    "RAY_worker_niceness": "0",  # Ray's default, 15, starves its workers on a busy machine
}
N_SHOWN = 10  # episodes of which the first and the last mean are, where no learner has its own
MONITOR = "0.monitor.csv"  # what RL-Zoo3 keeps of the episodes


class Outcome(NamedTuple):
    """What a client's program came to.

    Attributes:
        steps: Steps of the environment.
        episodes: Those that ended while it learned.
        first: Mean return of the first episodes, None if the program doesn't say.
        last: Mean return of the last ones.
    """

    steps: int
    episodes: int
    first: float | None
    last: float | None


class Client(NamedTuple):
    """A learner of another project.

    Attributes:
        name: As given on the command line.
        requirements: What pip installs beside this project and torch.
        shown: Packages whose versions the table names.
        command: What follows the interpreter, as one line; PPO stands for the path of CleanRL's,
            VERSION for that of the environment.
        outcome: What its output, and files in the folder it ran in, came to.
    """

    name: str
    requirements: tuple[str, ...]
    shown: tuple[str, ...]
    command: str
    outcome: Callable[[str, Path], Outcome]


def told(output: str, _work: Path) -> Outcome:
    """Return what one of our programs said in its last line."""
    return Outcome(**json.loads(output.strip().splitlines()[-1]))


def of_cleanrl(output: str, _work: Path) -> Outcome:
    """Return what CleanRL's ppo.py said; the returns are said by `client_programs/telling.py`."""
    returns = [float(value) for value in re.findall(r"episodic_return=(-?[\d.]+)", output)]
    n_updates = len(re.findall(r"^SPS:", output, re.MULTILINE))
    some = (fmean(returns[:N_SHOWN]), fmean(returns[-N_SHOWN:])) if returns else (None, None)
    return Outcome(n_updates * 4 * 128, len(returns), *some)  # its num_envs and num_steps


def of_zoo(output: str, work: Path) -> Outcome:
    """Return what RL-Zoo3 logged after each update, and its list of episodes has."""
    steps = re.findall(r"total_timesteps\s*\|\s*(\d+)", output)
    returns = [float(value) for value in re.findall(r"ep_rew_mean\s*\|\s*(-?[\d.e+]+)", output)]
    folder = re.findall(r"^Saving to (.+)$", output, re.MULTILINE)[-1]
    n_heads = 2  # of the list
    n_episodes = len((work / folder / MONITOR).read_text().splitlines()) - n_heads
    return Outcome(int(steps[-1]), n_episodes, returns[0], returns[-1])


CLIENTS = (
    Client(
        "sb3",
        ("stable-baselines3==2.9.2",),
        ("stable-baselines3", "gymnasium", "torch"),
        f"client_programs/with_sb3.py {ID}VERSION",
        told,
    ),
    Client(
        "sb3-contrib",
        ("sb3-contrib==2.9.2",),
        ("sb3-contrib", "gymnasium", "torch"),
        f"client_programs/with_sb3_contrib.py {ID}VERSION",
        told,
    ),
    Client(
        "tianshou",
        ("tianshou==2.0.1",),
        ("tianshou", "gymnasium", "torch"),
        f"client_programs/with_tianshou.py {ID}VERSION",
        told,
    ),
    Client(
        "cleanrl",
        ("tyro", "tensorboard", "setuptools"),
        ("gymnasium", "torch"),
        "PPO --env-id telling:Telling-VERSION --gamma 1.0 --total-timesteps 2048 --no-cuda",
        of_cleanrl,
    ),
    Client(
        "rl-zoo3",
        ("rl_zoo3==2.9.2",),
        ("rl_zoo3", "stable-baselines3", "gymnasium", "torch"),
        f"-m rl_zoo3.train --algo ppo --env {ID}VERSION --gym-packages tdx_env --n-timesteps 4096 "
        "--conf-file client_programs/zoo.yml --eval-freq -1 --log-folder zoo",
        of_zoo,
    ),
    Client(
        "rllib",
        ("ray[rllib]==2.60.0",),
        ("ray", "gymnasium", "torch"),
        f"client_programs/with_rllib.py {ID}VERSION",
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
    # Editable, so that what runs is what stands here, and is compiled once for all of them.
    subprocess.run([*pip, TORCH, *client.requirements, "--editable", str(ROOT)], check=True)
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


def started(python: Path, command: str, cleanrl: Path | None, work: Path) -> str:
    """Run a learner's command; return what it said, which is kept if it fails."""
    given = [str(cleanrl) if part == "PPO" else part for part in command.split()]
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
    if done.returncode != 0:
        kept = work / "failed.out"
        kept.write_text(done.stdout)
        raise SystemExit(f"{command}: failed, see {kept}")
    return done.stdout


def rows(client: Client, work: Path, cleanrl: Path | None, wanted: Sequence[str]) -> Iterator[str]:
    """Train with a client on versions of the environment; yield its rows of the table."""
    if "PPO" in client.command.split() and cleanrl is None:
        raise SystemExit(f"{client.name}: give --cleanrl, the path of its ppo.py")
    python = installed(client, work)
    shown = versions(python, client.shown)
    for version in wanted:
        command = client.command.replace("VERSION", version)
        outcome = client.outcome(started(python, command, cleanrl, work), work)
        means = [f"{value:.2f}" if value is not None else "–" for value in outcome[2:]]
        cells = f"{outcome.steps:,} | {outcome.episodes:,} | {means[0]} | {means[1]}"
        yield f"| {client.name} | {version} | {shown} | `python {command}` | {cells} |"


def main() -> None:
    """Run the clients that are named, or all; print their rows of `docs/clients.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="clients; default: all", metavar="NAME")
    parser.add_argument("--work", type=Path, required=True, help="folder for what they need")
    parser.add_argument("--cleanrl", type=Path, help="path of CleanRL's ppo.py")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS, default=VERSIONS)
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
            for row in rows(client, work, cleanrl, options.versions):
                print(row, flush=True)


if __name__ == "__main__":
    main()
