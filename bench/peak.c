/*
 * The loops behind peak.h.
 *
 * Inline assembly, since a compiler would remove loops without a result, and since this file is
 * compiled for every processor: a loop runs only where cpu_features() has its instruction.
 * Accumulators are as many as hide the latency; operands are not zero, which would save power.
 */
#include "peak.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "cpu/cpu_features.h"

enum { READ_BLOCK = 512 };

#if defined(__x86_64__)

/* The compiler uses xmm0..15 only in this file, so nothing else needs to be named. */
#define VECTOR_CLOBBERS                                                                            \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"

#define TIMES_6(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define TIMES_16(X) TIMES_6(X) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/* BODY as often as %0 says. */
#define LOOP(BODY) "1:\n\t" BODY "dec %0\n\tjnz 1b\n\t"

/* zmm16 and zmm17: %1 in every lane; zmm0..15 are the accumulators. */
#define LOOP_512(INSTRUCTION)                                                                      \
    "vpbroadcastd %1, %%zmm16\n\tvpbroadcastd %1, %%zmm17\n\t" TIMES_16(CLEAR_512)                 \
        LOOP(TIMES_16(INSTRUCTION)) "vzeroupper"
#define CLEAR_512(i) "vpxord %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n\t"
#define VPDPBUSD(i) "vpdpbusd %%zmm16, %%zmm17, %%zmm" #i "\n\t"
#define VPDPWSSD(i) "vpdpwssd %%zmm16, %%zmm17, %%zmm" #i "\n\t"
#define VDPBF16PS(i) "vdpbf16ps %%zmm16, %%zmm17, %%zmm" #i "\n\t"
#define VFMADD(i) "vfmadd231ps %%zmm16, %%zmm17, %%zmm" #i "\n\t"

static const uint32_t integers = UINT32_C(0x7f3b15e9), floats = UINT32_C(0x3f803f80);

static void loop_vpdpbusd(int64_t rounds)
{
    __asm__ volatile(LOOP_512(VPDPBUSD) : "+r"(rounds) : "r"(integers) : VECTOR_CLOBBERS);
}

static void loop_vpdpwssd(int64_t rounds)
{
    __asm__ volatile(LOOP_512(VPDPWSSD) : "+r"(rounds) : "r"(integers) : VECTOR_CLOBBERS);
}

static void loop_vdpbf16ps(int64_t rounds)
{
    __asm__ volatile(LOOP_512(VDPBF16PS) : "+r"(rounds) : "r"(floats) : VECTOR_CLOBBERS);
}

static void loop_vfmadd(int64_t rounds)
{
    __asm__ volatile(LOOP_512(VFMADD) : "+r"(rounds) : "r"(floats) : VECTOR_CLOBBERS);
}

/* A product and a sum are two instructions: ymm0..5 accumulate, ymm6..11 hold the products. */
#define CLEAR_256(i) "vpxor %%ymm" #i ", %%ymm" #i ", %%ymm" #i "\n\t"
#define MADD_ADD(i, product)                                                                       \
    "vpmaddwd %%ymm12, %%ymm13, %%ymm" #product "\n\t"                                             \
    "vpaddd %%ymm" #product ", %%ymm" #i ", %%ymm" #i "\n\t"
#define MADD_ADD_6                                                                                 \
    MADD_ADD(0, 6) MADD_ADD(1, 7) MADD_ADD(2, 8) MADD_ADD(3, 9) MADD_ADD(4, 10) MADD_ADD(5, 11)

static void loop_vpmaddwd(int64_t rounds)
{
    __asm__ volatile("vmovd %1, %%xmm12\n\t"
                     "vpbroadcastd %%xmm12, %%ymm12\n\t"
                     "vmovdqa %%ymm12, %%ymm13\n\t" TIMES_6(CLEAR_256) LOOP(MADD_ADD_6) "vzeroupper"
                     : "+r"(rounds)
                     : "r"(integers)
                     : VECTOR_CLOBBERS);
}

/* tmm6 and tmm7 are the operands, tmm0..5 accumulate. */
#define TILEZERO(i) "tilezero %%tmm" #i "\n\t"
#define TDPBSSD(i) "tdpbssd %%tmm7, %%tmm6, %%tmm" #i "\n\t"

static void loop_tdpbssd(int64_t rounds)
{
    /* Intel's manual, volume 1, chapter 18: palette 1, then bytes per row and rows of each tile */
    MTS_ALIGN64 uint8_t config[64] = {1}, data[16][64];
    for (int tile = 0; tile < 8; tile++) {
        config[16 + 2 * tile] = 64;
        config[48 + tile] = 16;
    }
    memset(data, 0x3b, sizeof data);
    __asm__ volatile("ldtilecfg (%1)\n\t"
                     "tileloadd (%2,%3,1), %%tmm6\n\t"
                     "tileloadd (%2,%3,1), %%tmm7\n\t" TIMES_6(TILEZERO)
                         LOOP(TIMES_6(TDPBSSD)) "tilerelease"
                     : "+r"(rounds)
                     : "r"(config), "r"(data), "r"((int64_t)64)
                     : "cc", "memory");
}

static void read_avx512(const uint8_t *data, size_t bytes)
{
    __asm__ volatile("1:\n\t"
                     "vmovdqu64 (%0), %%zmm0\n\t"
                     "vmovdqu64 64(%0), %%zmm1\n\t"
                     "vmovdqu64 128(%0), %%zmm2\n\t"
                     "vmovdqu64 192(%0), %%zmm3\n\t"
                     "vmovdqu64 256(%0), %%zmm4\n\t"
                     "vmovdqu64 320(%0), %%zmm5\n\t"
                     "vmovdqu64 384(%0), %%zmm6\n\t"
                     "vmovdqu64 448(%0), %%zmm7\n\t"
                     "add $512, %0\n\t"
                     "cmp %1, %0\n\t"
                     "jb 1b\n\t"
                     "vzeroupper"
                     : "+r"(data)
                     : "r"(data + bytes)
                     : VECTOR_CLOBBERS, "memory");
}

static void read_avx2(const uint8_t *data, size_t bytes)
{
    __asm__ volatile("1:\n\t"
                     "vmovdqu (%0), %%ymm0\n\t"
                     "vmovdqu 32(%0), %%ymm1\n\t"
                     "vmovdqu 64(%0), %%ymm2\n\t"
                     "vmovdqu 96(%0), %%ymm3\n\t"
                     "vmovdqu 128(%0), %%ymm4\n\t"
                     "vmovdqu 160(%0), %%ymm5\n\t"
                     "vmovdqu 192(%0), %%ymm6\n\t"
                     "vmovdqu 224(%0), %%ymm7\n\t"
                     "add $256, %0\n\t"
                     "cmp %1, %0\n\t"
                     "jb 1b\n\t"
                     "vzeroupper"
                     : "+r"(data)
                     : "r"(data + bytes)
                     : VECTOR_CLOBBERS, "memory");
}

static const peak_unit units[] = {
    {"vpmaddwd + vpaddd ymm", "avx2", 2, CPU_AVX2, 6 * 32, 500000, loop_vpmaddwd},
    {"vpdpbusd zmm", "avx512vnni", 1, CPU_AVX512_VNNI, 16 * 128, 200000, loop_vpdpbusd},
    {"vpdpwssd zmm", "avx512vnni", 2, CPU_AVX512_VNNI, 16 * 64, 200000, loop_vpdpwssd},
    {"tdpbssd", "amx", 1, CPU_AMX_INT8, 6 * 32768, 20000, loop_tdpbssd},
    {"fp32 vfmadd231ps zmm", NULL, 4, CPU_AVX512, 16 * 32, 200000, loop_vfmadd},
    {"bf16 vdpbf16ps zmm", NULL, 2, CPU_AVX512_BF16, 16 * 64, 200000, loop_vdpbf16ps},
};

#else

static const peak_unit units[] = {{.name = "none known for this processor", .features = ~0u}};

#endif

/* Anywhere: as fast as the compiler reads 64 bits at a time. */
static void read_plain(const uint8_t *data, size_t bytes)
{
    uint64_t sum[8] = {0};
    for (size_t at = 0; at + sizeof sum <= bytes; at += sizeof sum) {
        uint64_t x[8];
        memcpy(x, data + at, sizeof x);
        for (int i = 0; i < 8; i++)
            sum[i] ^= x[i];
    }
    volatile uint64_t sink = sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
    (void)sink;
}

double peak_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const peak_unit *peak_units(int *count)
{
    *count = sizeof units / sizeof units[0];
    return units;
}

const peak_unit *peak_unit_of(const gemm_kernel *kernel)
{
    const char *isa = strstr(kernel->name, "__");
    for (size_t i = 0; isa != NULL && i < sizeof units / sizeof units[0]; i++)
        if (units[i].isa != NULL && strcmp(units[i].isa, isa + 2) == 0 &&
            units[i].elem_bytes == kernel->elem_bytes_a)
            return &units[i];
    return NULL;
}

double peak_run(const peak_unit *unit, int threads)
{
    const double start = peak_now();
#pragma omp parallel num_threads(threads)
    unit->loop(unit->rounds);
    return unit->operations * (double)unit->rounds * threads / (peak_now() - start);
}

double peak_read(const uint8_t *data, size_t bytes, int64_t passes, int threads)
{
    void (*read)(const uint8_t *, size_t) = read_plain;
    const size_t part = bytes / (size_t)threads / READ_BLOCK * READ_BLOCK;
#if defined(__x86_64__)
    if ((cpu_features() & CPU_AVX512) != 0)
        read = read_avx512;
    else if ((cpu_features() & CPU_AVX2) != 0)
        read = read_avx2;
#endif
    double start = 0.0;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int t = 0; t < threads; t++) /* not timed: brings the data where it fits */
            read(data + (size_t)t * part, part);
#pragma omp single
        start = peak_now();
#pragma omp for schedule(static)
        for (int t = 0; t < threads; t++)
            for (int64_t pass = 0; pass < passes; pass++)
                read(data + (size_t)t * part, part);
    }
    return (double)(part * (size_t)threads) * (double)passes / (peak_now() - start);
}

/* What Linux says of a cache of the first processor, 0 if nothing. */
static size_t listed_cache(int index, int level)
{
    static const char *const folder = "/sys/devices/system/cpu/cpu0/cache";
    char path[96];
    int found = 0;
    long kib = 0;
    snprintf(path, sizeof path, "%s/index%d/level", folder, index);
    FILE *file = fopen(path, "r");
    if (file != NULL && fscanf(file, "%d", &found) != 1)
        found = 0;
    if (file != NULL)
        fclose(file);
    if (found != level)
        return 0;
    snprintf(path, sizeof path, "%s/index%d/size", folder, index);
    file = fopen(path, "r");
    if (file != NULL && fscanf(file, "%ldK", &kib) != 1)
        kib = 0;
    if (file != NULL)
        fclose(file);
    return (size_t)kib << 10;
}

size_t peak_cache_bytes(int level)
{
    for (int index = 0; index < 8; index++) {
        const size_t bytes = listed_cache(index, level);
        if (bytes > 0)
            return bytes;
    }
    return (size_t)1 << (level == 2 ? 20 : 25);
}
