"""Days of devices: how the records of several sources become one row for each person and day."""
