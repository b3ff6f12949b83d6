/*
 * What this processor can do at most: multiply-add rates of loops that touch registers only, and
 * the bandwidth of reading from each level of memory.
 *
 * bench_kernels prints the rates of the library's kernels beside these.
 */
#ifndef MTS_BENCH_PEAK_H
#define MTS_BENCH_PEAK_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* An instruction that multiplies and adds. */
typedef struct peak_unit {
    const char *name;             /* "vpdpbusd zmm" */
    const char *isa;              /* of the kernels that use it, as their names end; NULL: none */
    int elem_bytes;               /* of a packed element of those kernels */
    uint32_t features;            /* CPU_* bits that must all be there */
    double operations;            /* multiplications and additions of one round */
    int64_t rounds;               /* about a millisecond of them */
    void (*loop)(int64_t rounds); /* NULL on other processors */
} peak_unit;

/* All units, in no order of preference. */
const peak_unit *peak_units(int *count);

/* The unit that a kernel multiplies with; NULL: plain C, or a kernel newer than the table. */
const peak_unit *peak_unit_of(const gemm_kernel *kernel);

/* Operations per second of one short run on `threads` threads; the features must be there. */
double peak_run(const peak_unit *unit, int threads);

/*
 * Bytes per second of reading [data, data + bytes) `passes` times, after one that does not count.
 * Each of `threads` reads a part of its own, of equal size, whole blocks of 512 bytes.
 */
double peak_read(const uint8_t *data, size_t bytes, int64_t passes, int threads);

/* Bytes of a cache, level 2 (of one core) or 3; a guess where the system does not say. */
size_t peak_cache_bytes(int level);

/* Seconds since some moment. */
double peak_now(void);

#endif
