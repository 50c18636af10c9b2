"""How far compiled code is from exact: ``python -m benchmarks.accuracy`` measures and writes the tables of the docs."""
