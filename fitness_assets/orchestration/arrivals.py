"""Decides when to request a run, from the uploads in the source, the ledger, and the result of the last run.

These are plain functions without Dagster, so tests can try every order of events. The ledger prevents an upload from
being ingested twice. This module makes sure that no upload is forgotten, and that requests for a failing run end.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

Outcome = Literal["running", "succeeded", "failed", "cancelled"]

DELAYS = (60, 600, 3_600)
"""Seconds before a failed run is requested again; after the last of them only new uploads request one."""

_NAMED = 200
"""Of at most so many uploads the cursor keeps one digest each; of more it keeps one digest for all of them."""


@dataclass(frozen=True)
class State:
    """What the sensor remembers between two ticks; small, however many uploads there are.

    Attributes:
        settled: digest of the listing that needs no run.
        lake: location of the ledger that the listing was compared with.
        pointer: pointer of that ledger; it changes when another version becomes current.
        asked: digests of the work that the last run was requested for, while its end is not known.
        failed: digests of the work whose run failed or was cancelled; a part of it may be done.
        is_cancelled: whether a person cancelled that run.
        failures: how often that run failed in a row.
        not_before: when it may be requested again, in seconds since 1970.
        run_key: key of the last request; Dagster starts one run for a key, so every key is new.
        refused: how many of the uploads that need no run were refused.
    """

    settled: str = ""
    lake: str = ""
    pointer: str = ""
    asked: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    is_cancelled: bool = False
    failures: int = 0
    not_before: float = 0
    run_key: str = ""
    refused: int = 0

    def to_json(self) -> str:
        """As text, for a cursor."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "State":
        """From the text of a cursor; an unknown text gives a new state, because the ledger knows what was ingested."""
        try:
            state = cls(**json.loads(text or "{}"))
            state = replace(state, asked=tuple(state.asked), failed=tuple(state.failed))
        except (TypeError, ValueError):
            return cls()
        kinds = {field.name: type(field.default) for field in fields(cls)} | {"not_before": (int, float)}
        is_ours = all(isinstance(value, kinds[name]) for name, value in asdict(state).items())
        return state if is_ours and all(isinstance(digest, str) for digest in state.asked + state.failed) else cls()


@dataclass(frozen=True)
class Pending:
    """What a run would have to do.

    Attributes:
        new: URIs of uploads and goals whose content the ledgers do not know.
        held: those of them that were in a version of bronze, or of the coach, that a person rolled back.
        withdrawn: ids of uploads that a person withdrew; the tables after bronze have to leave them out.
        is_behind: whether a table after bronze was made from other versions than the current ones.
        is_missing: whether a table after bronze was never published.
        refused: how many of the uploads that are there were refused.
        goals: those of the new ones that are goals.
    """

    new: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    is_behind: bool = False
    is_missing: bool = False
    refused: int = 0
    goals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What to do now, and why.

    Attributes:
        state: to be remembered.
        uris: uploads and goals that a run is requested for; empty if it only has to make the tables after bronze;
            None: no run.
        reason: for a person.
        is_coach_alone: whether the run has to leave all other layers alone, because uploads wait after a rollback.
    """

    state: State
    uris: tuple[str, ...] | None
    reason: str
    is_coach_alone: bool = False


def decide(
    state: State,
    listing: Mapping[str, str],
    lake: str,
    pointer: str,
    pending: Callable[[], Pending],
    outcome: Outcome | None,
    now: float,
) -> Decision:
    """Decide whether to request a run.

    Args:
        state: as the last decision left it.
        listing: a fingerprint for every upload that is there, by its URI; it changes when the upload does.
        lake: where the ledger is.
        pointer: changes when another version of the ledger becomes current; empty if there is no ledger.
        pending: compares the uploads with the lake; called only where something changed.
        outcome: of the run that was requested last; None if there is no such run.
        now: seconds since 1970.
    """
    if state.asked and outcome == "running":
        return Decision(state, None, "A run is under way; what arrives meanwhile waits for its end.")
    if lake != state.lake or (state.pointer and not pointer):  # another lake, or its ledger was deleted
        state = State(run_key=state.run_key)
    done = state.asked if outcome == "succeeded" else ()
    if done:
        state = replace(state, asked=(), failed=(), is_cancelled=False)
    elif state.asked:
        state = _ended(state, state.asked, outcome, now)
    listed = _digest(f"{uri}\0{fingerprint}" for uri, fingerprint in listing.items())
    is_moved = pointer != state.pointer
    if not done and not state.failed and not is_moved and listed == state.settled:
        return Decision(state, None, _nothing(len(listing), state.refused))

    found = pending()
    state, fresh = replace(state, lake=lake, settled=""), {*found.new} - {*found.held}
    waiting = {*found.held} - {*found.goals}
    is_coach_alone = bool(waiting) and bool(fresh) and fresh <= {*found.goals}
    if is_coach_alone:
        found = replace(found, new=found.goals, is_behind=False)
    elif waiting and not fresh:
        # The state keeps the old pointer: once these uploads are gone, later tables still have to follow the rollback.
        what = f"Bronze was rolled back. Uploads that its version lacks wait ({len(waiting)})"
        return Decision(state, None, f"{what}: the next new upload, or a run by hand, ingests them too.")
    elif found.new and not fresh and not (found.is_behind and is_moved):
        what = f"The coach was rolled back. Goals that its version lacks wait ({len(found.new)})"
        return Decision(replace(state, pointer=pointer), None, f"{what}: the next run reads them too.")
    work = _work(listing, found)[is_coach_alone:]  # then it makes no tables after bronze
    state = replace(state, pointer=state.pointer if is_coach_alone else pointer)
    if done and (found.new or found.is_behind):
        # A run that succeeded without these uploads could not read them; it counts as failed for them.
        state = _ended(state, work, "failed", now) if {*work} <= {*done} else replace(state, failures=0)
    is_open = found.is_behind or found.is_missing if state.failed else found.is_behind and is_moved
    if not found.new and not is_open:
        state = replace(state, settled=listed, failed=(), is_cancelled=False, failures=0, refused=found.refused)
        return Decision(state, None, _nothing(len(listing), found.refused))
    if {*work} <= {*state.failed}:
        # The clock may have been ahead when the run failed.
        state = replace(state, not_before=min(state.not_before, now + _delay(state.failures)))
        if why := _why_not_yet(state, now):
            what = f"New uploads wait ({len(found.new)})" if found.new else "Tables wait for uploads that bronze has"
            return Decision(state, None, f"{what}, because {why}.")
    state = replace(state, asked=work, run_key=f"uploads-{now:.0f}-{_digest([*work, listed])}")
    what = f"New goals: {len(found.new)}; uploads still" if is_coach_alone else f"New uploads: {len(found.new)}."
    if is_coach_alone:
        what += f" wait, because bronze was rolled back ({len(waiting)})."
    return Decision(state, found.new, what if found.new else "Tables follow bronze.", is_coach_alone)


def _nothing(uploads: int, refused: int) -> str:
    if not refused:
        return f"Nothing new, all uploads ingested: {uploads}."
    return f"Nothing new; uploads ingested: {uploads - refused}, refused: {refused} (see bronze/uploads)."


def _ended(state: State, work: tuple[str, ...], outcome: Outcome | None, now: float) -> State:
    """The state after a run that was cancelled, failed, or never came to be."""
    if outcome == "cancelled":
        return replace(state, asked=(), failed=work, is_cancelled=True, failures=0)
    failures = state.failures + 1 if not state.failed or {*work} <= {*state.failed} else 1
    not_before = now + _delay(failures)
    return replace(state, asked=(), failed=work, is_cancelled=False, failures=failures, not_before=not_before)


def _why_not_yet(state: State, now: float) -> str | None:
    """Why the run that failed is not requested again now; None if it is."""
    how_to_go_on = "materialize all tables, or add a new upload"
    if state.is_cancelled:
        return f"a person cancelled their run: {how_to_go_on}"
    if state.failures > len(DELAYS):
        return f"their run failed {state.failures} times: fix the cause, then {how_to_go_on}"
    return f"their run failed; the next try is in {state.not_before - now:.0f} s" if now < state.not_before else None


def _delay(failures: int) -> float:
    return DELAYS[min(max(failures, 1), len(DELAYS)) - 1]


def _work(listing: Mapping[str, str], found: Pending) -> tuple[str, ...]:
    """What a run does: it makes the tables after bronze without the withdrawn uploads, and it reads each new upload."""
    items = [f"{uri}\0{listing[uri]}" for uri in found.new]
    uploads = [_digest([item])[:10] for item in items] if len(items) <= _NAMED else [_digest(items)]
    return (f"tables {_digest(found.withdrawn)}", *(uploads if items else []))


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in sorted(parts):
        digest.update(f"{part}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
