"""Passes over the graph, one a file: each a frozen object with a name that maps a graph to an equal graph."""
