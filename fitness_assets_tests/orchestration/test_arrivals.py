"""Whatever order events come in: every content that stays is ingested, once, and nothing is asked for without end."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fitness_assets.orchestration.arrivals import DELAYS, Outcome, State, decide

URIS = st.sampled_from(["a.csv", "b.csv", "c/d.csv", "ü '\";\n.csv"])
CONTENTS = st.integers(0, 5)


class Arrivals(RuleBasedStateMachine):
    """A folder, a ledger of contents like bronze's, and runs that end as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, tuple[int, str]] = {}
        self.ledger: dict[int, tuple[str, str]] = {}
        self.ingested: list[int] = []
        self.state = State()
        self.run: tuple[str, ...] | None = None
        self.outcome: Outcome | None = None
        self.clock = 0.0
        self.fingerprints = 0
        self.published: set[int] = set()
        self.keys: set[str] = set()

    @rule(uri=URIS, content=CONTENTS)
    def upload(self, uri: str, content: int) -> None:
        """A new file, or new bytes under an old name; the fingerprints do not follow the clock of whoever looks."""
        self.fingerprints += 1
        self.files[uri] = (content, f"{-self.fingerprints}")

    @rule(uri=URIS)
    def delete(self, uri: str) -> None:
        self.files.pop(uri, None)

    @rule(seconds=st.sampled_from([0, 30, 3_600, 86_400]))
    def look(self, seconds: int) -> None:
        self.tick(seconds)

    def tick(self, seconds: float) -> bool:
        self.clock += seconds + 1
        listing = {uri: fingerprint for uri, (_, fingerprint) in self.files.items()}
        decision = decide(self.state, listing, lambda: dict(self.ledger.values()), self.outcome, self.clock)
        if decision.uris is not None:
            assert self.outcome != "running", "one run at a time"
            assert set(decision.uris) <= set(listing)
            assert decision.state.run_key not in self.keys, "Dagster would not start a run for it"
            self.keys.add(decision.state.run_key)
            self.run, self.outcome = decision.uris, "running"
        else:
            assert decision.reason
        self.state = decision.state
        return decision.uris is not None

    @precondition(lambda self: self.outcome == "running")
    @rule()
    def succeed(self) -> None:
        """Every table is made."""
        self.take_in()
        self.published |= set(self.ledger)
        self.outcome = "succeeded"

    def take_in(self) -> None:
        """Bronze reads what lies there now and takes in the contents that the ledger does not know."""
        for uri in self.run or self.files:
            content, fingerprint = self.files.get(uri, (None, ""))
            if content is not None and content not in self.ledger:
                self.ledger[content] = (uri, fingerprint)
                self.ingested.append(content)

    @precondition(lambda self: self.outcome == "running")
    @rule(outcome=st.sampled_from(["failed", None]))
    def fail(self, outcome: Outcome | None) -> None:
        """The run fails, or is lost before it begins."""
        self.outcome = outcome

    @precondition(lambda self: self.outcome == "running")
    @rule()
    def fail_after_bronze(self) -> None:
        """What came is in bronze and in no table behind it."""
        self.take_in()
        self.outcome = "failed"

    @rule(text=st.sampled_from(["", "no cursor of ours", None]))
    def restart(self, text: str | None) -> None:
        """The daemon comes back with the cursor as it was, or with one that is of no use."""
        self.state = State.from_json(self.state.to_json() if text is None else text)
        if text is not None:
            self.published |= set(self.ledger)  # without a cursor nobody knows that a run did not end well
        if not self.state.asked:
            self.run, self.outcome = None, None

    @invariant()
    def nothing_enters_twice(self) -> None:
        assert len(self.ingested) == len(set(self.ingested))

    def teardown(self) -> None:
        """Left in peace, every content that lies there is ingested, and then there is rest."""
        if self.outcome == "running":
            self.succeed()
        self.upload("last.csv", 99)
        for _ in range(3):
            if self.tick(86_400):
                self.succeed()
        assert {content for content, _ in self.files.values()} <= set(self.ingested)
        assert self.published == set(self.ingested), "what bronze has is in the tables behind it"
        assert not self.tick(86_400), "nothing is asked for twice"


TestArrivals = Arrivals.TestCase
TestArrivals.settings = settings(max_examples=1_000, stateful_step_count=25, deadline=None)


def nothing() -> dict[str, str]:
    return {}


def test_a_run_that_fails_is_asked_for_again_but_not_for_ever():
    state, now, asked = State(), 0.0, []
    for _ in range(10_000):
        decision = decide(state, {"a.csv": "1"}, nothing, "failed", now)
        state, now = decision.state, now + 30
        asked += [now] if decision.uris else []
    assert len(asked) == 1 + len(DELAYS)
    assert [later - earlier >= delay for earlier, later, delay in zip(asked, asked[1:], DELAYS, strict=False)] == [
        True
    ] * 3
    assert "mend the cause" in decide(state, {"a.csv": "1"}, nothing, None, now).reason
    again = decide(state, {"a.csv": "1", "b.csv": "1"}, nothing, None, now)
    assert again.uris == ("a.csv", "b.csv"), "something new asks for what failed too"


def test_a_run_that_failed_behind_bronze_is_asked_for_again_but_not_for_ever():
    state, now, asked = decide(State(), {"a.csv": "1"}, nothing, None, 0).state, 0.0, []
    for _ in range(10_000):
        decision = decide(state, {"a.csv": "1"}, lambda: {"a.csv": "1"}, "failed", now)
        state, now = decision.state, now + 30
        asked += [decision.uris] if decision.uris is not None else []
    assert asked == [()] * len(DELAYS)
    assert decide(state, {"a.csv": "1"}, nothing, None, now).reason == "Nothing new, all uploads taken in: 1."


def test_a_run_by_hand_that_took_everything_in_ends_the_waiting_for_good():
    failed = State(failed="x", failures=len(DELAYS) + 1)
    decision = decide(failed, {"a.csv": "1"}, lambda: {"a.csv": "1"}, None, 2)
    assert decision.reason.startswith("Nothing new")
    assert decision.state.failed == ""


def test_a_clock_that_was_ahead_when_a_run_failed_delays_the_next_try_no_longer():
    asked = decide(State(), {"a.csv": "1"}, nothing, None, 4e9).state
    waiting = decide(asked, {"a.csv": "1"}, nothing, "failed", 4e9).state
    set_right = decide(waiting, {"a.csv": "1"}, nothing, None, 1.8e9)
    assert set_right.reason.endswith("the next try is in 60 s.")
    assert decide(set_right.state, {"a.csv": "1"}, nothing, None, 1.8e9 + 60).uris == ("a.csv",)


@pytest.mark.parametrize("text", ['{"failures": null}', '{"asked": 1}', '{"not_before": "soon"}', "[]", '{"later": 1}'])
def test_a_cursor_that_is_not_ours_is_a_new_beginning(text):
    assert State.from_json(text) == State()


def test_ten_thousand_uploads_share_one_run_and_a_short_cursor():
    listing = {f"{number}.csv": "1" for number in range(10_000)}
    decision = decide(State(), listing, nothing, None, 0)
    assert decision.uris is not None
    assert len(decision.uris) == 10_000
    assert len(decision.state.to_json()) < 300
    assert "nothing else waits" in decide(decision.state, listing, nothing, "running", 1).reason
    assert "meanwhile waits" in decide(decision.state, {"b.csv": "1"}, nothing, "running", 1).reason


def test_where_nothing_changed_the_ledger_is_not_read():
    def ledger() -> dict[str, str]:
        raise AssertionError("the ledger was read")

    state = decide(State(), {"a.csv": "1"}, lambda: {"a.csv": "1"}, None, 0).state
    assert decide(state, {"a.csv": "1"}, ledger, None, 1).uris is None


def test_a_file_with_the_bytes_of_another_is_asked_for_once():
    state = decide(State(), {"a.csv": "1", "copy.csv": "2"}, nothing, None, 0).state
    done = decide(state, {"a.csv": "1", "copy.csv": "2"}, lambda: {"a.csv": "1"}, "succeeded", 1)
    assert done.uris is None
    assert decide(done.state, {"a.csv": "1", "copy.csv": "2"}, lambda: {"a.csv": "1"}, None, 99).uris is None
