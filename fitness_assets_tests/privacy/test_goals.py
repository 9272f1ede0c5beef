"""Rewritten goal files: the other people's goals as they were, in every way that a file can be written."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitness_assets.bronze.sources import source_of
from fitness_assets.coach.goals import read_goals
from fitness_assets.privacy.goals import copy_goals
from fitness_assets.privacy.uploads import replace, rewritten
from fitness_assets_tests.privacy.test_uploads import OTHERS, PEOPLE, THEIRS

NAMES: tuple[str, ...] = ("user_id", "start", "target_steps", "notes")


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes, bytes | None, int]:
    """Name and bytes of a goal file, the bytes that it would have without their goals, and how many goals go."""
    people = draw(st.lists(st.sampled_from(THEIRS + OTHERS), min_size=1, max_size=6))
    notes = st.sampled_from(["", "no; ada, 17", "two\nlines", 'a "[" and a "{"', "ünicode \u2028", "]"])
    goals: list[dict[str, str]] = [
        dict(zip(NAMES, [user, "2024-01-01", draw(st.sampled_from(["9000", "many"])), draw(notes)], strict=True))
        for user in people
    ]
    others = [goal for goal in goals if goal["user_id"] not in THEIRS]
    mark = draw(st.sampled_from(["", "\ufeff"]))
    if draw(st.booleans()):
        indent, ascii_ = draw(st.sampled_from([None, 1])), draw(st.booleans())
        if len(goals) == 1 and draw(st.booleans()):
            whole = rest = json.dumps(goals[0], indent=indent)
        else:
            whole, rest = (json.dumps(each, indent=indent, ensure_ascii=ascii_) for each in (goals, others))
        name = "goals.json"
    else:
        end, delimiter, blank = draw(st.sampled_from(["\n", "\r\n", "\r"])), draw(st.sampled_from(",;")), ""
        whole, rest = (
            "".join(line + end for line in [delimiter.join(NAMES), blank, *(_line(goal, delimiter) for goal in each)])
            for each in (goals, others)
        )
        name = "goals.CSV"
    return name, (mark + whole).encode(), (mark + rest).encode() if others else None, len(goals) - len(others)


def _line(goal: dict[str, str], delimiter: str) -> str:
    return delimiter.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in goal.values())


def rewrite(folder: Path) -> list[int]:
    """Rewrite the goal files of a folder; returns how many goals went from each."""
    source = source_of(str(folder))
    with rewritten(source, PEOPLE, folder, copy_goals) as found:
        for one in found:
            replace(one, source)
        return [len(one.removed) for one in found]


@given(files())
def test_a_rewritten_goal_file_is_as_if_it_never_had_the_person(tmp_path_factory, file):
    name, content, without, theirs = file
    folder = tmp_path_factory.mktemp("goals")
    path = folder / name
    path.write_bytes(content)
    entries = read_goals(path, name)
    assert rewrite(folder) == [theirs] * bool(theirs)
    if without is None:
        assert not path.exists()
        return
    assert path.read_bytes() == without
    kept = [(each.goal, each.refusal) for each in entries if each.user_id not in THEIRS]
    assert [(each.goal, each.refusal) for each in read_goals(path, name)] == kept
    assert rewrite(folder) == []


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (
            "number.json",
            '[{"user_id": 17, "target_steps": 1}, {"user_id": "ada"}]',
            '[{"user_id": 17, "target_steps": 1}]',
        ),
        ("nobody.json", '[{"person": "ada"}, "ada", {"user_id": "17"}, 3]', '[{"user_id": "17"}, 3]'),
        ("of_others.json", '[{"user_id": "17", "notes": "walks with ada"}]', None),
        ("broken.csv", "user_id,start\nada\n17,2024-01-01\n", "user_id,start\n17,2024-01-01\n"),
        ("broken.json", '[\n{"user_id": "17"},\n{"user_id": "ada",\n"target_weight_kg": 71.3}', ""),
        ("broken_of_others.json", '[\n{"user_id": "17"},\n', None),
        ("unknown.txt", "ada\n17\n", "17\n"),
    ],
)
def test_goals_of_nobody_and_files_that_cannot_be_read_lose_what_may_be_theirs(tmp_path, name, before, after):
    (tmp_path / name).write_text(before)
    rewrite(tmp_path)
    left = (tmp_path / name).read_text() if (tmp_path / name).exists() else ""
    assert left == (before if after is None else after)


def test_a_goal_that_names_its_person_by_a_number_goes_with_the_person(tmp_path):
    (tmp_path / "number.json").write_text('[{"user_id": 17, "target_steps": 1}, {"user_id": "18"}]')
    first, second = read_goals(tmp_path / "number.json", "number.json")
    assert (first.goal, first.user_id, second.user_id) == (None, "17", "18")
