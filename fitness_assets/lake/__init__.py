"""Versions of tables: staging, publishing, rolling back and garbage collection, on disk and on S3."""
