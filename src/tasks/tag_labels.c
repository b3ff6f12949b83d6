/* Tags and their numbers.  See tag_labels.h. */
#include "tasks/tag_labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number_parse.h"
#include "base/utf8.h"
#include "tasks/label_set.h"

enum { NAME_BYTES = 24 };

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Words of all sentences that are used. */
static int64_t count_words(const tagged_set *s)
{
    return s->first[s->n];
}

/* The sentence that a word is in, for error texts. */
static long long line_of(const tagged_set *s, int64_t word)
{
    int64_t i = 0;
    while (s->first[i + 1] <= word)
        i++;
    return (long long)tagged_set_line(s, i, word);
}

/* *largest: the largest tag, or -1: they are not all whole numbers. */
static mts_status find_largest(mts_ctx *ctx, const char *path, const tagged_set *s,
                               int64_t *largest)
{
    mts_status st = MTS_OK;
    int64_t most = -1, bad = -1;
    *largest = -1;
    for (int64_t i = 0; i < count_words(s); i++) {
        int64_t number = 0;
        if (!number_parse_integer(s->tags[i], &number))
            return MTS_OK;
        if ((number < 0 || number >= TAG_LABELS_MAX) && bad < 0)
            bad = i;
        most = number > most ? number : most;
    }
    MTS_CHECK(bad < 0, MTS_ERR_BAD_FILE, "%s:%lld: expected tags from 0 to %d, found %.24s", path,
              line_of(s, bad), TAG_LABELS_MAX - 1, s->tags[bad]);
    *largest = most;
cleanup:
    return st;
}

static mts_status collect_numbers(mts_ctx *ctx, int64_t n, tag_labels *out)
{
    mts_status st = MTS_OK;
    out->numbers = true;
    MTS_TRY(mem_calloc(ctx, &out->names, (size_t)n, sizeof out->names[0], "tags"));
    for (; out->n < n; out->n++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%lld", (long long)out->n);
        MTS_TRY(mem_strdup(ctx, &out->names[out->n], name));
    }
cleanup:
    return st;
}

static bool has_controls(const char *name)
{
    while (*name != '\0' && (unsigned char)*name >= ' ' && *name != 0x7F)
        name++;
    return *name != '\0';
}

static mts_status collect_texts(mts_ctx *ctx, const char *path, const tagged_set *s,
                                tag_labels *out)
{
    mts_status st = MTS_OK;
    const size_t words = (size_t)count_words(s);
    char quoted[UTF8_QUOTE_BYTES];
    const char **sorted = NULL;
    MTS_TRY(mem_calloc(ctx, &sorted, words, sizeof sorted[0], "tags"));
    memcpy((void *)sorted, (const void *)s->tags, words * sizeof sorted[0]);
    qsort((void *)sorted, words, sizeof sorted[0], compare_texts);
    MTS_TRY(mem_calloc(ctx, &out->names, TAG_LABELS_MAX, sizeof out->names[0], "tags"));
    for (size_t i = 0; i < words; i++) {
        if (i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0)
            continue;
        MTS_CHECK(out->n < TAG_LABELS_MAX, MTS_ERR_BAD_FILE,
                  "%s: expected at most %d different tags, found more", path, TAG_LABELS_MAX);
        MTS_CHECK(!has_controls(sorted[i]), MTS_ERR_BAD_FILE,
                  "%s: expected tags without control characters, found one in \"%s\"", path,
                  utf8_quote(quoted, sizeof quoted, sorted[i]));
        MTS_TRY(mem_strdup(ctx, &out->names[out->n], sorted[i]));
        out->n++;
    }
cleanup:
    mem_free((void *)sorted);
    return st;
}

mts_status tag_labels_collect(mts_ctx *ctx, const char *path, const tagged_set *s, tag_labels *out)
{
    mts_status st = MTS_OK;
    int64_t largest = -1;
    char quoted[UTF8_QUOTE_BYTES];
    *out = (tag_labels){0};
    MTS_TRY(find_largest(ctx, path, s, &largest));
    if (largest >= 0)
        MTS_TRY(collect_numbers(ctx, largest + 1, out));
    else
        MTS_TRY(collect_texts(ctx, path, s, out));
    MTS_CHECK(out->n >= 2, MTS_ERR_BAD_FILE,
              "%s: expected at least two different tags, found only \"%s\"", path,
              utf8_quote(quoted, sizeof quoted, out->names[0]));
cleanup:
    return st;
}

mts_status tag_labels_take(mts_ctx *ctx, const char *const *names, int64_t n, tag_labels *out)
{
    mts_status st = MTS_OK;
    *out = (tag_labels){0};
    MTS_TRY(mem_calloc(ctx, &out->names, (size_t)n, sizeof out->names[0], "tags"));
    for (; out->n < n; out->n++)
        MTS_TRY(mem_strdup(ctx, &out->names[out->n], names[out->n]));
cleanup:
    return st;
}

void tag_labels_deinit(tag_labels *labels)
{
    for (int64_t i = 0; i < labels->n; i++)
        mem_free(labels->names[i]);
    mem_free(labels->names);
    *labels = (tag_labels){0};
}

mts_status tag_labels_reorder(mts_ctx *ctx, tag_labels *labels, const char *const *names, int64_t n,
                              bool *same)
{
    mts_status st = MTS_OK;
    label_index index = {0};
    char **ordered = NULL;
    bool *taken = NULL;
    *same = false;
    if (n != labels->n)
        return MTS_OK;
    MTS_TRY(label_index_init(ctx, &index, labels->names, n));
    MTS_TRY(mem_calloc(ctx, &ordered, (size_t)n, sizeof ordered[0], "tags"));
    MTS_TRY(mem_calloc(ctx, &taken, (size_t)n, sizeof taken[0], "tags"));
    *same = true;
    for (int64_t i = 0; i < n && *same; i++) {
        const int64_t at = label_index_find(&index, names[i]);
        *same = at >= 0 && !taken[at] && strcmp(labels->names[at], names[i]) == 0;
        if (*same) {
            ordered[i] = labels->names[at];
            taken[at] = true; /* a file may name one twice */
        }
    }
    if (*same)
        memcpy(labels->names, ordered, (size_t)n * sizeof ordered[0]);
cleanup:
    label_index_deinit(&index);
    mem_free(ordered);
    mem_free(taken);
    return st;
}

/* By name; or else, where the names are no numbers themselves, by number. */
static int64_t find_tag(const label_index *index, const char *tag)
{
    int64_t number = -1;
    const int64_t found = label_index_find(index, tag);
    if (found >= 0 || index->integers || !number_parse_integer(tag, &number))
        return found;
    return number >= 0 && number < index->n ? number : -1;
}

mts_status tag_labels_encode(mts_ctx *ctx, const char *path, const tagged_set *s,
                             const tag_labels *labels, int32_t **out)
{
    mts_status st = MTS_OK;
    label_index index = {0};
    char list[LABEL_LIST_BYTES], quoted[UTF8_QUOTE_BYTES];
    *out = NULL;
    MTS_TRY(label_index_init(ctx, &index, labels->names, labels->n));
    MTS_TRY(mem_calloc(ctx, out, (size_t)count_words(s), sizeof(int32_t), "tags"));
    for (int64_t i = 0; i < count_words(s); i++) {
        const int64_t tag = find_tag(&index, s->tags[i]);
        if (tag < 0)
            label_list_names(labels->names, labels->n, list);
        MTS_CHECK(tag >= 0, MTS_ERR_BAD_FILE, "%s:%lld: expected one of the tags %s, found \"%s\"",
                  path, line_of(s, i), list, utf8_quote(quoted, sizeof quoted, s->tags[i]));
        (*out)[i] = (int32_t)tag;
    }
cleanup:
    label_index_deinit(&index);
    return st;
}

mts_status tag_labels_continued(mts_ctx *ctx, const tag_labels *labels, int32_t **out)
{
    mts_status st = MTS_OK;
    label_index index = {0};
    char *inside = NULL;
    *out = NULL;
    MTS_TRY(label_index_init(ctx, &index, labels->names, labels->n));
    MTS_TRY(mem_calloc(ctx, out, (size_t)labels->n, sizeof(int32_t), "tags"));
    for (int64_t i = 0; i < labels->n; i++) {
        (*out)[i] = (int32_t)i;
        if (strncmp(labels->names[i], "B-", 2) != 0)
            continue;
        MTS_TRY(mem_strdup(ctx, &inside, labels->names[i]));
        inside[0] = 'I';
        const int64_t found = label_index_find(&index, inside);
        if (found >= 0)
            (*out)[i] = (int32_t)found;
        mem_free(inside);
        inside = NULL;
    }
cleanup:
    label_index_deinit(&index);
    mem_free(inside);
    return st;
}
