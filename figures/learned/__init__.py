"""The space `flow` as a source of starts, and in whole searches."""
