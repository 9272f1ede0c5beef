"""Tests, one package for each package of the project; `test_pipeline.py` tests all layers together."""
