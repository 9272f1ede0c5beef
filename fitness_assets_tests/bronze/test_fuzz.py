"""Bronze: files that were mutated; two thousand of them are tried by hand (``tools/fuzz_inputs.py``)."""

from fitness_assets_tests.tools.fuzz_inputs import Mutant, faults, mutants


def test_mutated_files_crash_nothing_lose_no_row_and_change_no_value(spark, tmp_path):
    assert faults(spark, tmp_path, [*mutants(100, seed=25)]) == []


def test_a_value_that_the_file_does_not_say_is_found(spark, tmp_path):
    """The fuzzer itself can fail: this file does not say what it is taken to say."""
    (file, *_) = (file for file in mutants(50, seed=25) if file.says)
    assert file.says
    wrong = Mutant(file.content, [row | {"steps": row["steps"] + 1} for row in file.says], "wrong")
    assert len(faults(spark, tmp_path, [wrong])) == 1
