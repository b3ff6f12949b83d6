/*
 * What an optimizer supplies: its name, the arrays of its state, its functions.
 *
 * To add an optimizer: one file with an optimizer_class, its line below, its row in the table of
 * optimizer.c, and its name among the choices of the option optim (src/api/option_table.c; a test
 * tells if they differ).  Memory, the plan of memory, checkpoints and the check of what a
 * checkpoint holds follow from the arrays it declares.
 * For the files of optimizers and optimizer.c only.
 */
#ifndef MTS_OPTIM_OPTIMIZER_CLASS_H
#define MTS_OPTIM_OPTIMIZER_CLASS_H

#include "optim/optimizer.h"
#include "optim/param_pieces.h"

/* Elements of a piece at most: the unit of the parallel loop. */
enum { OPTIMIZER_PIECE = 16384 };

/* What a number of an F32 or F64 array can be; it is finite in any case.  Checked when a checkpoint
 * was read; other dtypes are checked by the class's own `restored`. */
typedef enum optimizer_range {
    OPTIMIZER_ANY,
    OPTIMIZER_NOT_NEGATIVE,
    OPTIMIZER_UP_TO_ONE, /* from 0 */
} optimizer_range;

/* An array of the state, zeros at first: `fixed` numbers and, for each parameter in the list's
 * order, as many as per_param says. */
typedef struct optimizer_array {
    const char *name; /* a word; NULL: no array */
    optimizer_dtype dtype;
    int64_t (*per_param)(int64_t elements); /* may be NULL: none */
    int64_t fixed;
    optimizer_range range;
    bool with_momentum; /* kept only if options.momentum > 0 */
} optimizer_array;

/* For per_param: a number for each element, a number for each parameter. */
int64_t optimizer_of_elements(int64_t elements);
int64_t optimizer_of_tensors(int64_t elements);

struct optimizer_class {
    const char *name; /* as the option optim spells it */

    /* What it keeps beside "step", in the order of checkpoints; those behind the last have no
     * name. */
    optimizer_array arrays[OPTIMIZER_MAX_ARRAYS];

    /* Bytes that init allocates.  NULL: none. */
    size_t (*work_bytes)(const optimizer_sizes *sizes);

    /* Set the first state and opt->work.  After a failure destroy is called.  NULL: the state
     * begins with zeros and there is no work.  MTS_ERR_MEMORY, MTS_ERR_NUMERIC. */
    mts_status (*init)(mts_ctx *ctx, optimizer *opt, param *const *params);

    /* Free opt->work, which is not NULL.  NULL: there never is any. */
    void (*destroy)(void *work);

    /* optimizer_step; the steps done include this one. */
    void (*step)(exec *ex, optimizer *opt, param *const *params, double learning_rate,
                 float grad_scale);

    /* optimizer_restored, after the checks that `range` asks for.  NULL: nothing is left to do.
     * MTS_ERR_BAD_FILE. */
    mts_status (*restored)(mts_ctx *ctx, optimizer *opt, param *const *params);
};

extern const optimizer_class optimizer_adamw;
extern const optimizer_class optimizer_adamw_8bit;
extern const optimizer_class optimizer_sgd;
extern const optimizer_class optimizer_sgd_int16;

/* What optimizer.c keeps for every class. */
struct optimizer {
    optimizer_options options;
    int64_t count; /* of parameters */
    param_pieces pieces;
    optimizer_state states[1 + OPTIMIZER_MAX_ARRAYS]; /* step, and the class's that are kept */
    int state_count;
    void *work; /* the class's own; not part of the state */
};

/* data of the array called name, or NULL if this optimizer has none. */
void *optimizer_state_data(const optimizer *opt, const char *name);

/* Steps done; during a step, the number of this one: t = 1, 2, ... */
int64_t optimizer_steps_done(const optimizer *opt);

#endif
