"""Erases a person from uploads, tables and history, and deletes uploads after the time that a setting gives."""
