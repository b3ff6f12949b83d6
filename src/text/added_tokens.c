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
    set->patterns[set->count++] =
        (added_pattern){set->code_count, count, chars[0].code, id, lstrip, rstrip};
    for (int64_t i = 0; i < count; i++)
        set->codes[set->code_count++] = chars[i].code;
    set->firsts[(chars[0].code & 255) / 32] |= UINT32_C(1) << (chars[0].code & 31);
cleanup:
    return st;
}

static int compare_patterns(const void *a, const void *b)
{
    const added_pattern *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

void added_set_finish(added_set *set)
{
    if (set->count > 1)
        qsort(set->patterns, (size_t)set->count, sizeof(added_pattern), compare_patterns);
}

static bool begins_with(const added_set *set, const added_pattern *pattern, const bert_char *chars,
                        int64_t count)
{
    if (pattern->count > count)
        return false;
    for (int64_t i = 0; i < pattern->count; i++)
        if (set->codes[pattern->begin + i] != chars[i].code)
            return false;
    return true;
}

/* The longest pattern that chars[count] begins with, or NULL. */
static const added_pattern *find_pattern(const added_set *set, const bert_char *chars,
                                         int64_t count)
{
    int32_t first = chars[0].code;
    int64_t low = 0, high = set->count;
    while (low < high) { /* the first pattern that begins with `first` or above */
        int64_t middle = (low + high) / 2;
        if (set->patterns[middle].first < first)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < set->count && set->patterns[low].first == first; low++)
        if (begins_with(set, &set->patterns[low], chars, count))
            return &set->patterns[low];
    return NULL;
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
