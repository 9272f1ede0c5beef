"""Bronze: what its rules find."""

import pytest

from fitness_assets.bronze.tables import LOGGED_DAYS
from fitness_assets_tests.conftest import violations


def found(rule_name: str, *user_ids: str) -> list[dict]:
    (rule,) = [rule for rule in LOGGED_DAYS.set_rules if rule.name == rule_name]
    return violations(rule, {LOGGED_DAYS.key: [{"user_id": user_id} for user_id in user_ids]})


@pytest.mark.parametrize(
    "user_ids",
    [("anna", "Anna"), ("17", "017"), ("17", "17.0"), ("0017.00", "17"), ("0", "00"), ("É1", "é1")],
    ids=["case", "leading zero", "point zero", "both", "zeros", "accents"],
)
def test_ids_that_differ_only_in_how_they_are_written_are_found(user_ids):
    (row,) = found("ids_differ_clearly", *user_ids, *user_ids, "other")
    assert set(row["user_ids"]) == set(user_ids)


def test_other_ids_are_not_taken_for_each_other():
    assert found("ids_differ_clearly", "17", "170", "1.7", "17.05", "7.0.1", "a", "b", "") == []


@pytest.mark.parametrize("user_id", ["1.50396E+11", "2E+10", "1,5e9"])
def test_ids_that_look_like_rounded_numbers_are_found(user_id):
    assert found("ids_are_whole", user_id, "17", "e12", "1E", "abe+1", "1e2e3") == [{"user_id": user_id}]
