/*
 * CPUID, XCR0 and the Linux permission for AMX, gathered into one mask.  See cpu_features.h.
 *
 * Bit positions: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (CPUID) and
 * volume 1 chapter 13 (XCR0); the permission: Linux Documentation/arch/x86/xstate.rst.
 */
#define _GNU_SOURCE /* syscall */
#include "cpu/cpu_features.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

/* The answer is the same whoever computes it, so threads that race here only repeat work. */
static atomic_uint_least32_t detected; /* valid when KNOWN is set */
static atomic_uint_least32_t assumed;

#define KNOWN (UINT32_C(1) << 31)

#if defined(__x86_64__)

#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* A process has to ask for the 8 KB of tile registers before it first touches them. */
static bool permit_amx(void)
{
    const long request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#else
static bool permit_amx(void)
{
    return false;
}
#endif

/* XCR0: which register files the operating system saves at a context switch. */
static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static bool has_all(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

static uint32_t detect(void)
{
    const uint32_t osxsave_avx = 1u << 27 | 1u << 28, f16c = 1u << 29;      /* 1: ECX */
    const uint32_t avx2 = 1u << 5;                                          /* 7.0: EBX */
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;      /* F, DQ, BW, VL */
    const uint32_t vnni = 1u << 11;                                         /* 7.0: ECX */
    const uint32_t amx = 1u << 24 | 1u << 25;                               /* 7.0: EDX */
    const uint32_t bf16 = 1u << 5;                                          /* 7.1: EAX */
    const uint64_t ymm_state = 0x6, zmm_state = 0xe6, tile_state = 0x60000; /* XCR0 */
    uint32_t found = 0, eax, ebx, ecx, edx, eax1 = 0, unused;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has_all(ecx, osxsave_avx))
        return 0;
    bool has_f16c = has_all(ecx, f16c);
    uint64_t xcr0 = read_xcr0();
    if (!has_all(xcr0, ymm_state) || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return 0;
    if (eax >= 1)
        __get_cpuid_count(7, 1, &eax1, &unused, &unused, &unused);

    if (has_all(ebx, avx2))
        found |= CPU_AVX2;
    if (has_f16c)
        found |= CPU_F16C;
    if (has_all(ebx, avx512) && has_all(xcr0, zmm_state)) {
        found |= CPU_AVX512;
        if (has_all(ecx, vnni))
            found |= CPU_AVX512_VNNI;
        if (has_all(eax1, bf16))
            found |= CPU_AVX512_BF16;
    }
    if (has_all(edx, amx) && has_all(xcr0, tile_state) && permit_amx())
        found |= CPU_AMX_INT8;
    return found;
}

#else

static uint32_t detect(void)
{
    return 0;
}

#endif

uint32_t cpu_features(void)
{
    uint32_t mask = atomic_load(&detected);
    if (mask == 0) {
        mask = detect() | KNOWN;
        atomic_store(&detected, mask);
    }
    return (mask & ~KNOWN) | atomic_load(&assumed);
}

void cpu_features_assume(uint32_t extra)
{
    atomic_fetch_or(&assumed, extra);
}

void cpu_features_describe(uint32_t mask, char *out, size_t size)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {
        {CPU_AVX2, "avx2"},
        {CPU_F16C, "f16c"},
        {CPU_AVX512, "avx512(f,bw,dq,vl)"},
        {CPU_AVX512_VNNI, "avx512_vnni"},
        {CPU_AVX512_BF16, "avx512_bf16"},
        {CPU_AMX_INT8, "amx_int8"},
    };
    size_t used = 0;
    snprintf(out, size, "none");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((mask & names[i].bit) == 0 || used >= size)
            continue;
        int n = snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "", names[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
}
