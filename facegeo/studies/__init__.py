"""Plan of a sweep, comparison of runs, report page, W&B workspace."""
