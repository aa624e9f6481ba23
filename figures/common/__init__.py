"""Clock, data, runs and tables that the studies share."""
