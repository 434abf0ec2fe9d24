"""Runs of a study compared: tables, plots and one page, with what the paper prints."""
