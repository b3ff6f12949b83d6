/*
 * A matrix as a file has it, read as floats where it is needed: what a frozen parameter is that has
 * no copy in memory.
 *
 * Path: network_load -> weight_file_store; linear_weight_rows, embedding_forward -> param_read ->
 *       stored_matrix_read.
 * A kind of storage is one stored_class: plain elements and the blocks of GGUF are stored_units.
 */
#ifndef MTS_TENSOR_STORED_MATRIX_H
#define MTS_TENSOR_STORED_MATRIX_H

#include "base/file.h"
#include "tensor/exec.h"

typedef struct stored_matrix stored_matrix;

typedef struct stored_class {
    /* out[n] = row `row`, columns [col, col + n); both multiples of unit, but n may end the row. */
    void (*read)(const stored_matrix *m, int64_t row, int64_t col, int64_t n, float *out);
    /* q[n] = the mantissas that quantize_s8 makes of the same with args, to nearest.  False: not of
     * this part (it is to be read, then); NULL: never. */
    bool (*map_s8)(const exec *ex, const stored_matrix *m, int64_t row, int64_t col, int64_t n,
                   const quantize_args *args, int8_t *q);
    /* Like stored_matrix_gather; NULL: elements are read with their neighbours. */
    void (*gather)(const stored_matrix *m, int64_t row, const int32_t *col, int64_t n, float *out);
    /* Like stored_matrix_want, of maps of its own; NULL: there are none. */
    size_t (*want)(const stored_matrix *m);
    /* The same for maps of its own as stored_matrix_forget; NULL: there are none. */
    void (*forget)(const stored_matrix *m);
    void (*close)(stored_matrix *m); /* what is its own; NULL: nothing */
} stored_class;

struct stored_matrix {
    const stored_class *class; /* NULL: there is none */
    int64_t rows, cols;
    file_map map;
    /* stored_units: a row is a sequence of units, each decoded by itself */
    int64_t unit;      /* elements of one: a divisor of cols */
    size_t unit_bytes; /* of it in the file */
    void (*decode)(const uint8_t *data, int64_t units, float *out);
    int64_t head_rows; /* d: within each d rows, row s d/2 + j lies at 2 j + s (io/gguf_model.h); 0:
                          rows are in order */
    void *own;         /* of another class: its data */
};

extern const stored_class stored_units;

/* Columns are read from multiples of this on, in every kind of storage. */
enum { STORED_COLS = 256 };

/* out[n] = row `row`, columns [col, col + n) of m; col is a multiple of STORED_COLS, and so is n
 * unless the row ends there.  Any thread. */
void stored_matrix_read(const stored_matrix *m, int64_t row, int64_t col, int64_t n, float *out);

/* out[n] = the elements of row `row` in columns col[n], rising.  Any thread. */
void stored_matrix_gather(const stored_matrix *m, int64_t row, const int32_t *col, int64_t n,
                          float *out);

/* It will be read soon: reading it from its file begins.  Returns its bytes there. */
size_t stored_matrix_want(const stored_matrix *m);

/* Its pages need no memory until they are read again. */
void stored_matrix_forget(const stored_matrix *m);

/* Unmap; a zeroed one is allowed. */
void stored_matrix_close(stored_matrix *m);

#endif
