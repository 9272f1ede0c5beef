"""Silver: days cleaned by the analysts' rules and enriched over 30 calendar days."""
