"""Running what was compiled: machine code in memory, buffers, and one native call per graph."""
