"""``python -m tests.mutants``: bugs seeded into a copy of the library, one at a time, and whether the tests notice."""
