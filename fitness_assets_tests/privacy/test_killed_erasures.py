"""Erasures that are killed: the next run finishes them, and every table is whole at every moment."""

import pytest

from fitness_assets_tests.tools.kill_erasures import kill_erasures

pytestmark = pytest.mark.deployment


def test_a_killed_erasure_is_finished_by_the_next_run(tmp_path):
    kill_erasures(tmp_path, times=1, seed=7)
