/*
 * How much a pass multiplies: the multiplications of its matrix products, counted in the dry run
 * that measures its memory (exec.h), by the functions that will do them.
 *
 * Path: network_plan_make -> measure -> linear_forward, attention_forward ... -> work_count.
 */
#ifndef MTS_TENSOR_WORK_H
#define MTS_TENSOR_WORK_H

#include "base/compiler.h"
#include "tensor/exec.h"

/* Which products; of all layers but the last three rows. */
typedef enum work_part {
    WORK_FORWARD,         /* Y = X W^T, also where it is computed again for the backward */
    WORK_INPUT_GRADIENT,  /* dX = G W */
    WORK_WEIGHT_GRADIENT, /* dW = G^T X of trained weights */
    WORK_ATTENTION,       /* forward and backward */
    WORK_ADAPTERS,        /* of adapters, forward and backward */
    WORK_HEAD,            /* everything of the head */
    WORK_PARTS
} work_part;

typedef struct work_tally {
    double macs[WORK_PARTS]; /* multiplications, each with its addition */
    double repeats; /* a dry run does one piece of several: what it meets now counts so often */
    bool in_head;
} work_tally;

/* What a dry run that nobody asks for its work does not count. */
MTS_INLINE void work_count(const exec *ex, work_part part, double macs)
{
    if (ex->tally != NULL)
        ex->tally->macs[ex->tally->in_head ? WORK_HEAD : part] += macs * ex->tally->repeats;
}

/* What follows is one of `times` equal pieces; work_repeat(ex, 1 / times) ends that. */
MTS_INLINE void work_repeat(const exec *ex, double times)
{
    if (ex->tally != NULL)
        ex->tally->repeats *= times;
}

#endif
