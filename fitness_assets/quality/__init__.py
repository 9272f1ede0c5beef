"""Quality: diagnostics that measure how believable the data is, and a report on them."""
