"""What operators do with reviews: calibrate thresholds, check the audit log, list cases."""
