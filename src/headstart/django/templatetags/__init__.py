"""Template tags; Django finds them here."""
