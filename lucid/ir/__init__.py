"""What is computed: types, ops, nodes, graphs, index expressions, and the analyses and passes over them."""

from time import time

#: When this process began to read Lucid's source; what is written to the files later is not what runs.
IMPORTED_AT = time()
