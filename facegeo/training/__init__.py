"""Shared training tools: callbacks, resumable streams, schedules, results, model files, answers."""
