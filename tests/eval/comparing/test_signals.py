"""Signals that wait."""

import signal

import pytest

from tdx_eval.comparing.signals import (
    interrupts_delayed,
    interrupts_ignored,
    termination_at_once,
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_delayed_signal_comes_after_the_work(number: signal.Signals):
    done = []
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupts_delayed():
        signal.raise_signal(number)
        done.append("written")
    assert done == ["written"]
    assert signal.getsignal(number) == before


def test_ignored_signal_never_comes():
    before = signal.getsignal(signal.SIGINT)
    with interrupts_ignored():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_process_that_is_forked_meanwhile_dies_of_sigterm_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with termination_at_once():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before
