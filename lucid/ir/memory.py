"""Where arrays begin in memory: what those who make arrays promise to those who write kernels."""

#: Bytes of a cache line, and of the widest vector: every value inside a compiled graph begins at a multiple of this.
ALIGNMENT = 64

#: Bytes from which on the output of a compiled graph begins on a cache line too.
ALIGNED_OUTPUT = 32 * 1024
