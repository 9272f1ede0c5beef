"""The tables of bronze: the ledger of uploads, the typed rows, and the malformed rows.

The ranges of the twelve raw columns are the analysts' cleaning rules. Bronze only reports how many rows are outside;
silver rejects them.
"""

from datetime import UTC, date, datetime

from fitness_assets.bronze.columns import INGESTED_AT, KNOWN_UPLOADS, ROW_NUMBER, UPLOAD_ID
from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.schema import standards
from fitness_assets.schema.rules import Rule, SetRule, key_rule
from fitness_assets.schema.table import Column, Table

RAW_COLUMNS = (
    Column(
        "user_id", "string", "The person, as the source names them; may be longer than 64 bits.", "17", nullable=False
    ),
    Column("age", "int", "Age on that day, in whole years.", 42, "years", range=(18, 100), standard=standards.AGE),
    Column(
        "gender",
        "string",
        "Gender as logged: M or F. Another word is kept in extra.",
        "F",
        allowed=("M", "F"),
        standard=standards.SEX,
    ),
    Column("date", "date", "The day that was logged.", date(2024, 9, 6), nullable=False),
    Column(
        "steps",
        "int",
        "Steps walked on the day.",
        8120,
        "steps",
        range=(0, 50_000),
        nullable=False,
        standard=standards.STEPS,
    ),
    Column(
        "heart_rate_avg",
        "double",
        "Average heart rate of the day.",
        71.5,
        "bpm",
        range=(30, 200),
        standard=standards.HEART_RATE,
    ),
    Column("sleep_hours", "double", "Hours slept.", 7.2, "h", range=(2, 16), standard=standards.SLEEP),
    Column(
        "calories_burned",
        "double",
        "Energy spent on the day.",
        2240.0,
        "kcal",
        range=(500, 8_000),
        standard=standards.CALORIES,
    ),
    Column(
        "exercise_minutes", "double", "Minutes of exercise.", 35.0, "min", range=(0, 600), standard=standards.EXERCISE
    ),
    Column(
        "stress_level",
        "int",
        "Stress as the person rated it, 1 (none) to 10. In the public file it is random and correlates with nothing.",
        4,
        range=(1, 10),
        standard=standards.STRESS,
    ),
    Column(
        "weight_kg",
        "double",
        "Body weight. In the public file it leaps by kilograms from day to day: use averages.",
        68.4,
        "kg",
        range=(30, 200),
        standard=standards.WEIGHT,
    ),
    Column("bmi", "double", "Body mass index as logged.", 23.9, "kg/m²", range=(10, 60), standard=standards.BMI),
)
"""The raw contract: matched by name, any order."""


FOUND = "bronze/found_uploads"
"""Key of what rules are asked of beside the tables: ``upload_id`` of those that this run found, known or new."""

KNOWN_USERS = "bronze/known_users"
"""The same for the people whose rows the version before has: ``user_id``."""

UNREAD = "bronze/unread_uploads"
"""The same for the uploads that this run found and could not read: ``uri`` and ``reason``."""

EVERY_UPLOAD_READ = "every_upload_read"
"""The rule that an upload breaks which is left out, for now: the next run tries again."""

KINDS = (
    "csv",
    "profile",
    "garmin",
    "health_connect",
    "apple_health",
    "google_health",
    "samsung_health",
    "oura",
    "withings",
    "garmin_web",
    "google_fit",
)
"""Kinds of uploads that are read."""

_RECORDS_ADD_UP = """
    WITH entries AS (
        SELECT upload_id, unnest(map_entries(CAST(CAST(record_counts AS JSON) AS MAP(VARCHAR, JSON)))) AS entry
        FROM uploads WHERE record_counts IS NOT NULL
    ),
    counts AS (
        SELECT upload_id, entry.key AS type, CAST(entry.value->>'seen' AS BIGINT) AS seen,
            CAST(entry.value->>'used' AS BIGINT) AS used,
            list_sum([CAST(entry.value->>name AS BIGINT) FOR name IN
                ['used', 'duplicate', 'overlapped', 'not_mapped', 'invalid']]) AS accounted
        FROM entries
    ),
    sums AS (SELECT upload_id, sum(seen) AS seen, sum(used) AS used FROM counts GROUP BY upload_id)
    SELECT upload_id, type FROM counts WHERE seen IS DISTINCT FROM accounted
    UNION ALL
    SELECT upload_id, 'all types' FROM uploads LEFT JOIN sums USING (upload_id)
    WHERE records_seen != coalesce(seen, 0) OR records_used != coalesce(used, 0)
"""

UPLOADS = Table(
    "bronze/uploads",
    "The ledger: every upload that was ever read or refused, once.",
    "one upload",
    (
        UPLOAD_ID,
        Column(
            "content_sha256",
            "string",
            "SHA-256 of its bytes: the same bytes are one upload, whatever their name. In upload_id a name that is"
            " refused counts too, and the upload before under the same name if known bytes were put back.",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            nullable=False,
        ),
        Column("uri", "string", "Where it was when it was ingested.", "data/raw/sample.csv", nullable=False),
        Column("size_bytes", "bigint", "Size as it was found.", 21_251_871, "bytes", nullable=False),
        Column(
            "modified_at",
            "timestamp",
            "When the file was last changed (UTC).",
            datetime(2024, 9, 7, tzinfo=UTC),
            nullable=False,
        ),
        Column(
            "fingerprint",
            "string",
            "What changes whenever the upload does: the ETag of an S3 object; size, times and inode of a file.",
            "21251871 1725667200000000000 1725667201000000000 1311",
        ),
        Column(
            "status",
            "string",
            "Whether its rows are in bronze; those of a withdrawn upload are, but silver leaves them out.",
            "ingested",
            allowed=("ingested", "refused", "withdrawn"),
            nullable=False,
        ),
        Column(
            "refusal",
            "string",
            "Why the upload as a whole was refused; empty when it was not.",
            "the header lacks the required column steps",
        ),
        Column("withdrawal", "string", "Why a person withdrew the upload; empty otherwise.", "wrong person"),
        Column("rows_read", "bigint", "Rows below the header.", 365, "rows", nullable=False),
        Column("rows_typed", "bigint", "Rows in bronze/logged_days.", 360, "rows", nullable=False),
        Column("rows_quarantined", "bigint", "Rows in bronze/quarantine.", 5, "rows", nullable=False),
        INGESTED_AT,
        Column("encoding", "string", "How its bytes were read as text; empty where it was refused.", "UTF-8"),
        Column(
            "delimiter",
            "string",
            "What stands between its cells; empty where it was refused.",
            "semicolon",
            allowed=("comma", "semicolon", "tab"),
        ),
        Column(
            "decimal_mark",
            "string",
            "The decimal mark that its numbers prove; empty where they prove none.",
            ".",
            allowed=(".", ","),
        ),
        Column(
            "header",
            "string",
            "The header as it was found, cut after 2,000 characters.",
            "user_id,date,steps",
            is_free_text=True,
        ),
        Column(
            "kind",
            "string",
            "What kind of upload it is, by its content; empty where it was refused, and for uploads before 2026-12.",
            "csv",
            allowed=KINDS,
        ),
        Column(
            "reader_version",
            "int",
            "Version of the reader; of a refused upload, of all readers together. Archives, and uploads that were"
            " refused, are read again by a newer one.",
            1,
        ),
        Column("person", "string", "Whose folder raw/people/<user_id>/ it lies in; empty for other uploads.", "17"),
        Column("first_day", "date", "Day of its first record (UTC); empty where it has none.", date(2024, 9, 1)),
        Column("last_day", "date", "Day of its last record (UTC); empty where it has none.", date(2024, 9, 6)),
        Column("records_seen", "bigint", "Records of an archive; empty for other uploads.", 1_210, "records"),
        Column("records_used", "bigint", "Records of an archive in bronze/measurements.", 1_200, "records"),
        Column(
            "record_counts",
            "string",
            "What became of the records of each type, as JSON: seen = used + duplicate + overlapped + not_mapped +"
            " invalid, and why records are invalid.",
            '{"steps": {"seen": 10, "used": 8, "duplicate": 1, "overlapped": 0, "not_mapped": 0, "invalid": 1,'
            ' "why": {"no value": 1}}}',
        ),
        Column(
            "warnings",
            "array<string>",
            "What a person should look at: columns that may be misnamed, a guessed encoding, bytes that were left out.",
            ["'weight' looks like weight_kg: rename it"],
        ),
        Column(
            "pseudonym_key",
            "string",
            "Check value of the key of the pseudonyms that stand for ids in its rows; empty where ids are as uploaded.",
            "5d41402abc4b2a76b9719d911017c592",
        ),
    ),
    ("upload_id",),
    own_rules=(
        key_rule(
            "rows_reconcile",
            "For every upload, rows read = rows typed + rows quarantined, as they are in the tables.",
            ("upload_id",),
            ("bronze/uploads", "bronze/logged_days", "bronze/quarantine"),
            "uploads = 0 OR rows_read != logged_days + quarantine OR rows_typed != logged_days"
            " OR rows_quarantined != quarantine",
            sums=("rows_read", "rows_typed", "rows_quarantined"),
            check="rows_reconcile",
            except_for=KNOWN_UPLOADS,
        ),
        key_rule(
            "records_reconcile",
            "For every archive, records used = its rows in bronze/measurements.",
            ("upload_id",),
            ("bronze/uploads", "bronze/measurements"),
            "uploads = 0 OR records_used != measurements",
            sums=("records_used",),
            check="rows_reconcile",
        ),
        SetRule(
            "records_add_up",
            "For every archive and type of record, seen = used + duplicate + overlapped + not mapped + invalid.",
            ("bronze/uploads",),
            _RECORDS_ADD_UP,
            check="rows_reconcile",
        ),
        # About the uploads that one run found, so that they pass again once the file is corrected or gone.
        SetRule(
            "no_refused_uploads",
            "No upload that this run found was refused.",
            ("bronze/uploads", FOUND),
            "SELECT uri, refusal FROM uploads SEMI JOIN found_uploads USING (upload_id) WHERE status = 'refused'",
            "error",
            check="no_refused_uploads",
        ),
        SetRule(
            EVERY_UPLOAD_READ,
            "No upload that this run found was left out, because it could not be read or changed meanwhile.",
            (UNREAD,),
            "FROM unread_uploads",
            "error",
            check=EVERY_UPLOAD_READ,
        ),
        SetRule(
            "rows_could_be_typed",
            "Of each upload that this run found, at least half of the rows could be typed.",
            ("bronze/uploads", FOUND),
            "SELECT uri, rows_read, rows_typed, round(rows_typed / rows_read, 4) AS share_typed"
            " FROM uploads SEMI JOIN found_uploads USING (upload_id)"
            " WHERE status = 'ingested' AND rows_read > 0 AND 2 * rows_typed < rows_read",
            "error",
            check="rows_could_be_typed",
        ),
        SetRule(
            "no_missing_parts",
            "Of an export that Google gives in several archives (takeout-<time>-<number>-<part>.zip), no part is"
            " missing before the last one.",
            ("bronze/uploads",),
            """
            WITH parts AS (
                SELECT person, regexp_extract(uri, '(takeout-[0-9]{8}T[0-9]{6}Z-[0-9]+)-[0-9]+\\.zip$', 1) AS export,
                    CAST(regexp_extract(uri, '-([0-9]{1,6})\\.zip$', 1) AS INTEGER) AS part
                FROM uploads WHERE kind = 'google_health'
                AND regexp_matches(uri, 'takeout-[0-9]{8}T[0-9]{6}Z-[0-9]+-[0-9]{1,6}\\.zip$')
            )
            SELECT person, export, max(part) AS last_part, count(DISTINCT part) AS parts
            FROM parts GROUP BY person, export HAVING max(part) > count(DISTINCT part)
            """,
            "error",
            check=EVERY_UPLOAD_READ,
        ),
        SetRule(
            "no_upload_warnings",
            "No upload that this run found has a warning, such as misnamed columns or a guessed encoding.",
            ("bronze/uploads", FOUND),
            "SELECT uri, unnest(warnings) AS warning FROM uploads SEMI JOIN found_uploads USING (upload_id)",
            "warning",
            check="no_upload_warnings",
        ),
    ),
)

_USERS = "SELECT user_id FROM logged_days UNION SELECT user_id FROM known_users"

LOGGED_DAYS = Table(
    "bronze/logged_days",
    "The rows of all uploads as they came, typed. Unclean: use silver or gold for analysis.",
    "one row of one upload",
    (
        UPLOAD_ID,
        ROW_NUMBER,
        *RAW_COLUMNS,
        Column(
            "extra",
            "string",
            "Columns beyond the raw contract, and genders other than M and F, as JSON; empty when there are none.",
            '{"device": "watch"}',
            is_free_text=True,
        ),
        INGESTED_AT,
    ),
    ("upload_id", "row_number"),
    own_rules=(
        Rule(
            "date_not_in_future",
            "No day is later than the day after its ingestion.",
            "date > CAST(ingested_at AS DATE) + 1",
            {"date": date(2999, 1, 1)},
            "warning",
        ),
        SetRule(
            "ids_differ_clearly",
            "No two ids differ only in case, leading zeros or a .0 at the end: they may be one person.",
            ("bronze/logged_days", KNOWN_USERS),
            f"WITH users AS ({_USERS}) SELECT list(user_id ORDER BY user_id) AS user_ids FROM users"
            r" GROUP BY ltrim(regexp_replace(lower(user_id), '\.0+$', ''), '0') HAVING count(*) > 1",
            "warning",
            "user_ids",
        ),
        SetRule(
            "ids_are_whole",
            "No id looks like a number that a spreadsheet rounded (1.50396E+11): many people may share it.",
            ("bronze/logged_days", KNOWN_USERS),
            f"WITH users AS ({_USERS}) SELECT user_id FROM users"
            r" WHERE regexp_full_match(user_id, '[0-9]([.,][0-9]+)?[eE]\+?[0-9]{1,3}')",
            "warning",
            "user_ids",
        ),
    ),
    range_severity="warning",
    by_month=True,
)

QUARANTINE = Table(
    "bronze/quarantine",
    "Rows that do not fit the raw contract: their text as it was, and every reason.",
    "one row of one upload",
    (
        UPLOAD_ID,
        ROW_NUMBER,
        Column(
            "line_number", "bigint", "Line of the file on which the row starts; the first line is 1.", 2, nullable=False
        ),
        Column("text", "string", "The row as it was.", "17,42,F,2024-09-06,8k", nullable=False, is_free_text=True),
        Column(
            "reasons",
            "array<string>",
            "What does not fit, cell by cell.",
            ["steps: '8k' is not a number"],
            nullable=False,
            is_free_text=True,  # a reason quotes the cell
        ),
        INGESTED_AT,
    ),
    ("upload_id", "row_number"),
    own_rules=(Rule("reason_given", "Every quarantined row says why.", "len(reasons) = 0", {"reasons": []}),),
)

TABLES = (LOGGED_DAYS, QUARANTINE, MEASUREMENTS, UPLOADS)
"""Written by one step, the ledger last: an upload counts as ingested once the ledger says so."""
