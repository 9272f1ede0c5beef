"""Exports the days of one person in formats that other health software reads."""
