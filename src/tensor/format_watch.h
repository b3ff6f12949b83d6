/*
 * Watching number formats: how well the mantissas of linear layers stand for their floats.
 *
 * Of a matrix that a layer maps, with what it is folded with, let x be an element, q its mantissa
 * of b bits, x^ = q scale.  Over all x that are not 0:
 *
 *     saturated       share of |q| = 2^(b-1) - 1
 *     zero            share of q = 0
 *     effective_bits  1 + mean of len(|q|)      len: binary digits, 0 for 0; 1 for the sign
 *     snr_db          10 log10(sum x^2 / sum (x - x^)^2)
 *                                                                              FORMATS.md (14)
 * Layers register while they are bound with exec.watch set; later they note while it is set, and
 * with exec.watch NULL all this costs one test for each map.  Nothing that trains reads it.
 *
 * Pieces of the rows are mapped by several threads, so each FORMAT_SLOT_ROWS rows have sums of
 * their own, which are set, not added to: a piece that is computed again changes nothing.  They are
 * added in the order of the rows when the batch is done, so that no number depends on threads.
 *
 * Path: network_watch_formats -> network_learn -> qmatrix_map -> format_watch_note;
 *       format_watch_gather -> network_describe_formats.
 */
#ifndef MTS_TENSOR_FORMAT_WATCH_H
#define MTS_TENSOR_FORMAT_WATCH_H

#include "tensor/outliers.h"
#include "tensor/qmatrix.h"

/* Sums over elements. */
typedef struct format_sums {
    int64_t elements;        /* all; the others count those that are not 0 */
    int64_t nonzero;         /* x != 0 */
    int64_t saturated, zero; /* of those: |q| at the limit, q = 0 */
    int64_t digits;          /* of those: sum of len(|q|) */
    double signal, noise;    /* sum x^2, sum (x - x^)^2 */
} format_sums;

/* What a layer maps. */
typedef enum watched_matrix {
    WATCHED_INPUT,    /* without the outlier features, where they are told apart */
    WATCHED_OUTLIERS, /* those of the input */
    WATCHED_WEIGHT,
    WATCHED_GRADIENT_INPUT,  /* the output gradient, for dX = G W */
    WATCHED_GRADIENT_WEIGHT, /* the same, for dW = G^T X */
    WATCHED_MATRICES,
} watched_matrix;

enum { FORMAT_SLOT_ROWS = 32 };

/* Of one matrix. */
typedef struct format_record {
    format_sums *slot; /* [slots]: of the present batch, by FORMAT_SLOT_ROWS rows */
    int64_t slots;
    format_sums total; /* of the batches before, since format_watch_clear */
} format_record;

/* Of one linear layer, which it is a part of. */
typedef struct layer_watch {
    const char *name;             /* borrowed */
    int64_t out;                  /* rows of the weight */
    const outlier_list *outliers; /* of the input; NULL: not told apart */
    int64_t outlier_count;        /* of the last batch */
    bool weight_seen;             /* the weight was mapped since format_watch_clear */
    format_record record[WATCHED_MATRICES];
    struct layer_watch *next;
} layer_watch;

/* All layers of a network, in the order in which they were bound. */
typedef struct format_watch {
    layer_watch *first;
    format_sums *memory; /* of all slots; owned */
} format_watch;

/* Register a layer, zeroed by the caller, with `out` outputs. */
void format_watch_add(format_watch *watch, layer_watch *layer, const char *name, int64_t out,
                      const outlier_list *outliers);

/* After the last layer: memory for batches of at most so many tokens.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status format_watch_allocate(mts_ctx *ctx, format_watch *watch, int64_t tokens);

/* Frees what it owns; safe on a zeroed one. */
void format_watch_deinit(format_watch *watch);

/* For map_args.record; layer NULL: NULL. */
MTS_INLINE const format_record *layer_record(const layer_watch *layer, watched_matrix which)
{
    return layer == NULL ? NULL : &layer->record[which];
}

/* Note how m stands for x, which qmatrix_map has just mapped into it; args->first_row is a multiple
 * of FORMAT_SLOT_ROWS.  Several threads may note pieces of one matrix. */
void format_watch_note(const exec *ex, const qmatrix *m, const float *x, int64_t ldx,
                       const map_args *args);

/* A batch is done: add its sums to the totals. */
void format_watch_gather(format_watch *watch);
/* Begin anew. */
void format_watch_clear(format_watch *watch);

/* The numbers above; NaN where they have no value: all x are 0, or of snr_db all errors. */
typedef struct format_quality {
    double saturated, zero, effective_bits, snr_db;
} format_quality;

format_quality format_quality_of(const format_sums *sums);

#endif
