/*
 * A picture of the loss by rank, as SVG.
 *
 * Path: eval_ranks -> rank_plot_save.
 */
#ifndef MTS_TRAIN_RANK_PLOT_H
#define MTS_TRAIN_RANK_PLOT_H

#include <jansson.h>

#include "base/status.h"

#define RANK_PLOT_FILE "eval_ranks.svg"

/* Write dir/RANK_PLOT_FILE atomically, of an array of objects with "rank" (rising) and "eval_loss";
 * dir is made if it is missing.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status rank_plot_save(mts_ctx *ctx, const json_t *rows, const char *dir);

#endif
