"""What a training run measures before it trains."""

import numpy as np
import pytest

from tdx_env.errors import ConfigError
from tdx_env.host.discipline import DEFAULT
from tdx_train.calibration import calibrated
from tdx_train.suite import Suite, load_all, suite_of

HOPELESS = "s14-split-storm/train"
SHORT = {"limits.time_cap_us": 1_500_000, "limits.stall_us": 30_000}


def measured(*names: str) -> Suite:
    return calibrated(suite_of(load_all(list(names), SHORT)), DEFAULT, 1, 4, 1)


def test_a_scenario_that_is_lost_whatever_is_answered_is_left_out():
    suite = measured("s09-accept-4k/train", HOPELESS, "s03-zero-step/train")
    assert suite.names == ["s09-accept-4k/train", "s03-zero-step/train"]
    assert np.isclose(suite.shares.sum(), 1.0)
    assert (suite.scales > 1).all()


def test_only_hopeless_scenarios_are_refused():
    with pytest.raises(ConfigError, match="s14-split-storm/train: every episode is lost"):
        measured(HOPELESS)
