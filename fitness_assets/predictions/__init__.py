"""Predictions: three models, what they are worth against simple rules, and what they say of every day."""
