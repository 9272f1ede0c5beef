"""The table of the audit: each diagnostic with its value, threshold and verdict, and the verdicts that follow."""

from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, UPLOADS
from fitness_assets.gold.tables import MONTHLY_SUMMARY
from fitness_assets.predictions.tables import MODELS
from fitness_assets.schema.rules import Rule, SetRule
from fitness_assets.schema.table import Column, Table
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS

PLAUSIBLE, SUSPICIOUS, LOOKS_GENERATED, NOT_ENOUGH_DATA = VERDICTS = (
    "plausible",
    "suspicious",
    "looks generated",
    "not enough data",
)

METRICS = (
    "steps",
    "heart_rate_avg",
    "sleep_hours",
    "calories_burned",
    "exercise_minutes",
    "stress_level",
    "weight_kg",
    "bmi",
)
"""What is measured of a day; each gets a verdict."""

_PLAIN = {
    "heart_rate_avg": "heart rate",
    "sleep_hours": "sleep",
    "calories_burned": "calories",
    "exercise_minutes": "exercise",
    "stress_level": "stress",
    "weight_kg": "weight",
    "bmi": "BMI",
}


def plain(scope: str) -> str:
    """The words for a metric, for a link of two metrics (``a ~ b``), or for another name of a table."""
    return " and ".join(_PLAIN.get(name, name.replace("_", " ")) for name in scope.split(" ~ "))


FILE, VERDICT = "file", "verdict"
"""The scope of what is said of all data together, and the name of the diagnostic that sums up the others."""

READS = (LOGGED_DAYS, QUARANTINE, UPLOADS, DEVICE_DAYS, CLEAN_DAYS, REJECTED_DAYS, MONTHLY_SUMMARY, *MODELS.values())

_SOURCES = (
    *(f"{CLEAN_DAYS.key}.{name}" for name in ("user_id", "date", *METRICS)),
    *(f"{LOGGED_DAYS.key}.{name}" for name in METRICS),
    f"{DEVICE_DAYS.key}.sources",
    f"{REJECTED_DAYS.key}.reasons",
    f"{QUARANTINE.key}.reasons",
    f"{UPLOADS.key}.rows_read",
    f"{MONTHLY_SUMMARY.key}.days_logged",
    *(f"{table.key}.conclusion" for table in MODELS.values()),
)


def _column(name: str, type_: str, description: str, example: object, **more: object) -> Column:
    return Column(name, type_, description, example, sources=_SOURCES, **more)  # type: ignore[arg-type]


AUDIT = Table(
    "quality/audit",
    "What the data is worth: measured diagnostics, each with its threshold, and a verdict for every metric and for the "
    "file. `quality/report.html` shows them in pictures. Read it before any other table.",
    "diagnostic and what it is asked of",
    (
        _column("name", "string", "The diagnostic; `verdict` sums up the others.", VERDICT, nullable=False),
        _column("scope", "string", "What it is asked of: the file, a metric, a link, a rule.", FILE, nullable=False),
        _column("value", "double", "What was measured; empty when there was too little.", 0.4),
        _column("lower", "double", "Lower end of its 99 % interval, where it is an estimate.", 0.3),
        _column("upper", "double", "Upper end of its 99 % interval, where it is an estimate.", 0.5),
        _column("unit", "string", "Unit of value, lower and upper.", "correlation", nullable=False),
        _column("threshold", "string", "Which values lead to which verdict.", "below 0.03: looks generated"),
        _column("verdict", "string", "What follows.", PLAUSIBLE, allowed=VERDICTS, nullable=False),
        _column("finding", "string", "What was found, with the people and days it concerns.", "0 of 33 people."),
        _column("why_it_matters", "string", "What it means for decisions.", "People differ.", nullable=False),
        _column("source", "string", "Where the threshold comes from.", "Measured on Fitbit data.", nullable=False),
    ),
    ("name", "scope"),
    own_rules=(
        Rule(
            "believable",
            "The file does not look generated.",
            f"name = '{VERDICT}' AND scope = '{FILE}' AND verdict = '{LOOKS_GENERATED}'",
            {"verdict": LOOKS_GENERATED},
            "warning",
            check="believable",
        ),
        Rule(
            "interval_holds_value",
            "The value lies in its interval.",
            "NOT value BETWEEN lower AND upper",
            {"value": 1.0},
        ),
        SetRule(
            "every_metric_judged",
            "The file and every metric have their verdict.",
            ("quality/audit",),
            f"SELECT count_if(name = '{VERDICT}') AS verdicts FROM audit HAVING verdicts != {len(METRICS) + 1}",
        ),
    ),
    kinds=("duckdb", "matplotlib", "parquet"),
    artifacts=("report.html",),
)

TABLES = (AUDIT,)
