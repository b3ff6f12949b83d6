/*
 * Evaluation of a folder: once, or of an adapter once for each of several ranks.
 *
 * Path: eval_run -> eval_once, eval_ranks -> evaluate_sets, generate_answers_score, rank_plot_save.
 */
#ifndef MTS_TRAIN_EVAL_RANKS_H
#define MTS_TRAIN_EVAL_RANKS_H

#include "train/run.h"

/* *results: those of evaluate_sets, and with generate_answers those of generate_answers_score. */
MTS_NODISCARD mts_status eval_once(run *r, json_t **results);

/*
 * *results: as of eval_once for the last of the ranks, "rank", and "eval_by_rank": the same for
 * each of them.  With output_dir its eval_ranks.svg is written.  Also MTS_ERR_ARGUMENT: a rank
 * above the adapter's.
 */
MTS_NODISCARD mts_status eval_ranks(run *r, json_t **results);

#endif
