"""Tests of the package `coach`."""
