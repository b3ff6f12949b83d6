/* Labels of a training file.  See label_set.h. */
#include "tasks/label_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "base/number_parse.h"

/* Bytes of an int64_t in decimal, with sign and NUL. */
#define INTEGER_BYTES 24

/* What the labels of a column look like; row < 0: there is none. */
typedef struct label_survey {
    bool has_text, has_real;
    int64_t first_text_row, first_not_finite_row;
} label_survey;

/* A part of a text. */
typedef struct span {
    const char *text;
    size_t n;
} span;

/* The text without blanks around it; those of C's isspace in any locale. */
static span strip(const char *text)
{
    static const char blanks[] = " \t\n\v\f\r";
    span s = {.text = text + strspn(text, blanks)};
    s.n = strlen(s.text);
    while (s.n > 0 && strchr(blanks, s.text[s.n - 1]) != NULL)
        s.n--;
    return s;
}

/* Longer than any number that is read. */
enum { NUMBER_BYTES = 128 };

/* Copy a span that may be a number; false: it is too long for one. */
static bool copy_span(span s, char out[NUMBER_BYTES])
{
    if (s.n >= NUMBER_BYTES)
        return false;
    memcpy(out, s.text, s.n);
    out[s.n] = '\0';
    return true;
}

bool label_integer(const char *label, int64_t *out)
{
    char text[NUMBER_BYTES];
    return number_parse_integer(label, out) ||
           (copy_span(strip(label), text) && number_parse_integer(text, out));
}

bool label_real(const char *label, double *out)
{
    char text[NUMBER_BYTES];
    return copy_span(strip(label), text) && number_parse_real(text, out);
}

/* Whether label is a spelling of NaN or infinity. */
static bool is_not_finite(const char *label)
{
    static const char *const spellings[] = {"nan", "inf", "infinity"};
    char text[NUMBER_BYTES];
    if (!copy_span(strip(label), text))
        return false;
    const bool sign = text[0] == '-' || text[0] == '+';
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        if (strcasecmp(text + sign, spellings[i]) == 0)
            return true;
    }
    return false;
}

/* labels[n_rows]: the cells of the column; *survey: what they are; strings of JSON are no numbers
 * unless read_strings. */
static mts_status survey_labels(mts_ctx *ctx, const table *t, int64_t column, bool read_strings,
                                const char **labels, label_survey *survey)
{
    mts_status st = MTS_OK;
    char name[UTF8_QUOTE_BYTES];
    *survey = (label_survey){.first_text_row = -1, .first_not_finite_row = -1};
    for (int64_t row = 0; row < t->n_rows; row++) {
        int64_t integer = 0;
        double real = 0;
        MTS_TRY(table_cell(ctx, t, row, column, &labels[row]));
        MTS_CHECK(strip(labels[row]).n > 0, MTS_ERR_BAD_FILE,
                  "%s:%lld: \"%s\": expected a label, found an empty field", t->path,
                  (long long)t->lines[row], utf8_quote(name, sizeof name, t->names[column]));
        const bool text = !read_strings && table_cell_kind(t, row, column) == TABLE_STRING;
        if (!text && label_integer(labels[row], &integer))
            continue;
        if (!text && label_real(labels[row], &real)) {
            survey->has_real = true;
        } else if (!text && is_not_finite(labels[row])) {
            if (survey->first_not_finite_row < 0)
                survey->first_not_finite_row = row;
        } else {
            if (!survey->has_text)
                survey->first_text_row = row;
            survey->has_text = true;
        }
    }
cleanup:
    return st;
}

static int compare_integers(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Append a class, unless it is the one appended last; names is sorted. */
static mts_status add_class(mts_ctx *ctx, label_set *set, const table *t, const char *name)
{
    mts_status st = MTS_OK;
    if (set->n > 0 && strcmp(set->names[set->n - 1], name) == 0)
        return MTS_OK;
    MTS_CHECK(set->n < LABEL_SET_MAX, MTS_ERR_BAD_FILE,
              "%s: expected at most %d different labels, found more", t->path, LABEL_SET_MAX);
    MTS_TRY(mem_strdup(ctx, &set->names[set->n], name));
    set->n++;
cleanup:
    return st;
}

static mts_status collect_integers(mts_ctx *ctx, label_set *set, const table *t,
                                   const char *const *labels)
{
    mts_status st = MTS_OK;
    int64_t *values = NULL;
    MTS_TRY(mem_calloc(ctx, &values, (size_t)t->n_rows, sizeof values[0], "labels"));
    for (int64_t row = 0; row < t->n_rows; row++)
        (void)label_integer(labels[row], &values[row]);
    qsort(values, (size_t)t->n_rows, sizeof values[0], compare_integers);
    for (int64_t row = 0; row < t->n_rows; row++) {
        char name[INTEGER_BYTES];
        snprintf(name, sizeof name, "%" PRId64, values[row]);
        MTS_TRY(add_class(ctx, set, t, name));
    }
cleanup:
    mem_free(values);
    return st;
}

static mts_status collect_texts(mts_ctx *ctx, label_set *set, const table *t, const char **labels)
{
    mts_status st = MTS_OK;
    qsort(labels, (size_t)t->n_rows, sizeof labels[0], compare_texts);
    for (int64_t row = 0; row < t->n_rows; row++)
        MTS_TRY(add_class(ctx, set, t, labels[row]));
cleanup:
    return st;
}

static int compare_spans(span a, span b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = memcmp(a.text, b.text, n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_stripped(const void *a, const void *b)
{
    return compare_spans(strip(((const label_entry *)a)->name),
                         strip(((const label_entry *)b)->name));
}

static mts_status find_twins(mts_ctx *ctx, label_set *set)
{
    mts_status st = MTS_OK;
    label_entry *sorted = NULL;
    MTS_TRY(mem_calloc(ctx, &sorted, (size_t)set->n, sizeof sorted[0], "label names"));
    for (int64_t i = 0; i < set->n; i++)
        sorted[i] = (label_entry){set->names[i], i};
    qsort(sorted, (size_t)set->n, sizeof sorted[0], compare_stripped);
    for (int64_t i = 1; i < set->n && set->twin_a < 0; i++) {
        if (compare_stripped(&sorted[i - 1], &sorted[i]) == 0) {
            set->twin_a = sorted[i - 1].index;
            set->twin_b = sorted[i].index;
        }
    }
cleanup:
    mem_free(sorted);
    return st;
}

mts_status label_set_collect(mts_ctx *ctx, label_set *out, const table *t, int64_t column,
                             int64_t do_regression)
{
    mts_status st = MTS_OK;
    const char **labels = NULL;
    label_survey survey = {0};
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES];
    int64_t bad = -1;
    bool as_texts = false;
    *out = (label_set){.twin_a = -1, .twin_b = -1};
    MTS_TRY(mem_calloc(ctx, &labels, (size_t)t->n_rows, sizeof labels[0], "labels"));
    MTS_TRY(survey_labels(ctx, t, column, do_regression == 1, labels, &survey));
    utf8_quote(name, sizeof name, t->names[column]);
    as_texts = survey.has_text || (survey.has_real && do_regression == 0);
    if (do_regression == 1 || !as_texts)
        bad = survey.has_text ? survey.first_text_row : survey.first_not_finite_row;
    MTS_CHECK(bad < 0, MTS_ERR_BAD_FILE, "%s:%lld: \"%s\": expected a finite number, found \"%s\"",
              t->path, (long long)t->lines[bad], name,
              utf8_quote(found, sizeof found, labels[bad]));
    out->regression = do_regression == 1 || (survey.has_real && !as_texts);
    if (out->regression)
        goto cleanup;
    MTS_TRY(mem_calloc(ctx, &out->names, LABEL_SET_MAX, sizeof out->names[0], "label names"));
    if (as_texts)
        MTS_TRY(collect_texts(ctx, out, t, labels));
    else
        MTS_TRY(collect_integers(ctx, out, t, labels));
    MTS_CHECK(out->n >= 2, MTS_ERR_BAD_FILE,
              "%s: \"%s\": expected at least two different labels, found only \"%s\"", t->path,
              name, utf8_quote(found, sizeof found, out->n == 0 ? "" : out->names[0]));
    MTS_TRY(find_twins(ctx, out));
cleanup:
    mem_free(labels);
    return st;
}

void label_set_deinit(label_set *set)
{
    if (set == NULL)
        return;
    for (int64_t i = 0; i < set->n; i++)
        mem_free(set->names[i]);
    mem_free(set->names);
    *set = (label_set){0};
}

void label_list_names(char *const *names, int64_t n, char list[LABEL_LIST_BYTES])
{
    size_t used = 0;
    list[0] = '\0';
    for (int64_t i = 0; i < n; i++) {
        char quoted[UTF8_QUOTE_BYTES];
        if (used + UTF8_QUOTE_BYTES + 16 > LABEL_LIST_BYTES) {
            snprintf(list + used, LABEL_LIST_BYTES - used, ", ...");
            return;
        }
        used += (size_t)snprintf(list + used, LABEL_LIST_BYTES - used, "%s\"%s\"",
                                 i == 0 ? "" : ", ", utf8_quote(quoted, sizeof quoted, names[i]));
    }
}

/* The usual spelling of an integer ("01", "+1": "1"); false if label is none. */
static bool spell_integer(char spelled[INTEGER_BYTES], const char *label)
{
    int64_t value = 0;
    if (!label_integer(label, &value))
        return false;
    snprintf(spelled, INTEGER_BYTES, "%" PRId64, value);
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const label_entry *)a)->name, ((const label_entry *)b)->name);
}

mts_status label_index_init(mts_ctx *ctx, label_index *out, char *const *names, int64_t n)
{
    mts_status st = MTS_OK;
    *out = (label_index){.n = n, .integers = true};
    MTS_TRY(mem_calloc(ctx, &out->sorted, (size_t)n, sizeof out->sorted[0], "label index"));
    for (int64_t i = 0; i < n; i++) {
        char spelled[INTEGER_BYTES];
        out->sorted[i] = (label_entry){.name = names[i], .index = i};
        out->integers =
            out->integers && spell_integer(spelled, names[i]) && strcmp(spelled, names[i]) == 0;
    }
    qsort(out->sorted, (size_t)n, sizeof out->sorted[0], compare_entries);
cleanup:
    return st;
}

void label_index_deinit(label_index *index)
{
    if (index == NULL)
        return;
    mem_free(index->sorted);
    *index = (label_index){0};
}

/* The class whose name is the span, or -1. */
static int64_t find_span(const label_index *index, span wanted)
{
    int64_t low = 0, high = index->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const char *name = index->sorted[middle].name;
        const int order = compare_spans((span){name, strlen(name)}, wanted);
        if (order == 0)
            return index->sorted[middle].index;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

int64_t label_index_find(const label_index *index, const char *label)
{
    char spelled[INTEGER_BYTES];
    if (index->integers && spell_integer(spelled, label))
        label = spelled;
    const int64_t found = find_span(index, (span){label, strlen(label)});
    return found >= 0 ? found : find_span(index, strip(label));
}
