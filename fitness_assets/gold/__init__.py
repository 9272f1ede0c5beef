"""Gold: a star schema for queries."""
