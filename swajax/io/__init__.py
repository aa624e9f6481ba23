"""Files, configurations, run folders and commands; host code without networks."""
