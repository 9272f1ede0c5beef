"""Where Spark code runs, how DuckDB reads tables and checks rules, and what every layer step does."""
