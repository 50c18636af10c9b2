"""Lucid beside PyTorch, on PyTorch's own sample inputs: ``python -m tests.conformance`` and the tests that share it."""
