/*
 * Rows: file -> table -> texts and targets -> token ids.  See text_classification.h.
 * The texts stay where the table has them; the data set takes that memory over.
 */
#include "tasks/text_classification.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"

/* Largest data file: 4 GiB. */
#define TASK_FILE_LIMIT ((size_t)UINT32_MAX)

/* Rows times labels of sets, a byte each: 1 GiB. */
#define CELLS_MAX ((int64_t)1 << 30)

/* ---------------------------------------------------------------------------- tables ---- */

/* Whether one of the tab-separated fields of the first line is name. */
static bool first_line_has(const char *text, const char *name)
{
    const size_t n = strlen(name);
    for (;;) {
        const size_t field = strcspn(text, "\t\r\n");
        if (field == n && memcmp(text, name, n) == 0)
            return true;
        if (text[field] != '\t')
            return false;
        text += field + 1;
    }
}

mts_status text_classification_read(mts_ctx *ctx, const text_classification *tc, const char *path,
                                    bool skip_broken, table *out)
{
    mts_status st = MTS_OK;
    char *bytes = NULL;
    size_t n = 0;
    table_layout layout = {.skip_broken = skip_broken && tc->glue != NULL,
                           .n_names = GLUE_MAX_COLUMNS,
                           .nested = tc->glue == NULL};
    *out = (table){0};
    MTS_TRY(table_format_of_path(ctx, path, &layout.format));
    MTS_TRY(file_read_all(ctx, path, TASK_FILE_LIMIT, &bytes, &n));
    /* CoLA: train and dev have no header, test has one with the column "sentence". */
    if (tc->glue != NULL && tc->glue->headerless[0] != NULL &&
        !first_line_has(bytes, tc->glue->text_a.names[0]))
        layout.names = tc->glue->headerless;
    MTS_TRY(table_parse(ctx, out, path, &bytes, n, &layout));
    MTS_CHECK(out->n_rows > 0, MTS_ERR_BAD_FILE, "%s: expected rows, found only a header", path);
cleanup:
    mem_free(bytes);
    return st;
}

/* ---------------------------------------------------------------------------- labels ---- */

static mts_status fill_labels(mts_ctx *ctx, const text_classification *tc, const table *t,
                              int64_t column, dataset *d)
{
    mts_status st = MTS_OK;
    label_index index = {0};
    const label_source from = {tc, &index, t, column};
    if (tc->kind->named)
        MTS_TRY(label_index_init(ctx, &index, tc->label_names, tc->num_labels));
    for (int64_t row = 0; row < d->n; row++)
        MTS_TRY(tc->kind->read(ctx, &from, row, &d->targets));
cleanup:
    label_index_deinit(&index);
    return st;
}

/* ------------------------------------------------------------------------------ rows ---- */

static mts_status fill_texts(mts_ctx *ctx, const table *t, int64_t column, const char **texts,
                             int64_t n)
{
    mts_status st = MTS_OK;
    for (int64_t row = 0; row < n; row++) {
        MTS_TRY(table_cell(ctx, t, row, column, &texts[row]));
    }
cleanup:
    return st;
}

static bool is_quoted(const table *t, int64_t row, int64_t column)
{
    const char *text = "";
    if (column < 0 || table_cell(NULL, t, row, column, &text) != MTS_OK)
        return false;
    const size_t n = strlen(text);
    return n >= 2 && text[0] == '"' && text[n - 1] == '"';
}

/* GLUE's files: rows with a wrong number of fields, which other loaders leave out as well. */
static void note_skipped(const table *t, const task_reading *r)
{
    char text[1024];
    if (t->skipped == 0 || r->note == NULL)
        return;
    snprintf(text, sizeof text,
             "%s:%lld: expected %lld fields, found %lld: %lld such line%s left out", t->path,
             (long long)t->first_skipped, (long long)t->n_columns,
             (long long)t->first_skipped_fields, (long long)t->skipped,
             t->skipped == 1 ? " was" : "s were");
    r->note(r->user, text);
}

/* Own .tsv files: what a program that quotes fields made of one; the files of GLUE have none that
 * means it. */
static void note_quoted(const table *t, const text_columns *c, int64_t n, const task_reading *r)
{
    int64_t count = 0, first = -1;
    char text[1024];
    for (int64_t row = 0; row < n; row++) {
        if (!is_quoted(t, row, c->text_a) && !is_quoted(t, row, c->text_b) &&
            !is_quoted(t, row, c->label))
            continue;
        if (count++ == 0)
            first = t->lines[row];
    }
    if (count == 0 || r->note == NULL)
        return;
    snprintf(text, sizeof text,
             "%s:%lld: a field in double quotes, in %lld row%s: in a .tsv file they are part of "
             "the text; where they quote it, the file is to be a .csv",
             t->path, (long long)first, (long long)count, count == 1 ? "" : "s");
    r->note(r->user, text);
}

/* Own files: what was taken for text, where no training file was there to say it of. */
static void note_texts(const table *t, const text_columns *c, const task_reading *r)
{
    char text[2 * UTF8_QUOTE_BYTES + 64], a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES] = "";
    const bool pairs = c->text_b >= 0;
    if (r->note == NULL)
        return;
    utf8_quote(a, sizeof a, t->names[c->text_a]);
    if (pairs)
        utf8_quote(b, sizeof b, t->names[c->text_b]);
    snprintf(text, sizeof text, "text in column \"%s\"%s%s%s", a, pairs ? " and \"" : "", b,
             pairs ? "\"" : "");
    r->note(r->user, text);
}

/* *out: the rows of t, which is empty afterwards. */
static mts_status take_rows(mts_ctx *ctx, const text_classification *tc, table *t, bool labels,
                            int64_t max_rows, const task_reading *r, bool note_columns,
                            dataset *out)
{
    mts_status st = MTS_OK;
    text_columns columns = {0};
    table_format format = TABLE_TSV;
    const int64_t width = labels && tc->kind->target == TARGET_SET ? tc->num_labels : 0;
    const int64_t n = max_rows >= 0 && max_rows < t->n_rows ? max_rows : t->n_rows;
    MTS_TRY(table_format_of_path(ctx, t->path, &format));
    MTS_TRY(text_columns_find(ctx, &tc->columns, tc->glue, t, labels, &columns));
    MTS_CHECK(width == 0 || n <= CELLS_MAX / width, MTS_ERR_BAD_FILE,
              "%s: %lld rows with sets of %lld labels: expected at most %lld rows", t->path,
              (long long)n, (long long)width, (long long)(CELLS_MAX / width));
    MTS_TRY(dataset_init(ctx, out, n, columns.text_b >= 0, labels ? tc->kind->target : TARGET_NONE,
                         width));
    MTS_TRY(fill_texts(ctx, t, columns.text_a, out->text_a, n));
    if (columns.text_b >= 0)
        MTS_TRY(fill_texts(ctx, t, columns.text_b, out->text_b, n));
    if (labels)
        MTS_TRY(fill_labels(ctx, tc, t, columns.label, out));
    if (note_columns && tc->glue == NULL)
        note_texts(t, &columns, r);
    if (tc->glue == NULL && format == TABLE_TSV)
        note_quoted(t, &columns, n, r);
    out->storage = t->text;
    t->text = NULL;
cleanup:
    if (st != MTS_OK)
        dataset_deinit(out);
    return st;
}

/* Path of a set, and how many of its rows are used. */
static const char *path_of(const text_classification *tc, task_split split, int64_t set,
                           int64_t *max_rows)
{
    *max_rows = split == TASK_TRAIN  ? tc->max_train_samples
                : split == TASK_EVAL ? tc->max_eval_samples
                                     : tc->max_predict_samples;
    if (set < 0 || set >= tc->base.class->sets(&tc->base, split))
        return NULL;
    return split == TASK_TRAIN  ? tc->train_path
           : split == TASK_EVAL ? tc->eval_paths[set]
                                : tc->test_paths[set];
}

mts_status text_classification_load(mts_ctx *ctx, text_classification *tc, task_split split,
                                    int64_t set, const task_reading *r, bool note_columns,
                                    dataset *out)
{
    static const char *const options[] = {"train_file", "validation_file", "test_file"};
    mts_status st = MTS_OK;
    const bool labels = split != TASK_TEST;
    int64_t max_rows = -1;
    const char *path = path_of(tc, split, set, &max_rows);
    table t = {0};
    *out = (dataset){0};
    MTS_CHECK(path != NULL, MTS_ERR_ARGUMENT, "%s: expected set %lld, found %lld sets",
              options[split], (long long)set, (long long)tc->base.class->sets(&tc->base, split));
    MTS_CHECK(!labels || tc->num_labels > 0, MTS_ERR_ARGUMENT,
              "%s: expected a training file or a fine-tuned model to say which labels there are",
              path);
    if (split == TASK_TRAIN && tc->train_table.n_columns > 0) {
        t = tc->train_table;
        tc->train_table = (table){0};
    } else {
        MTS_TRY(text_classification_read(ctx, tc, path, split != TASK_TEST, &t));
    }
    note_skipped(&t, r);
    MTS_TRY(take_rows(ctx, tc, &t, labels, max_rows, r, note_columns, out));
cleanup:
    table_deinit(&t);
    return st;
}

mts_status text_classification_texts(mts_ctx *ctx, task *t, int64_t set, const task_reading *r,
                                     dataset *out)
{
    return text_classification_load(ctx, (text_classification *)t, TASK_TEST, set, r, true, out);
}

mts_status text_classification_encode(mts_ctx *ctx, task *t, task_split split, int64_t set,
                                      const task_reading *r, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    text_classification *tc = (text_classification *)t;
    dataset d = {0};
    int64_t max_rows;
    *out = (encoded_dataset){0};
    MTS_TRY(text_classification_load(ctx, tc, split, set, r, false, &d));
    MTS_TRY(encoded_dataset_build(ctx, out, dataset_rows(&d), r->tokenizer, r->max_length,
                                  r->threads, r->progress, r->user));
    out->targets = d.targets;
    d.targets = (targets){0};
    if (out->cut > 0 && r->note != NULL) {
        char text[1024];
        snprintf(text, sizeof text,
                 "%s: %lld of %lld rows were cut to --max_seq_length %lld tokens",
                 path_of(tc, split, set, &max_rows), (long long)out->cut, (long long)out->n,
                 (long long)r->max_length);
        r->note(r->user, text);
    }
cleanup:
    dataset_deinit(&d);
    return st;
}
