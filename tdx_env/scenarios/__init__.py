"""Scenarios: what an episode consists of, as TOML files and frozen models."""

from tdx_env.scenarios.loader import expand, load, names
from tdx_env.scenarios.overrides import overrides_from
from tdx_env.scenarios.schema import SPLITS, Scenario, digest
from tdx_env.scenarios.values import Range

__all__ = ["SPLITS", "Range", "Scenario", "digest", "expand", "load", "names", "overrides_from"]
