"""Every function of tensors, grouped by kind: ``lucid.exp``, ``lucid.sum``, ``lucid.reshape``, ...

All are compositions of the ops of ``lucid.ops`` through ``lucid.eager.apply``; most are also methods of ``Tensor``.
"""
