/* Added tokens: find whole strings in a text.  See added_tokens.h. */
#include "text/added_tokens.h"

#include <stdlib.h>

#include "base/memory.h"
#include "text/bert_unicode.h"

void added_set_deinit(added_set *set)
{
    mem_free(set->codes);
    mem_free(set->patterns);
    *set = (added_set){0};
}

mts_status added_set_add(mts_ctx *ctx, added_set *set, const bert_char *chars, int64_t count,
                         int32_t id, bool lstrip, bool rstrip)
{
    mts_status st = MTS_OK;
    if (set->code_room - set->code_count < count) {
        int64_t room = 2 * set->code_room + count + 64;
        MTS_TRY(mem_grow(ctx, &set->codes, (size_t)set->code_count, (size_t)room, sizeof(int32_t),
                         "added tokens"));
        set->code_room = room;
    }
    if (set->count == set->room) {
        int64_t room = 2 * set->room + 8;
        MTS_TRY(mem_grow(ctx, &set->patterns, (size_t)set->count, (size_t)room,
                         sizeof(added_pattern), "added tokens"));
        set->room = room;
    }
    set->patterns[set->count++] = (added_pattern){set->code_count, count, NULL, id, lstrip, rstrip};
    for (int64_t i = 0; i < count; i++)
        set->codes[set->code_count++] = chars[i].code;
    set->firsts[(chars[0].code & 255) / 32] |= UINT32_C(1) << (chars[0].code & 31);
cleanup:
    return st;
}

/* Lexical: a pattern comes before those that it is the beginning of. */
static int compare_codes(const added_pattern *x, const added_pattern *y)
{
    for (int64_t i = 0; i < x->count && i < y->count; i++)
        if (x->codes[i] != y->codes[i])
            return x->codes[i] < y->codes[i] ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);
}

static int compare_patterns(const void *a, const void *b)
{
    const added_pattern *x = a, *y = b;
    const int order = compare_codes(x, y);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

void added_set_finish(added_set *set)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < set->count; i++)
        set->patterns[i].codes = set->codes + set->patterns[i].begin;
    if (set->count > 1)
        qsort(set->patterns, (size_t)set->count, sizeof(added_pattern), compare_patterns);
    for (int64_t i = 0; i < set->count; i++)
        if (kept == 0 || compare_codes(&set->patterns[kept - 1], &set->patterns[i]) != 0)
            set->patterns[kept++] = set->patterns[i];
    set->count = kept;
}

/* Of patterns[low, high), which agree in their first `at` code points and have more: the first
 * whose next one is not below code.  The step is doubled, so near to low it is found at once. */
static int64_t first_not_below(const added_set *set, int64_t low, int64_t high, int64_t at,
                               int32_t code)
{
    int64_t step = 1;
    while (step < high - low && set->patterns[low + step - 1].codes[at] < code) {
        low += step;
        step *= 2;
    }
    if (step < high - low)
        high = low + step - 1;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (set->patterns[middle].codes[at] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Likewise from the other end: behind the last one whose next code point is not above code. */
static int64_t last_not_above(const added_set *set, int64_t low, int64_t high, int64_t at,
                              int32_t code)
{
    int64_t step = 1;
    while (step < high - low && set->patterns[high - step].codes[at] > code) {
        high -= step;
        step *= 2;
    }
    if (step < high - low)
        low = high - step + 1;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (set->patterns[middle].codes[at] <= code)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest pattern that chars[count] begins with, or NULL: reads on while there are patterns,
 * patterns[low, high), that begin with what was read. */
static const added_pattern *find_pattern(const added_set *set, const bert_char *chars,
                                         int64_t count)
{
    const added_pattern *found = NULL;
    int64_t low = 0, high = set->count;
    for (int64_t at = 0; low < high; at++) {
        if (set->patterns[low].count == at)
            found = &set->patterns[low++];
        if (at == count)
            break;
        low = first_not_below(set, low, high, at, chars[at].code);
        high = last_not_above(set, low, high, at, chars[at].code);
    }
    return found;
}

added_match added_set_next(const added_set *set, const bert_char *chars, int64_t count,
                           added_cursor *cursor)
{
    for (int64_t i = cursor->scan; set->count > 0 && i < count; i++) {
        int32_t code = chars[i].code;
        if ((set->firsts[(code & 255) / 32] >> (code & 31) & 1) == 0)
            continue;
        const added_pattern *pattern = find_pattern(set, chars + i, count - i);
        if (pattern == NULL)
            continue;
        added_match match = {i, i + pattern->count, pattern->id};
        cursor->scan = match.end;
        while (pattern->lstrip && match.begin > cursor->done &&
               bert_unicode_is_whitespace(chars[match.begin - 1].code))
            match.begin--;
        while (pattern->rstrip && match.end < count &&
               bert_unicode_is_whitespace(chars[match.end].code))
            match.end++;
        cursor->done = match.end;
        return match;
    }
    cursor->scan = cursor->done = count;
    return (added_match){count, count, -1};
}
