"""Files, settings, logs and commands; nothing here knows what a network is."""
