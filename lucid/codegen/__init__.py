"""How a graph is computed: fusion, layouts, schedules, loop nests, LLVM text."""
