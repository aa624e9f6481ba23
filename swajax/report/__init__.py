"""Reports of a search: text tables, pictures and an HTML page."""
