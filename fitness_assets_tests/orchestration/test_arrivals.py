"""Whatever order events come in: every content that stays is ingested, once, and nothing is requested for ever."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fitness_assets.orchestration.arrivals import DELAYS, Outcome, Pending, State, decide

URIS = st.sampled_from(["a.csv", "b.csv", "c/d.csv", "ü '\";\n.csv"])
CONTENTS = st.integers(0, 5)
LATER = ("silver", "gold")


class FakeLake:
    """A lake as the sensor sees it: versions of a ledger of contents, and tables that are made from one of them."""

    made = 0
    switches = 0  # of all lakes: like the time in a pointer, no two are the same

    def __init__(self) -> None:
        FakeLake.made += 1
        self.name = f"lake {FakeLake.made % 2}"  # a deleted lake has the name of the one before
        self.versions: list[dict[int, str]] = []  # contents with their state, by version
        self.current = -1
        self.rolled_back: set[int] = set()
        self.tables: dict[str, int] = {}  # version of bronze that each later table was made from

    @property
    def ledger(self) -> dict[int, str]:
        return self.versions[self.current] if self.current >= 0 else {}

    @property
    def pointer(self) -> str:
        return f"{self.current} {self.switched}" if self.current >= 0 else ""

    def point(self, version: int) -> None:
        self.current = version
        FakeLake.switches += 1
        self.switched = FakeLake.switches

    def publish(self, ledger: dict[int, str]) -> None:
        self.versions.append(ledger)
        self.point(len(self.versions) - 1)

    def make_tables(self, names: tuple[str, ...] = LATER) -> None:
        if self.current >= 0:
            self.tables |= dict.fromkeys(names, self.current)


class Arrivals(RuleBasedStateMachine):
    """A folder, a lake, and runs that end as they like; people and S3 interfere."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, tuple[int, str]] = {}
        self.lake = FakeLake()
        self.others: list[FakeLake] = []
        self.state = State()
        self.run: tuple[str, ...] | None = None
        self.outcome: Outcome | None = None
        self.clock = 0.0
        self.fingerprints = 0
        self.keys: set[str] = set()
        self.asked = 0
        self.is_unfinished = False
        """Whether the last run failed; then one has to make the tables that it did not."""
        self.is_quiet = False
        """Whether a person cancelled or rolled back, and nothing arrived since: then no run may be requested."""
        self.must_follow = False
        """Whether a person withdrew an upload and no run was requested since; also after a cancel one has to follow."""

    def put(self, uri: str, content: int) -> None:
        self.fingerprints += 1
        self.files[uri] = (content, f"{-self.fingerprints}")  # fingerprints do not follow the clock of the sensor

    @rule(
        what=st.sampled_from(["upload", "upload", "upload", "touch", "move", "delete"]),
        uri=URIS,
        content=CONTENTS,
        to=URIS,
        is_seen=st.booleans(),
    )
    def change_files(self, what: str, uri: str, content: int, to: str, is_seen: bool) -> None:
        """Uploads arrive and change; a known file is touched, gets another name, or goes."""
        is_known = uri in self.files and self.files[uri][0] in self.lake.ledger
        if what == "upload":  # a new file, or new bytes under an old name
            was_held = self.is_held
            self.put(uri, content)
            pending = self.pending()
            self.is_quiet &= uri not in pending.new or uri in pending.held
            self.is_quiet &= self.is_held or not was_held  # it replaced the upload that the rollback held back
        elif what == "touch" and is_known:
            self.put(uri, self.files[uri][0])
        elif what == "move" and is_known and to not in self.files:
            self.put(to, self.files.pop(uri)[0])
        elif what == "delete" and is_known:
            self.files.pop(uri)
        if is_seen:
            self.tick(0)

    @rule(seconds=st.sampled_from([0, 30, 3_600, 86_400]))
    def look(self, seconds: int) -> None:
        self.tick(seconds)

    @rule()
    def look_while_s3_fails(self) -> None:
        """The sensor leaves its cursor as it is where it cannot read the lake."""

        def fail() -> Pending:
            raise OSError("503")

        before = self.state, self.run, self.outcome
        try:
            self.tick(0, fail)
        except OSError:
            assert (self.state, self.run, self.outcome) == before

    @precondition(lambda self: self.outcome == "running")
    @rule(
        outcome=st.sampled_from(["succeeded", "succeeded", "failed", "cancelled", None]),
        has_bronze=st.booleans(),
        has_silver=st.booleans(),
        unreadable=URIS,
        is_all_readable=st.booleans(),
        is_seen=st.booleans(),
    )
    def end_run(
        self,
        outcome: Outcome | None,
        has_bronze: bool,
        has_silver: bool,
        unreadable: str,
        is_all_readable: bool,
        is_seen: bool,
    ) -> None:
        """A run succeeds, perhaps without a file that it cannot read; or it ends somewhere on its way."""
        if outcome == "succeeded":
            self.ingest("" if is_all_readable else unreadable)
            self.lake.make_tables()
        elif outcome and has_bronze:
            self.ingest()
            self.lake.make_tables(LATER[:has_silver])
        if outcome == "cancelled":
            self.is_quiet = self.is_asked_for_all()
        self.outcome, self.is_unfinished = outcome, outcome == "failed"
        if is_seen:
            self.tick(0)

    def ingest(self, unreadable: str = "") -> None:
        """Bronze reads what is there now and ingests the contents that the ledger does not know."""
        found = {self.files[uri][0] for uri in self.run or self.files if uri in self.files and uri != unreadable}
        if new := found - set(self.lake.ledger):
            self.lake.publish(self.lake.ledger | dict.fromkeys(new, "ingested"))

    def is_asked_for_all(self) -> bool:
        """Whether nothing arrived since the run was requested."""
        new = tuple(uri for uri, (content, _) in self.files.items() if content not in self.lake.ledger)
        pending = Pending(new, withdrawn=self.withdrawn)
        work = decide(State(), self.listing, "", "", lambda: pending, None, 0).state.asked
        return {*work} <= {*self.state.asked}

    @precondition(lambda self: self.outcome != "running")
    @rule(what=st.sampled_from(["roll back", "withdraw", "lose", "return"]), content=CONTENTS, is_seen=st.booleans())
    def interfere(self, what: str, content: int, is_seen: bool) -> None:
        """A person changes the lake, or has the settings name another one."""
        lake = self.lake
        if what == "roll back" and lake.current > 0:
            lake.rolled_back.add(lake.current)
            lake.point(lake.current - 1)
            self.is_quiet = self.is_held
        elif what == "withdraw" and lake.ledger.get(content) == "ingested":
            lake.publish(lake.ledger | {content: "withdrawn"})
            self.is_quiet, self.must_follow = False, True
        elif what == "lose":
            self.others.append(lake)
            self.lake, self.is_quiet, self.is_unfinished, self.must_follow = FakeLake(), False, False, False
        elif what == "return" and self.others:
            self.others.append(lake)
            self.lake, self.is_unfinished, self.must_follow = self.others.pop(0), False, False
            self.is_quiet = self.is_held  # it may have been rolled back before the settings named another one
        if is_seen:
            self.tick(0)

    @rule(text=st.sampled_from(["", "no cursor of ours", None, None, None]))
    def restart(self, text: str | None) -> None:
        """The daemon comes back with the cursor as it was, or with one that is of no use."""
        self.state = State.from_json(self.state.to_json() if text is None else text)
        if not self.state.asked:
            self.run, self.outcome = None, None
        if text is not None:
            self.is_unfinished = False  # without a cursor nobody knows how a run ended, but the lake knows a rollback
            self.is_quiet = self.is_held

    @property
    def is_held(self) -> bool:
        """Whether a person rolled back bronze, and all that is new was in it."""
        pending = self.pending()
        return pending.new != () and pending.new == pending.held

    @property
    def listing(self) -> dict[str, str]:
        return {uri: fingerprint for uri, (_, fingerprint) in self.files.items()}

    @property
    def withdrawn(self) -> tuple[str, ...]:
        return tuple(sorted(str(content) for content, status in self.lake.ledger.items() if status == "withdrawn"))

    def pending(self) -> Pending:
        lake = self.lake
        new = {uri: content for uri, (content, _) in self.files.items() if content not in lake.ledger}
        rolled_back = [lake.versions[version] for version in lake.rolled_back if version > lake.current]
        before = {content for ledger in rolled_back for content in ledger}
        return Pending(
            tuple(sorted(new)),
            tuple(sorted(uri for uri, content in new.items() if content in before)),
            self.withdrawn,
            is_behind=any(version != lake.current for version in lake.tables.values()),
            is_missing=lake.current >= 0 and len(lake.tables) < len(LATER),
        )

    def tick(self, seconds: float, pending: Callable[[], Pending] | None = None) -> bool:
        self.clock += seconds + 1
        is_known = {content for content, _ in self.files.values()} <= set(self.lake.ledger)
        decision = decide(
            self.state,
            self.listing,
            self.lake.name,
            self.lake.pointer,
            pending or self.pending,
            self.outcome,
            self.clock,
        )
        if decision.uris is not None:
            assert self.outcome != "running", "one run at a time"
            assert not self.is_quiet, "a person's cancel or rollback stands until something new arrives"
            assert set(decision.uris) <= set(self.listing)
            assert not (is_known and decision.uris), "known content is not asked for"
            assert decision.state.run_key not in self.keys, "Dagster would not start a run for it"
            self.keys.add(decision.state.run_key)
            self.run, self.outcome, self.must_follow = decision.uris, "running", False
            self.asked += 1
        else:
            assert decision.reason
        self.state = decision.state
        return decision.uris is not None

    @invariant()
    def a_cursor_survives_its_text(self) -> None:
        assert State.from_json(self.state.to_json()) == self.state

    def teardown(self) -> None:
        """Left in peace, every content that is there is ingested, tables follow, and then there is rest."""
        is_cancelled = self.state.is_cancelled or self.outcome == "cancelled"
        is_free = not self.is_quiet and not self.is_held
        if is_free and (self.must_follow or not is_cancelled) and self.state.failures <= len(DELAYS):
            self.let_runs_succeed()
            assert {content for content, _ in self.files.values()} <= set(self.lake.ledger)
            assert all(version == self.lake.current for version in self.lake.tables.values())
            assert not self.is_unfinished or len(self.lake.tables) == len(LATER)
        self.check_that_nothing_is_asked_for_without_end("failed")
        self.put("unreadable.csv", -self.fingerprints)
        self.check_that_nothing_is_asked_for_without_end("succeeded")
        self.put("last.csv", 99 + self.fingerprints)
        self.let_runs_succeed()
        assert {content for content, _ in self.files.values()} <= set(self.lake.ledger)
        assert self.lake.tables == dict.fromkeys(LATER, self.lake.current), "later tables follow bronze"
        asked = self.asked
        for uri in [*self.files]:
            self.put(uri, self.files[uri][0])  # touched
            self.tick(86_400)
        self.put("moved.csv", self.files.pop("last.csv")[0])
        self.tick(86_400)
        self.files.pop("moved.csv")
        self.tick(86_400)
        assert self.asked == asked, "nothing is asked for twice"

    def let_runs_succeed(self) -> None:
        for _ in range(4):
            if self.outcome == "running" or self.tick(86_400):
                self.ingest()
                self.lake.make_tables()
                self.outcome = "succeeded"

    def check_that_nothing_is_asked_for_without_end(self, outcome: Outcome) -> None:
        """Where every run ends like this and ingests nothing, the sensor gives up."""
        asked, self.is_quiet = self.asked, False
        for _ in range(10):
            self.outcome = outcome if self.outcome == "running" else self.outcome
            self.tick(86_400)
        assert self.asked <= asked + 1 + len(DELAYS)


TestArrivals = Arrivals.TestCase
TestArrivals.settings = settings(max_examples=300, stateful_step_count=30)


LAKE = "a lake"


def new(*uris: str):
    return lambda: Pending(uris)


def nothing() -> Pending:
    return Pending()


def unfinished() -> Pending:
    return Pending(is_behind=True)


def test_a_run_that_fails_is_asked_for_again_but_not_for_ever():
    state, now, asked = State(), 0.0, []
    for _ in range(10_000):
        decision = decide(state, {"a.csv": "1"}, LAKE, "1", new("a.csv"), "failed", now)
        state, now = decision.state, now + 30
        asked += [now] if decision.uris else []
    assert len(asked) == 1 + len(DELAYS)
    assert [later - earlier >= delay for earlier, later, delay in zip(asked, asked[1:], DELAYS, strict=False)] == [
        True
    ] * 3
    assert "fix the cause" in decide(state, {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, now).reason
    again = decide(state, {"a.csv": "1", "b.csv": "1"}, LAKE, "1", new("a.csv", "b.csv"), None, now)
    assert again.uris == ("a.csv", "b.csv"), "something new asks for what failed too"


def test_a_run_that_failed_after_bronze_is_asked_for_again_but_not_for_ever():
    state, now, asked = decide(State(), {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, 0).state, 0.0, []
    for _ in range(10_000):
        decision = decide(state, {"a.csv": "1"}, LAKE, "1", unfinished, "failed", now)
        state, now = decision.state, now + 30
        asked += [decision.uris] if decision.uris is not None else []
    assert asked == [()] * len(DELAYS)
    last = decide(state, {"a.csv": "1"}, LAKE, "1", unfinished, None, now)
    assert "Tables wait for uploads that bronze has" in last.reason


def test_an_upload_that_a_run_could_not_read_is_asked_for_again_later_but_not_for_ever():
    state, now, asked = State(), 0.0, []
    for _ in range(10_000):
        decision = decide(state, {"a.csv": "1", "b.csv": "1"}, LAKE, "1", new("b.csv"), "succeeded", now)
        state, now = decision.state, now + 30
        asked += [now] if decision.uris else []
    assert len(asked) == 1 + len(DELAYS)


def test_a_run_by_hand_that_ingested_everything_ends_the_waiting_for_good():
    failed = State(failed=("tables", "x"), failures=len(DELAYS) + 1)
    decision = decide(failed, {"a.csv": "1"}, LAKE, "1", nothing, None, 2)
    assert decision.reason.startswith("Nothing new")
    assert decision.state.failed == ()


def test_a_clock_that_was_ahead_when_a_run_failed_delays_the_next_try_no_longer():
    asked = decide(State(), {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, 4e9).state
    waiting = decide(asked, {"a.csv": "1"}, LAKE, "1", new("a.csv"), "failed", 4e9).state
    set_right = decide(waiting, {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, 1.8e9)
    assert set_right.reason.endswith("the next try is in 60 s.")
    assert decide(set_right.state, {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, 1.8e9 + 60).uris == ("a.csv",)


@pytest.mark.parametrize(
    "text", ['{"failures": null}', '{"asked": 1}', '{"failed": [1]}', '{"not_before": "soon"}', "[]", '{"later": 1}']
)
def test_a_cursor_that_is_not_ours_is_a_new_beginning(text):
    assert State.from_json(text) == State()


def test_ten_thousand_uploads_share_one_run_and_a_short_cursor():
    listing = {f"{number}.csv": "1" for number in range(10_000)}
    decision = decide(State(), listing, LAKE, "1", new(*listing), None, 0)
    assert decision.uris is not None
    assert len(decision.uris) == 10_000
    assert len(decision.state.to_json()) < 400
    assert "under way" in decide(decision.state, listing, LAKE, "1", nothing, "running", 1).reason


def test_where_nothing_changed_the_ledger_is_not_read():
    def ledger() -> Pending:
        raise AssertionError("the ledger was read")

    state = decide(State(), {"a.csv": "1"}, LAKE, "1", nothing, None, 0).state
    assert decide(state, {"a.csv": "1"}, LAKE, "1", ledger, None, 1).uris is None


def test_another_lake_has_not_what_the_cursor_knows():
    state = decide(State(), {"a.csv": "1"}, LAKE, "1", nothing, None, 0).state
    assert decide(state, {"a.csv": "1"}, "another lake", "1", new("a.csv"), None, 1).uris == ("a.csv",)
    assert decide(state, {"a.csv": "1"}, LAKE, "", new("a.csv"), None, 1).uris == ("a.csv",), "its ledger is gone"


def test_a_cancelled_run_is_asked_for_again_only_with_something_new():
    state = decide(State(), {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, 0).state
    decision = decide(state, {"a.csv": "1"}, LAKE, "1", new("a.csv"), "cancelled", 1)
    for later in (100, 1_000, 10_000, 1e9):
        decision = decide(decision.state, {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, later)
        assert decision.uris is None
        assert "a person cancelled" in decision.reason
    more = decide(decision.state, {"a.csv": "1", "b.csv": "1"}, LAKE, "1", new("a.csv", "b.csv"), None, 1e9)
    assert more.uris == ("a.csv", "b.csv")


def test_after_a_cancel_a_withdrawal_makes_the_later_tables_follow():
    asked = decide(State(), {"a.csv": "1"}, LAKE, "1", new("a.csv"), None, 0).state
    behind, withdrawn = Pending(is_behind=True), Pending(withdrawn=("b",), is_behind=True)
    cancelled = decide(asked, {"a.csv": "1"}, LAKE, "2", lambda: behind, "cancelled", 1)
    assert "a person cancelled" in cancelled.reason
    for state in (asked, cancelled.state):  # the withdrawal comes before the sensor sees the end of the run, or after
        decision = decide(state, {"a.csv": "1"}, LAKE, "3", lambda: withdrawn, "cancelled", 2)
        assert decision.uris == ()


def test_after_a_rollback_tables_follow_when_the_uploads_that_it_held_back_are_gone():
    state = decide(State(), {"b.csv": "1"}, LAKE, "2", nothing, None, 0).state
    held = decide(state, {"b.csv": "1"}, LAKE, "1", lambda: Pending(("b.csv",), ("b.csv",), is_behind=True), None, 1)
    assert held.uris is None
    decision = decide(held.state, {"b.csv": "2"}, LAKE, "1", unfinished, None, 2)
    assert decision.uris == ()


def test_a_new_goal_after_a_rollback_of_bronze_leaves_the_uploads_waiting():
    state = decide(State(), {"b.csv": "1"}, LAKE, "2", nothing, None, 0).state
    listing = {"b.csv": "1", "g.json": "1"}
    held = Pending(("b.csv", "g.json"), ("b.csv",), is_behind=True, goals=("g.json",))
    asked = decide(state, listing, LAKE, "1", lambda: held, None, 1)
    assert (asked.uris, asked.is_coach_alone) == (("g.json",), True)
    assert "uploads still wait, because bronze was rolled back (1)" in asked.reason
    waits = Pending(("b.csv",), ("b.csv",), is_behind=True)
    assert decide(asked.state, listing, LAKE, "1", lambda: waits, "succeeded", 2).uris is None
    both = replace(held, new=("b.csv", "c.csv", "g.json"))
    everything = decide(state, listing | {"c.csv": "1"}, LAKE, "1", lambda: both, None, 1)
    assert (everything.uris, everything.is_coach_alone) == (both.new, False), "a new upload takes them along, as before"
    gone = decide(asked.state, {"g.json": "1"}, LAKE, "1", unfinished, "succeeded", 2)
    assert gone.uris == (), "later tables still follow the rollback"


def test_goals_that_a_rollback_took_out_wait_and_hold_nothing_else_back():
    state = decide(State(), {"g.json": "1"}, LAKE, "1", nothing, None, 0).state
    state = replace(state, settled="")
    held = Pending(("g.json",), ("g.json",), is_behind=True, goals=("g.json",))
    waits = decide(state, {"g.json": "1"}, LAKE, "1", lambda: held, None, 1)
    assert waits.uris is None
    assert "The coach was rolled back. Goals that its version lacks wait (1)" in waits.reason
    withdrawn = replace(held, withdrawn=("b",))
    assert decide(waits.state, {"g.json": "1"}, LAKE, "2", lambda: withdrawn, None, 2).uris == ("g.json",)
