/*
 * A matrix in dynamic fixed point: mantissas and one scale per group.                FORMATS.md (2)
 *
 *     x^[i][j] = q[i][j] * scale(i, j)
 *
 * Path: linear_forward -> qmatrix_map -> quantize kernel.
 */
#ifndef MTS_TENSOR_QMATRIX_H
#define MTS_TENSOR_QMATRIX_H

#include "tensor/exec.h"

struct format_record;

typedef struct qmatrix {
    int64_t rows, cols;
    int bits; /* 4..16 */
    group_kind group;
    void *q;      /* int8 (bits <= 8) or int16 [rows][cols], dense */
    float *scale; /* tensor [1], row [rows], column [cols],
                     block [ceil(rows/64)][ceil(cols/64)] */
} qmatrix;

/* Number of scales of a matrix of this shape. */
int64_t qmatrix_scale_count(int64_t rows, int64_t cols, group_kind group);

/* Give m its shape and storage from the arena (which keeps owning it). */
void qmatrix_bind(qmatrix *m, arena *a, int64_t rows, int64_t cols, int bits, group_kind group);

/* Rows [begin, end) of m, in m's storage; block groups: begin is a multiple of GROUP_BLOCK_SIZE.
 * Not for column groups. */
qmatrix qmatrix_rows(const qmatrix *m, int64_t begin, int64_t end);

/* What qmatrix_map needs beside the numbers. */
typedef struct map_args {
    const float *row_mul;    /* scales multiplied into row i before mapping, or NULL */
    const float *col_mul;    /* the same for column j, or 0: it becomes zero; NULL: all 1 (not of
                                column groups) */
    const uint32_t *col_max; /* column groups: bits of max |x row_mul| by column, or NULL: found
                                here */
    rng_key key;             /* draw of element (i, j): (first_row + i) * cols + j */
    int64_t first_row;       /* of x within the matrix it is a part of */
    bool stochastic;
    scale_kind scales; /* with others than powers of two, row_mul and col_mul are powers or 0 */
    const char *what, *where;           /* for the report of NaN or infinity */
    const struct format_record *record; /* where qmatrix_map notes how well it went, if ex->watch
                                           says so (format_watch.h); or NULL */
} map_args;

/*
 * m = map(diag(row_mul) x diag(col_mul)), x float [rows][cols] with row stride ldx.
 * NaN or infinity: reported with exec_report_anomaly; the group (column groups: the matrix) becomes
 * zero.
 * The result depends on neither threads nor instruction set.
 */
void qmatrix_map(exec *ex, qmatrix *m, const float *x, int64_t ldx, const map_args *args);

/* The same for a matrix that one thread maps inside a parallel region; group tensor or row. */
void qmatrix_map_serial(exec *ex, qmatrix *m, const float *x, int64_t ldx, const map_args *args);

/* max[j] = max(max[j], bits of |x[i][j] row_mul[i]|), row_mul NULL: 1; for col_max above.  Several
 * threads may share max. */
void qmatrix_column_max(const exec *ex, uint32_t *max, const float *x, int64_t ldx, int64_t rows,
                        int64_t cols, const float *row_mul);

#endif
