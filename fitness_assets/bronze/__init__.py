"""Bronze: uploads as they came, typed, nothing lost."""
