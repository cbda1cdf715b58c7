"""Policies: the protocol, the hand-written catalogue, users' files and learned agents.

Importing it compiles nothing and needs no torch.
"""

from tdx_agents.bundle import Manifest, Training, load_bundle, save_bundle
from tdx_agents.catalogue import catalogue, names, policies_table
from tdx_agents.protocol import Kind, Policy
from tdx_agents.spec import load

__all__ = [
    "Kind",
    "Manifest",
    "Policy",
    "Training",
    "catalogue",
    "load",
    "load_bundle",
    "names",
    "policies_table",
    "save_bundle",
]
