"""When new uploads ask for a run: decided from what lies there, what the ledger knows, and how the last run went.

Plain functions without Dagster, so that every order of events can be tried. What must not happen twice is held back by
the ledger, which knows contents; here it is decided that nothing is forgotten and nothing is asked for without end.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

Outcome = Literal["running", "succeeded", "failed"]

DELAYS = (60, 600, 3_600)
"""Seconds before a failed run is asked for again; after the last of them only something new asks again."""


@dataclass(frozen=True)
class State:
    """What is remembered from one look to the next; small, however many uploads there are.

    Attributes:
        settled: fingerprint of the listing that a run took in as a whole.
        asked: fingerprint of the listing that the last run was asked for, while its end is not known.
        failed: fingerprint of the listing whose run failed; it may have taken in uploads before it did.
        failures: how often it failed.
        not_before: when it may be asked for again, in seconds since 1970.
        run_key: key of the run that was asked for last; Dagster starts no second run for a key, so no two are alike.
    """

    settled: str = ""
    asked: str = ""
    failed: str = ""
    failures: int = 0
    not_before: float = 0
    run_key: str = ""

    def to_json(self) -> str:
        """As text, for a cursor."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "State":
        """From the text of a cursor; one that is not ours is a new beginning, since the ledger knows what is in."""
        try:
            state = cls(**json.loads(text or "{}"))
        except (TypeError, ValueError):
            return cls()
        kinds = {"failures": int, "not_before": (int, float)}
        is_ours = all(isinstance(value, kinds.get(name, str)) for name, value in asdict(state).items())
        return state if is_ours else cls()


@dataclass(frozen=True)
class Decision:
    """What to do now, and why.

    Attributes:
        state: to be remembered.
        uris: uploads that a run is asked for, none of them if it only has to finish what a failed one began; None: no
            run is asked for.
        reason: for a person.
    """

    state: State
    uris: tuple[str, ...] | None
    reason: str


def decide(
    state: State,
    listing: Mapping[str, str],
    known: Callable[[], Mapping[str, str]],
    outcome: Outcome | None,
    now: float,
) -> Decision:
    """Decide whether a run is to be asked for.

    Args:
        state: as the last decision left it.
        listing: every upload that lies there, by its URI, with a fingerprint that changes when it does.
        known: gives URIs and fingerprints of the ledger; asked only where something changed since all was taken in.
        outcome: of the run that was asked for last; None if there is no such run.
        now: seconds since 1970.
    """
    fingerprint = _fingerprint(listing)
    if state.asked:
        if outcome == "running":
            waiting = "nothing else waits" if fingerprint == state.asked else "what came meanwhile waits"
            return Decision(state, None, f"A run is under way; {waiting} for its end.")
        if outcome == "succeeded":
            state = replace(state, settled=state.asked, asked="", failed="", failures=0)
        else:  # failed, or never came to be
            failures = state.failures + 1 if state.failed in ("", state.asked) else 1
            state = replace(state, failed=state.asked, asked="", failures=failures, not_before=now + _delay(failures))
    unfinished = bool(state.failed) and state.failures <= len(DELAYS)
    new = () if fingerprint == state.settled else _changed(listing, known())
    if not new and not unfinished:
        state = replace(state, settled=fingerprint, failed="", failures=0)
        return Decision(state, None, f"Nothing new, all uploads taken in: {len(listing)}.")
    if fingerprint == state.failed or not new:
        what = f"New uploads wait ({len(new)})" if new else "Tables wait for uploads that bronze has"
        if not unfinished:
            return Decision(
                state,
                None,
                f"{what}, because their run failed {state.failures} times: mend the cause and materialize "
                "bronze/uploads; a new upload asks again too.",
            )
        # The clock may have been ahead when the run failed.
        state = replace(state, not_before=min(state.not_before, now + _delay(state.failures)))
        if now < state.not_before:
            return Decision(
                state, None, f"{what}, because their run failed; the next try is in {state.not_before - now:.0f} s."
            )
    state = replace(state, asked=fingerprint, run_key=f"uploads-{now:.0f}-{fingerprint}")
    return Decision(state, new, f"New uploads: {len(new)}." if new else "The run that failed is tried again.")


def _delay(failures: int) -> float:
    return DELAYS[min(failures, len(DELAYS)) - 1]


def _changed(listing: Mapping[str, str], known: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(uri for uri, fingerprint in listing.items() if known.get(uri) != fingerprint))


def _fingerprint(listing: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for uri, fingerprint in sorted(listing.items()):
        digest.update(f"{uri}\0{fingerprint}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
