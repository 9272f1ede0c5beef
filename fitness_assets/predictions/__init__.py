"""Predictions: three models, their skill compared with simple baselines, and their predictions for every day."""
