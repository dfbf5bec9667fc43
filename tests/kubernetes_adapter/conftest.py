"""Fixtures of the adapter's tests."""

from __future__ import annotations

import pytest
from tests.kubernetes_transport.kit import RecordingClock


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()
