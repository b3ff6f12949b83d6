/* The list of ranks to evaluate, --ranks: numbers and ranges in rising order, with commas between.
 * See options.h. */
#include "options/options.h"

enum { RANK_MAX = 4096 };

/* *value: the number at *text, which goes behind it; false: there is none in 1 to RANK_MAX. */
static bool read_number(const char **text, int64_t *value)
{
    *value = 0;
    if (**text < '1' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9' && *value <= RANK_MAX; ++*text)
        *value = 10 * *value + (**text - '0');
    return *value <= RANK_MAX;
}

/* [*first, *last]: the numbers of the part at *text, which goes behind it and its comma. */
static bool read_part(const char **text, int64_t *first, int64_t *last)
{
    if (!read_number(text, first))
        return false;
    *last = *first;
    if (**text == '.') {
        if ((*text)[1] != '.')
            return false;
        *text += 2;
        if (!read_number(text, last) || *last < *first)
            return false;
    }
    if (**text == ',')
        return *++*text != '\0';
    return **text == '\0';
}

mts_status options_next_rank(mts_ctx *ctx, const char *ranks, int64_t after, int64_t *rank)
{
    mts_status st = MTS_OK;
    const char *text = ranks;
    int64_t before = 0;
    *rank = 0;
    do {
        int64_t first, last;
        MTS_CHECK(
            read_part(&text, &first, &last) && first > before, MTS_ERR_ARGUMENT,
            "option --ranks: expected ranks of 1 to %d in rising order, as in 1,2,4..8, found "
            "'%.60s'",
            RANK_MAX, ranks);
        if (*rank == 0 && last > after)
            *rank = first > after ? first : after + 1;
        before = last;
    } while (*text != '\0');
cleanup:
    return st;
}
