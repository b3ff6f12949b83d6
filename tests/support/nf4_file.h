/*
 * A safetensors file with a matrix in 4 bits, part by part, so that each can be spoilt.
 */
#ifndef MTS_TESTS_SUPPORT_NF4_FILE_H
#define MTS_TESTS_SUPPORT_NF4_FILE_H

#include "io/nf4_tensors.h"

enum {
    NF4_FILE_ELEMENTS = 1 << 12,
    NF4_FILE_STATE = 5, /* number of that part */
    NF4_FILE_PARTS = 6,
};

typedef struct nf4_file_part {
    const char *ending; /* behind "w.weight" */
    st_dtype dtype;
    int64_t count;
    const void *data;
    bool absent;
} nf4_file_part;

/* The parts: "", absmax, nested_absmax, nested_quant_map, quant_map, state. */
typedef struct nf4_file {
    nf4_file_part parts[NF4_FILE_PARTS];
    bool without_bias;
    nf4_view view; /* of what follows */
    uint8_t codes[NF4_FILE_ELEMENTS / 2], absmax[NF4_FILE_ELEMENTS / NF4_BLOCK];
    float plain[NF4_FILE_ELEMENTS / NF4_BLOCK], nested[1];
    char state[512];
} nf4_file;

/* rows * cols <= NF4_FILE_ELEMENTS random numbers of `seed`, with double quantisation or not. */
void nf4_file_make(nf4_file *f, int64_t rows, int64_t cols, bool nested, uint32_t seed);

/* Write what is not absent, and unless without_bias "w.bias" of two numbers. */
MTS_NODISCARD mts_status nf4_file_write(mts_ctx *ctx, const nf4_file *f, const char *path);

#endif
