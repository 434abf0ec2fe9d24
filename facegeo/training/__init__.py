"""What wings train with: callbacks, resumable streams, schedules, results, model files, answers."""
