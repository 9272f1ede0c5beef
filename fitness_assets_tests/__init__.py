"""Tests, one module for each room of the project; `test_pipeline.py` walks through all of them."""
