"""Who may work in which memory, and beside whom."""

from pathlib import Path

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.scenarios import load

HEAD = """
schema_version = 1
name = "areas"
family = "own"
title = "a test"
description = "Nothing in particular."

[host]
n_vcpus = 4

[limits]
stall_us = 50_000
time_cap_us = 5_000_000
reward_scale = 1_000

[groups.vcpus]
program = "{program}"
count = "rest"
{group}

[areas.ram]
initial = "{initial}"

[areas.other]
initial = "mapped_4k"

[tasks.elsewhere]
kind = "zap"
area = "other"
items = 1

"""
EXPORT = '[tasks.exporter]\nkind = "export"\narea = "ram"\nitems = 2\nchunk = 16\n'
ZAP = '[tasks.zapper]\nkind = "zap"\narea = "ram"\nitems = 2\n'
ITEMS = 'area = "ram"\nitems = 2\n'


def path_of(
    folder: Path, tasks: str, program: str = "compute", group: str = "", initial: str = "mapped_4k"
) -> Path:
    """Write a scenario with some work in the area ram."""
    path = folder / "areas.toml"
    path.write_text(HEAD.format(program=program, group=group, initial=initial) + tasks)
    return path


def refusal(path: Path) -> str:
    """Return what is said about a file, without the file's name."""
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return str(caught.value).removeprefix(f"{path}: ")


MUST_MOVE = 'area = "ram", must work in another area: tasks.exporter exports these pages'


@pytest.mark.parametrize("kind", ["zap", "slot_delete", "block_restore"])
def test_nothing_is_removed_where_pages_are_exported(kind, tmp_path):
    hold = "hold_us = 5\n" if kind == "block_restore" else ""
    more = f'[tasks.remover]\nkind = "{kind}"\narea = "ram"\nitems = 2\n{hold}'
    assert refusal(path_of(tmp_path, EXPORT + more)) == f"tasks.remover.{MUST_MOVE}"


def test_nothing_is_converted_where_pages_are_exported(tmp_path):
    path = path_of(tmp_path, EXPORT, "convert", ITEMS)
    assert refusal(path) == f"groups.vcpus.{MUST_MOVE}"


@pytest.mark.parametrize("initial", ["mapped_2m", "free"])
def test_only_4k_pages_that_are_there_are_exported(initial, tmp_path):
    must = "must be one of pending_4k, mapped_4k: tasks.exporter works there at level 0"
    path = path_of(tmp_path, EXPORT, initial=initial)
    assert refusal(path) == f'areas.ram.initial = "{initial}", {must}'


def test_pages_that_are_exported_may_be_written(tmp_path):
    assert load(path_of(tmp_path, EXPORT, "touch", ITEMS)).tasks["exporter"].area == "ram"


@pytest.mark.parametrize("kind", ["zap", "slot_delete"])
@pytest.mark.parametrize("initial", ["pending_2m", "mapped_2m"])
def test_4k_pages_may_be_removed_from_2m_mappings(kind, initial, tmp_path):
    path = path_of(tmp_path, ZAP.replace('zap"', f'{kind}"'), initial=initial)
    assert load(path).tasks["zapper"].level == 0


@pytest.mark.parametrize("program", ["accept", "convert", "touch"])
def test_guests_may_work_on_4k_pages_of_2m_mappings(program, tmp_path):
    path = path_of(tmp_path, "", program, ITEMS, "pending_2m")
    assert load(path).groups["vcpus"].level == 0


@pytest.mark.parametrize("kind", ["zap", "slot_delete", "block_restore"])
def test_2m_pages_are_not_removed_where_they_are_split(kind, tmp_path):
    hold = "hold_us = 5\n" if kind == "block_restore" else ""
    more = f'[tasks.large]\nkind = "{kind}"\narea = "ram"\nitems = 2\nlevel = 1\n{hold}'
    must = "must be 0: tasks.zapper splits the 2M pages of areas.ram"
    path = path_of(tmp_path, ZAP + more, initial="mapped_2m")
    assert refusal(path) == f"tasks.large.level = 1, {must}"


@pytest.mark.parametrize(("level", "initial"), [(0, "pending_2m"), (1, "mapped_4k")])
def test_prefault_adds_pages_of_the_size_that_is_there(level, initial, tmp_path):
    more = f'[tasks.filler]\nkind = "prefault"\narea = "ram"\nitems = 2\nlevel = {level}\n'
    sizes = ("empty, free, pending_4k, mapped_4k", "empty, pending_2m, mapped_2m")[level]
    must = f"must be one of {sizes}: tasks.filler works there at level {level}"
    path = path_of(tmp_path, more, initial=initial)
    assert refusal(path) == f'areas.ram.initial = "{initial}", {must}'


def test_prefault_of_2m_pages_in_regions_is_no_layout(tmp_path):
    more = '[tasks.filler]\nkind = "prefault"\narea = "ram"\nitems = 2\nlevel = 1\n'
    path = path_of(tmp_path, more + 'layout = "regions"\n', initial="pending_2m")
    assert refusal(path) == 'tasks.filler.layout = "regions", must be another at level 1'


def test_no_hole_is_punched_while_pages_are_added(tmp_path):
    """kvm_gmem_populate and a punch hole exclude each other by the file's invalidate lock."""
    build = '[tasks.builder]\nkind = "build"\narea = "ram"\nitems = 1\n'
    path = path_of(tmp_path, build, program="parked", initial="free")
    must = "must be build or init_vcpu: tasks.builder holds the invalidate lock"
    assert refusal(path) == f'tasks.elsewhere.kind = "zap", {must}'
