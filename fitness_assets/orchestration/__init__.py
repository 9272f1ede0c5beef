"""The Dagster side: assets, checks, IO manager, sensors, notifications and Pipes."""
