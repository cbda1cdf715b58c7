"""Loads the package with a mistake in it, in a process that may have loaded it without."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import gymnasium

from tests.mutants.catalogue import Mutant

_PROJECT = ("tdx_env", "tdx_agents", "tests")


class _MistakenLoader(SourceFileLoader):
    """Loads one module from its source as the mutant has it."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self.mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Return the module's code with the mistake in it."""
        text = Path(self.path).read_text()
        mistaken = text.replace(self.mutant.old, self.mutant.new)
        assert mistaken != text, f"{self.mutant.name}: its text is not in {self.path}"
        return compile(mistaken, self.path, "exec")


class _Finder:
    """Finds one module of the package, and no other."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.module = "tdx_env." + mutant.file.removesuffix(".py").replace("/", ".")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how the mistaken module is loaded; None for all others."""
        if fullname != self.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _MistakenLoader(fullname, spec.origin, self.mutant)
        return spec


def put_in(mutant: Mutant) -> None:
    """From here on, import the project anew, with the mistake in it."""
    for name in list(sys.modules):
        if name.split(".")[0] in _PROJECT:
            del sys.modules[name]
    for name in [name for name in gymnasium.registry if name.startswith("tdx_env/")]:
        del gymnasium.registry[name]  # to register it twice is warned of
    sys.meta_path.insert(0, _Finder(mutant))
