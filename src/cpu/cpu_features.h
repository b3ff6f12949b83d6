/*
 * What this processor and its operating system can run, as one bit mask.
 *
 * Path: asked by kernels/table.c when it chooses a family of kernels, and by the float kernels.
 * A bit is set only if the processor has the instructions (CPUID), the operating system saves their
 * registers (OSXSAVE, XCR0) and, for AMX, has granted them to this process.
 */
#ifndef MTS_CPU_CPU_FEATURES_H
#define MTS_CPU_CPU_FEATURES_H

#include <stddef.h>
#include <stdint.h>

enum {
    CPU_AVX2 = 1 << 0,
    CPU_F16C = 1 << 1,
    CPU_AVX512 = 1 << 2, /* F, BW, DQ and VL together */
    CPU_AVX512_VNNI = 1 << 3,
    CPU_AVX512_BF16 = 1 << 4,
    CPU_AMX_INT8 = 1 << 5, /* AMX-TILE and AMX-INT8 */
};

/*
 * The CPU_* bits of this machine; 0 on processors other than x86-64.  Any thread may call it.  The
 * first call computes them and asks Linux for the AMX tile registers, once for the whole process.
 */
uint32_t cpu_features(void);

/* Tests with an instruction emulator only: from now on cpu_features() also holds `extra`. */
void cpu_features_assume(uint32_t extra);

/*
 * Write the names of the CPU_* bits in `mask`, separated by spaces, or "none".
 *
 * out    out  text, cut to size bytes including the NUL.
 * size   in   bytes at out, >= 1; 128 holds every mask.
 */
void cpu_features_describe(uint32_t mask, char *out, size_t size);

#endif
