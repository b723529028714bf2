"""Trackers of experiments, where recorded runs are logged, too."""
