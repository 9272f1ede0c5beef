"""Readers of uploads, one module for each kind."""
