"""The table of busy TRACKs by size and rate."""

import numba
import pytest

from tdx_eval.track_busy import BusyShare, closed_form, measured, track_busy_page


def test_closed_form_grows_with_vcpus_and_rate_up_to_all():
    once = closed_form(2, 1_000)  # one other vCPU
    assert once == pytest.approx(1_000 * 125 / 2.5e9)  # the middle of 50 to 200 cycles
    assert closed_form(9, 2_000) == pytest.approx(16 * once)
    assert closed_form(248, 50_000_000) == 1


def test_page_gives_share_closed_form_and_an_upper_end_where_nothing_was_busy():
    rows = [[BusyShare(2, 500, 1_000, 0, 0.000_02), BusyShare(2, 50_000, 1_000, 25, 0.01)]]
    text = track_busy_page(rows, 4)
    assert "| vCPUs | 500/s | 50,000/s |" in text
    assert "| 2 | < 0.3 (0.002) | 2.5 (1) |" in text


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes uncompiled")
def test_busy_tracks_grow_with_the_rate():
    calm, hot = measured(32, 2_300, 2), measured(32, 50_000, 2)
    assert hot.n_zaps == calm.n_zaps
    assert hot.share > 5 * calm.share
