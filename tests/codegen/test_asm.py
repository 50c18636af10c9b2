from __future__ import annotations

from lucid.codegen.asm import asm_stats, function, inner_loops

TEXT = """
	.text
work:
	pushq	%rbp
	movq	%rdi, -8(%rsp)
.LBB0_1:
	xorl	%eax, %eax
.LBB0_2:
	vfmadd231ps	%zmm1, %zmm2, %zmm0
	vfmadd231ps	(%rsi,%rax,4){1to16}, %zmm2, %zmm3
	vmovups	%zmm0, 64(%rsp)                 # 64-byte Spill
	vfmadd231ss	%xmm1, %xmm2, %xmm0
	vaddps	64(%rsp), %zmm1, %zmm1          # 64-byte Folded Reload
	incq	%rax
	jl	.LBB0_2
	leaq	8(%rsp), %rcx
	callq	expf@PLT
	jl	.LBB0_1
	retq
.Lfunc_end0:
other:
	retq
.Lfunc_end1:
"""


def test_counts() -> None:
    stats = asm_stats(TEXT)
    assert (stats.fma, stats.fma_broadcast, stats.calls) == (2, 1, 1)
    assert (stats.vector_spills, stats.reloads, stats.scalar_spills) == (1, 1, 1)
    assert stats.instructions == 15


def test_one_function() -> None:
    assert asm_stats(function(TEXT, "work")).instructions == 14
    assert asm_stats(function(TEXT, "other")).instructions == 1
    assert function(TEXT, "absent") == ""


def test_only_innermost_loops() -> None:
    (loop,) = inner_loops(TEXT)
    assert asm_stats(loop).instructions == 7
    assert asm_stats(loop).calls == 0
