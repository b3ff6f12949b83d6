/*
 * For the x86 instruction-set folders only: X86_UNROLL in front of a loop of constant length makes
 * the compiler unroll all of it.  Without, gcc keeps an array of accumulators in memory, which
 * costs more than half of the speed of a micro-kernel.
 */
#ifndef MTS_KERNELS_X86_UNROLL_H
#define MTS_KERNELS_X86_UNROLL_H

#if defined(__clang__)
#define X86_UNROLL _Pragma("unroll")
#else
#define X86_UNROLL _Pragma("GCC unroll 64")
#endif

#endif
