/*
 * The ranks that --ranks lists: those for which an adapter is trained to be good by itself, or at
 * which it is evaluated.
 *
 * Path: options_check_train -> rank_list_parse; run_prepare -> the same; train_step draws of them.
 *       options_check_eval -> rank_list_parse; eval_ranks -> the same.
 */
#ifndef MTS_OPTIONS_RANK_LIST_H
#define MTS_OPTIONS_RANK_LIST_H

#include "base/status.h"

enum { RANK_LIST_MAX = 4096 };

typedef struct rank_list {
    int64_t count;
    int16_t rank[RANK_LIST_MAX]; /* [count], rising; in training the last is that of the adapter */
} rank_list;

/*
 * text: ranks and runs of ranks, rising, with commas between: "1,2,4,8", "1..64", "1,2,4..8"; NULL:
 * 1..last.  The last one must be `last`, 1..RANK_LIST_MAX: ranks above it would not be trained; 0
 * (text is given): it may be any.
 * MTS_ERR_ARGUMENT.
 */
MTS_NODISCARD mts_status rank_list_parse(mts_ctx *ctx, const char *text, int64_t last,
                                         rank_list *out);

/* weight[i - 1] = sum of alpha / sqrt(r) over the ranks r >= i of the list, i = 1..last; see
 * layers/low_rank.h. */
void rank_list_weights(const rank_list *list, double alpha, float *weight);

#endif
