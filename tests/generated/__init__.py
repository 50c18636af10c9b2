"""Programs drawn at random, compiled in every way there is, and compared; small and many. See ``lanes``."""
