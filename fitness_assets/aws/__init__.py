"""AWS clients: S3 and the Glue catalog."""
