"""Sources of starts, compared by the loss after the polish."""
