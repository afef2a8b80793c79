"""StopSignal in each form that images have it."""

from __future__ import annotations

import pytest

from careen.record.stop_signal import number

SIGNALS = {
    "SIGTERM": 15, "SIGQUIT": 3, "QUIT": 3, "sigint": 2, "usr1": 10, "SIGWINCH": 28, "9": 9,
    "37": 37, "64": 64, " SIGTERM ": 15,
    "SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMIN+3": 37, "sigrtmin+3": 37, "SIGRTMAX": 64,
    "SIGRTMAX-14": 50, "rtmax-0": 64, "SIGRTMIN+30": 64,
    "": None, "0": None, "65": None, "-1": None, "SIGNONE": None, "SIG": None, "SIG_IGN": None,
    "SIGRTMIN-1": None, "SIGRTMIN+31": None, "SIGRTMAX+1": None, "SIGRTMIN+": None,
    "SIGRTMIN+999999999999": None, "RTMIN 3": None, "999999999999999999999": None,
    "\u0661\u0665": None,
}  # fmt: skip


@pytest.mark.parametrize("text", SIGNALS)
def test_number(text: str) -> None:
    assert number(text) == SIGNALS[text]
