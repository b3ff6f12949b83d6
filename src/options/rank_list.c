/* The ranks of --ranks.  See rank_list.h. */
#include "options/rank_list.h"

#include <math.h>
#include <string.h>

/* A number of 1..RANK_LIST_MAX at *text, which is moved behind it; 0: there is none. */
static int64_t take_rank(const char **text)
{
    int64_t n = 0;
    for (; **text >= '0' && **text <= '9' && n <= RANK_LIST_MAX; (*text)++)
        n = 10 * n + (**text - '0');
    return n <= RANK_LIST_MAX ? n : 0;
}

/* Append "N" or "N..M" at *text; false: it is neither, or does not rise. */
static bool take_run(const char **text, rank_list *list)
{
    const int64_t before = list->count == 0 ? 0 : list->rank[list->count - 1];
    const int64_t first = take_rank(text);
    int64_t last = first;
    if (strncmp(*text, "..", 2) == 0) {
        *text += 2;
        last = take_rank(text);
    }
    if (first <= before || last < first)
        return false;
    for (int64_t r = first; r <= last; r++)
        list->rank[list->count++] = (int16_t)r;
    return true;
}

mts_status rank_list_parse(mts_ctx *ctx, const char *text, int64_t last, rank_list *out)
{
    mts_status st = MTS_OK;
    const char *at = text;
    bool fits = true;
    out->count = 0;
    for (int64_t r = 1; text == NULL && r <= last; r++)
        out->rank[out->count++] = (int16_t)r;
    if (text == NULL)
        return MTS_OK;
    while ((fits = take_run(&at, out)) && *at == ',')
        at++;
    MTS_CHECK(fits && *at == '\0', MTS_ERR_ARGUMENT,
              "option --ranks: expected rising ranks of 1 to %d, as 1..8 or 1,2,4,8, found '%.40s'",
              RANK_LIST_MAX, text);
    MTS_CHECK(last == 0 || out->rank[out->count - 1] == last, MTS_ERR_ARGUMENT,
              "option --ranks: expected the last to be the adapter's rank %lld (--lora_r), found "
              "%d: ranks behind the last are not trained",
              (long long)last, out->rank[out->count - 1]);
cleanup:
    return st;
}

void rank_list_weights(const rank_list *list, double alpha, float *weight)
{
    double sum = 0.0;
    int64_t at = list->count - 1;
    for (int64_t r = list->rank[at]; r >= 1; r--) {
        if (at >= 0 && list->rank[at] == r) {
            sum += alpha / sqrt((double)r);
            at--;
        }
        weight[r - 1] = (float)sum;
    }
}
