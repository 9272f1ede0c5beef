"""Quality: what all of it is worth, measured, with a report that a person can open."""
