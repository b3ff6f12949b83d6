/*
 * What a training step has to do at least: multiplications and additions of its products, and bytes
 * that pass from one of its parts to another; and the time that this needs on this processor.
 *
 *   products_s   all products at the peak rate of their instruction (peak.h), pieces counted
 *   memory_s     at the measured rate of reading from DRAM: what the forward keeps and the packed
 *                weights, written and read once; each parameter, its gradient and its state in the
 *                optimizer, the same
 *   roofline_s   of the forward and backward the larger of products and kept data, then the update
 *
 * It is a bound for a step that does nothing else: no mapping, packing or element-wise work, each
 * hidden behind the products, and no gradient of an activation ever leaving the cache.
 */
#ifndef MTS_BENCH_STEP_COST_H
#define MTS_BENCH_STEP_COST_H

#include "heads/first_token.h"
#include "models/bert.h"
#include "network/network.h"
#include "optim/optimizer.h"
#include "peak.h"

enum { STEP_COST_UNITS = 8 };

typedef struct step_cost {
    double operations;                       /* 2 m n k of all products */
    double unit_operations[STEP_COST_UNITS]; /* times pieces, by peak_units index */
    bool known;                              /* the unit of every product is in peak_units */
    double kept_bytes, update_bytes;
} step_cost;

/* Measured rates: of the units (operations per second, 0: not known) and of DRAM (bytes). */
typedef struct step_rates {
    double unit[STEP_COST_UNITS], memory;
} step_rates;

typedef struct step_bound {
    double products_s, memory_s, roofline_s; /* products_s is 0 where a unit is not known */
} step_bound;

/* Of a step on `rows` sequences of `length` tokens each. */
step_cost step_cost_make(const network *net, const optimizer *opt, int64_t rows, int64_t length);
step_bound step_cost_bound(const step_cost *cost, const step_rates *rates);

#endif
