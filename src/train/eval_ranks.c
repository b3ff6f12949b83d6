/* Evaluation, also by rank.  See eval_ranks.h. */
#include "train/eval_ranks.h"

#include "base/json_util.h"
#include "options/rank_list.h"
#include "train/evaluate.h"
#include "train/generate_answers.h"
#include "train/rank_plot.h"

mts_status eval_once(run *r, json_t **results)
{
    mts_status st = MTS_OK;
    *results = NULL;
    if (r->o->generate_answers)
        MTS_TRY(generate_answers_check(r));
    MTS_TRY(evaluate_sets(r, results));
    if (r->o->generate_answers)
        MTS_TRY(generate_answers_score(r, *results));
cleanup:
    if (st != MTS_OK) {
        json_decref(*results);
        *results = NULL;
    }
    return st;
}

/* Append the results of one rank to list; *results: them. */
static mts_status eval_rank(run *r, int64_t rank, json_t *list, json_t **results)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *row = NULL;
    run_note(r, "rank %lld of %lld", (long long)rank, (long long)r->adapter.rank);
    network_use_ranks(r->net, rank, 0);
    MTS_TRY(eval_once(r, results));
    row = json_pack("{sI}", "rank", (json_int_t)rank);
    MTS_CHECK(row != NULL && json_object_update(row, *results) == 0 &&
                  json_array_append(list, row) == 0,
              MTS_ERR_MEMORY, "out of memory: metrics");
cleanup:
    json_decref(row);
    return st;
}

mts_status eval_ranks(run *r, json_t **results)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *list = json_array();
    rank_list ranks;
    int64_t last;
    *results = NULL;
    MTS_CHECK(list != NULL, MTS_ERR_MEMORY, "out of memory: metrics");
    MTS_TRY(rank_list_parse(ctx, r->o->ranks, 0, &ranks));
    last = ranks.rank[ranks.count - 1];
    MTS_CHECK(last <= r->adapter.rank, MTS_ERR_ARGUMENT,
              "option --ranks: %s has %lld ranks, found %lld", r->o->adapter_name_or_path,
              (long long)r->adapter.rank, (long long)last);
    for (int64_t i = 0; i < ranks.count; i++) {
        json_decref(*results);
        *results = NULL;
        MTS_TRY(eval_rank(r, ranks.rank[i], list, results));
    }
    MTS_TRY(json_util_set(ctx, *results, "rank", json_integer(last)));
    MTS_TRY(json_util_set(ctx, *results, "eval_by_rank", json_incref(list)));
    if (r->o->output_dir != NULL)
        MTS_TRY(rank_plot_save(ctx, list, r->o->output_dir));
cleanup:
    json_decref(list);
    if (st != MTS_OK) {
        json_decref(*results);
        *results = NULL;
    }
    return st;
}
