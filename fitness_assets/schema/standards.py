"""Codes of published standards for columns: LOINC codes, UCUM units, Open mHealth and IEEE 1752.1 schemas.

A code stands for one quantity, and a column has a code only if its values are that quantity. The steps of one day have
a code; the mean steps of a month have none.

Sources: LOINC (loinc.org), UCUM (ucum.org), IEEE 1752.1-2021 (opensource.ieee.org/omh/1752), Open mHealth
(openmhealth.org), HL7 FHIR Physical Activity 1.0.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Standard:
    """The codes of one quantity.

    Attributes:
        loinc: its LOINC code.
        display: the name that LOINC gives to the code.
        ucum: its unit in UCUM; empty where it has none.
        schema: its Open mHealth or IEEE 1752.1 schema as ``namespace:name:version``; empty where none fits.
        note: where the column differs from what the code says.
    """

    loinc: str
    display: str
    ucum: str = ""
    schema: str = ""
    note: str = ""


# omh:step-count would fit, too, but its publisher deprecated it in 2022 in favour of the IEEE schema.
STEPS = Standard("41950-7", "Number of steps in 24 hour Measured", "/d", "ieee:physical-activity:1.0")
HEART_RATE = Standard("41924-2", "Heart rate 24 hour mean", "/min", "omh:heart-rate:2.0")
SLEEP = Standard("93832-4", "Sleep duration", "h", "ieee:total-sleep-time:1.0")
CALORIES = Standard("41979-6", "Calories burned in 24 hour Calculated", "kcal/d", "omh:calories-burned:3.0")
EXERCISE = Standard("55411-3", "Exercise duration", "min", "ieee:physical-activity:1.0")
STRESS = Standard(
    "93038-8", "Stress level", "{score}", note="a self-rating from 1 to 10, which is not LOINC's own answer list"
)
WEIGHT = Standard("29463-7", "Body weight", "kg", "omh:body-weight:3.0")
BMI = Standard("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", "omh:body-mass-index:3.0")
HEIGHT = Standard("8302-2", "Body height", "cm", "omh:body-height:2.0", "computed from weight and BMI")
AGE = Standard("30525-0", "Age", "a")
SEX = Standard("46098-0", "Sex")

UCUM = {
    "years": "a",
    "days": "d",
    "h": "h",
    "min": "min",
    "steps": "{steps}",
    "rows": "{rows}",
    "bpm": "/min",
    "kcal": "kcal",
    "kg": "kg",
    "kg/m²": "kg/m2",
    "cm": "cm",
    "bytes": "By",
}
"""The UCUM unit for each unit of a column that has no code."""


def labels(standard: Standard | None, unit: str | None) -> dict[str, str]:
    """The codes of a column by name: ``loinc``, ``ucum``, ``schema``; without those that it does not have.

    Args:
        standard: the codes of its quantity, if it has any.
        unit: its unit as the table declares it.
    """
    ucum = standard.ucum if standard else UCUM.get(unit or "", "")
    found = {"loinc": standard.loinc if standard else "", "ucum": ucum, "schema": standard.schema if standard else ""}
    return {name: code for name, code in found.items() if code}
