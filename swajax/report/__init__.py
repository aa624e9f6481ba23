"""What was found, for people: tables of text and pictures."""
