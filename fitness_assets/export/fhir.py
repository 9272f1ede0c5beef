"""Days as a FHIR R4 Bundle: one Patient, and one Observation for each value that has a LOINC code."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fitness_assets.export.days import Day, Measure, measures_of

_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_SEXES = {"F": "female", "M": "male"}
_GENDERS = "http://hl7.org/fhir/administrative-gender"
_IDENTIFIERS = "urn:fitness-assets:user-id"
_CATEGORY = {
    "steps": "activity",
    "calories_burned": "activity",
    "exercise_minutes": "activity",
    "sleep_hours": "activity",
    "heart_rate_avg": "vital-signs",
    "weight_kg": "vital-signs",
    "bmi": "vital-signs",
    "stress_level": "survey",
    "age": "social-history",
    "gender": "social-history",
}


def bundle(days: Sequence[Day], now: datetime) -> dict[str, Any]:
    """A Bundle of the type collection.

    An Observation is of a date, without a time: so it needs no time zone.

    Args:
        days: the days of one person, as `days_of` returns them; at least one.
        now: when the Bundle is made, UTC.
    """
    user_id = days[0]["user_id"]
    patient = str(uuid5(NAMESPACE_URL, f"fitness-assets/{user_id}"))
    genders = [_SEXES[day["gender"]] for day in days if day["gender"]]
    resources = [
        {
            "resourceType": "Patient",
            "id": patient,
            "identifier": [{"system": _IDENTIFIERS, "value": user_id}],
            **({"gender": genders[-1]} if genders else {}),
        },
        *(resource for day in days for resource in _observations(day, f"urn:uuid:{patient}")),
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": now.astimezone(UTC).isoformat(timespec="seconds"),
        "entry": [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource} for resource in resources],
    }


def _observations(day: Day, patient: str) -> Iterator[dict[str, Any]]:
    for measure in measures_of(day):
        standard = measure.standard
        yield {
            "resourceType": "Observation",
            "id": measure.identifier,
            "status": "final",
            "category": [{"coding": [{"system": _CATEGORIES, "code": _CATEGORY[measure.column.name]}]}],
            "code": {
                "coding": [{"system": _LOINC, "code": standard.loinc, "display": standard.display}],
                "text": measure.column.description,
            },
            "subject": {"reference": patient},
            "effectiveDateTime": day["date"].isoformat(),
            **_value(measure),
            **({"note": [{"text": standard.note}]} if standard.note else {}),
        }


def _value(measure: Measure) -> dict[str, Any]:
    if measure.column.name == "gender":
        return {"valueCodeableConcept": {"coding": [{"system": _GENDERS, "code": _SEXES[measure.value]}]}}
    unit = measure.standard.ucum
    return {"valueQuantity": {"value": measure.value, "unit": unit, "system": _UCUM, "code": unit}}
