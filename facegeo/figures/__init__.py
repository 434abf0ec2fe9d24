"""Pictures of results: PNG files, drawn without a display and without pyplot's global state."""
