"""Lucid beside whatever else is installed, in one run: ``python -m benchmarks --help``.

A coordinator (``__main__``, ``contest``, ``starts``) starts one ``worker`` process a library (``libraries``), sets up
the same workload (``workloads``, ``models``) in each, compares their outputs, and lets them take turns. What comes out
is merged into a record (``results``), from which ``report`` writes the tables. Nothing here is imported by Lucid.
"""
