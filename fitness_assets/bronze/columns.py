"""Columns and keys that several tables of bronze share."""

from datetime import UTC, datetime

from fitness_assets.schema.table import Column

KNOWN_UPLOADS = "bronze/known_uploads"
"""Key of what rules are asked of beside the tables: ``upload_id`` of those that the version before has."""

UPLOAD_ID = Column(
    "upload_id", "string", "The upload: the first 16 digits of its content hash.", "9f86d081884c7d65", nullable=False
)
ROW_NUMBER = Column(
    "row_number", "bigint", "Position of the row in its upload; the first row below the header is 1.", 1, nullable=False
)
INGESTED_AT = Column(
    "ingested_at",
    "timestamp",
    "When bronze ingested the upload (UTC). Later is newer: no two uploads share the moment.",
    datetime(2024, 9, 7, 6, 0, tzinfo=UTC),
    nullable=False,
)
