"""The whole graph on a small flawed sample: what a user gets from the first command, looked at from many sides."""

from fitness_assets.catalogue import TABLES
from fitness_assets.checks import check_specs
from fitness_assets.sample import rows as sample_rows
from fitness_assets_tests.conftest import HEADER, evaluations


def write_sample(path, users=6, days=60, seed=3):
    lines = [",".join(cells) for user in sample_rows(users, days, seed) for cells in user]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return len(lines)


def test_the_main_job_publishes_every_table_and_reports_every_rule(raw, materialize, lake):
    read = write_sample(raw / "sample.csv")
    result = materialize()
    assert result.success
    assert set(evaluations(result)) == {(table.key, spec.name) for table in TABLES for spec in check_specs(table)}
    for table in TABLES:
        assert lake.read(table).columns == [column.name for column in table.columns]
    assert lake.read(TABLES[0]).count() + lake.read(TABLES[1]).count() == read
