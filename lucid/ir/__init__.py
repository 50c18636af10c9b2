"""What is computed: types, ops, nodes, graphs, index expressions, and the analyses and passes over them."""
