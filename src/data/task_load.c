/*
 * Rows of a task: file -> table -> texts and labels as numbers.  See task.h.
 * The texts stay where the table has them; the data set takes that memory over.
 */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/label_set.h"
#include "base/number_parse.h"
#include "data/task_internal.h"

/* Largest data file: 4 GiB. */
#define TASK_FILE_LIMIT ((size_t)UINT32_MAX)

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

mts_status task_read_table(mts_ctx *ctx, const task_spec *spec, const char *path, table *out)
{
    mts_status st = MTS_OK;
    char *bytes = NULL;
    size_t n = 0;
    table_format format = TABLE_TSV;
    const char *const *names = NULL;
    *out = (table){0};
    MTS_TRY(table_format_of_path(ctx, path, &format));
    MTS_TRY(file_read_all(ctx, path, TASK_FILE_LIMIT, &bytes, &n));
    /* CoLA: train and dev have no header, test has one with the column "sentence". */
    if (spec->glue != NULL && spec->glue->headerless[0] != NULL &&
        !first_line_has(bytes, spec->glue->text_a.names[0]))
        names = spec->glue->headerless;
    MTS_TRY(table_parse(ctx, out, path, &bytes, n, format, names, GLUE_MAX_COLUMNS));
    MTS_CHECK(out->n_rows > 0, MTS_ERR_BAD_FILE, "%s: expected rows, found only a header", path);
cleanup:
    mem_free(bytes);
    return st;
}

/* ---------------------------------------------------------------------------- labels ---- */

static mts_status parse_score(mts_ctx *ctx, const table *t, int64_t row, int64_t column,
                              float *score)
{
    mts_status st = MTS_OK;
    const char *text = NULL;
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES];
    double value = 0;
    MTS_TRY(table_cell(ctx, t, row, column, &text));
    MTS_CHECK(number_parse_real(text, &value) && fabs(value) <= (double)FLT_MAX, MTS_ERR_BAD_FILE,
              "%s:%lld: \"%s\": expected a finite number, found \"%s\"", t->path,
              (long long)t->lines[row], utf8_quote(name, sizeof name, t->names[column]),
              utf8_quote(found, sizeof found, text));
    *score = (float)value;
cleanup:
    return st;
}

/* "a", "b", "c", ... of the labels, for error texts. */
static void list_labels(char list[256], const task_spec *spec)
{
    size_t used = 0;
    list[0] = '\0';
    for (int64_t i = 0; i < spec->num_labels; i++) {
        char quoted[UTF8_QUOTE_BYTES];
        if (used + UTF8_QUOTE_BYTES + 16 > 256) {
            snprintf(list + used, 256 - used, ", ...");
            return;
        }
        used += (size_t)snprintf(list + used, 256 - used, "%s\"%s\"", i == 0 ? "" : ", ",
                                 utf8_quote(quoted, sizeof quoted, spec->label_names[i]));
    }
}

/* Class of a label written as its number: for GLUE in the task's own order; -1 if it is none. */
static int64_t class_by_number(const task_spec *spec, const label_index *index, const char *text)
{
    int64_t number = 0;
    if (!spec->label_by_number || !number_parse_integer(text, &number) || number < 0 ||
        number >= spec->num_labels)
        return -1;
    return spec->glue != NULL ? label_index_find(index, spec->glue->label_names[number]) : number;
}

static mts_status parse_class(mts_ctx *ctx, const task_spec *spec, const label_index *index,
                              const table *t, int64_t row, int64_t column, int32_t *out)
{
    mts_status st = MTS_OK;
    const char *text = NULL;
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES], list[256] = "";
    int64_t class_ = -1;
    MTS_TRY(table_cell(ctx, t, row, column, &text));
    class_ = label_index_find(index, text);
    if (class_ < 0)
        class_ = class_by_number(spec, index, text);
    if (class_ < 0)
        list_labels(list, spec);
    MTS_CHECK(class_ >= 0, MTS_ERR_BAD_FILE, "%s:%lld: \"%s\": expected one of %s, found \"%s\"",
              t->path, (long long)t->lines[row], utf8_quote(name, sizeof name, t->names[column]),
              list, utf8_quote(found, sizeof found, text));
    *out = (int32_t)class_;
cleanup:
    return st;
}

static mts_status fill_labels(mts_ctx *ctx, const task_spec *spec, const table *t, int64_t column,
                              dataset *d)
{
    mts_status st = MTS_OK;
    label_index index = {0};
    if (!spec->regression)
        MTS_TRY(label_index_init(ctx, &index, spec->label_names, spec->num_labels));
    for (int64_t row = 0; row < d->n; row++) {
        if (spec->regression)
            MTS_TRY(parse_score(ctx, t, row, column, &d->targets.score[row]));
        else
            MTS_TRY(parse_class(ctx, spec, &index, t, row, column, &d->targets.index[row]));
    }
cleanup:
    label_index_deinit(&index);
    return st;
}

/* ------------------------------------------------------------------------------ rows ---- */

static mts_status fill_texts(mts_ctx *ctx, const table *t, int64_t column, char **texts, int64_t n)
{
    mts_status st = MTS_OK;
    for (int64_t row = 0; row < n; row++) {
        const char *text = NULL;
        MTS_TRY(table_cell(ctx, t, row, column, &text));
        texts[row] = t->text + (text - t->text);
    }
cleanup:
    return st;
}

static bool is_quoted(const table *t, int64_t row, int64_t column)
{
    const int64_t cell = column < 0 ? -1 : t->cells[row * t->n_columns + column];
    const char *text = cell < 0 ? "" : t->text + cell;
    const size_t n = strlen(text);
    return n >= 2 && text[0] == '"' && text[n - 1] == '"';
}

/* What a program that quotes fields made of a TSV file; the files of GLUE have none that means it.
 */
static void find_quoted(const table *t, const task_columns *c, dataset *d)
{
    for (int64_t row = 0; row < d->n; row++) {
        if (!is_quoted(t, row, c->text_a) && !is_quoted(t, row, c->text_b) &&
            !is_quoted(t, row, c->label))
            continue;
        if (d->quoted_rows++ == 0)
            d->quoted_line = t->lines[row];
    }
}

static mts_status load_rows(mts_ctx *ctx, const task_spec *spec, const char *path, bool labels,
                            int64_t max_rows, dataset *out)
{
    mts_status st = MTS_OK;
    table t = {0};
    task_columns columns = {0};
    table_format format = TABLE_TSV;
    int64_t n = 0;
    *out = (dataset){0};
    MTS_CHECK(!labels || spec->num_labels > 0, MTS_ERR_ARGUMENT,
              "%s: expected a training file or a fine-tuned model to say which labels there are",
              path);
    MTS_TRY(task_read_table(ctx, spec, path, &t));
    MTS_TRY(table_format_of_path(ctx, path, &format));
    MTS_TRY(task_pick_columns(ctx, spec, &t, labels, &columns));
    n = max_rows >= 0 && max_rows < t.n_rows ? max_rows : t.n_rows;
    MTS_TRY(dataset_init(ctx, out, n, columns.text_b >= 0,
                         !labels            ? TARGET_NONE
                         : spec->regression ? TARGET_SCORE
                                            : TARGET_CLASS));
    MTS_TRY(fill_texts(ctx, &t, columns.text_a, out->text_a, n));
    if (columns.text_b >= 0)
        MTS_TRY(fill_texts(ctx, &t, columns.text_b, out->text_b, n));
    if (labels)
        MTS_TRY(fill_labels(ctx, spec, &t, columns.label, out));
    MTS_TRY(mem_strdup(ctx, &out->text_columns[0], t.names[columns.text_a]));
    if (columns.text_b >= 0)
        MTS_TRY(mem_strdup(ctx, &out->text_columns[1], t.names[columns.text_b]));
    if (spec->glue == NULL && format == TABLE_TSV)
        find_quoted(&t, &columns, out);
    out->storage = t.text;
    t.text = NULL;
cleanup:
    if (st != MTS_OK)
        dataset_deinit(out);
    table_deinit(&t);
    return st;
}

mts_status task_load_train(mts_ctx *ctx, const task_spec *spec, dataset *out)
{
    *out = (dataset){0};
    if (spec->train_path == NULL)
        return status_set(ctx, MTS_ERR_ARGUMENT, "train_file: expected a file, found none");
    return load_rows(ctx, spec, spec->train_path, true, spec->max_train_samples, out);
}

static int64_t count_paths(char *const paths[TASK_MAX_SETS])
{
    int64_t n = 0;
    while (n < TASK_MAX_SETS && paths[n] != NULL)
        n++;
    return n;
}

int64_t task_eval_count(const task_spec *spec)
{
    return count_paths(spec->eval_paths);
}

int64_t task_test_count(const task_spec *spec)
{
    return count_paths(spec->test_paths);
}

const char *task_set_suffix(const task_spec *spec, int64_t index)
{
    assert(index >= 0 && index < TASK_MAX_SETS);
    return spec->glue != NULL && spec->glue->suffixes[index] != NULL ? spec->glue->suffixes[index]
                                                                     : "";
}

mts_status task_load_eval(mts_ctx *ctx, const task_spec *spec, int64_t index, dataset *out)
{
    *out = (dataset){0};
    if (index < 0 || index >= task_eval_count(spec))
        return status_set(ctx, MTS_ERR_ARGUMENT,
                          "validation_file: expected evaluation set %lld, found %lld sets",
                          (long long)index, (long long)task_eval_count(spec));
    return load_rows(ctx, spec, spec->eval_paths[index], true, spec->max_eval_samples, out);
}

mts_status task_load_test(mts_ctx *ctx, const task_spec *spec, int64_t index, dataset *out)
{
    *out = (dataset){0};
    if (index < 0 || index >= task_test_count(spec))
        return status_set(ctx, MTS_ERR_ARGUMENT,
                          "test_file: expected test set %lld, found %lld sets", (long long)index,
                          (long long)task_test_count(spec));
    return load_rows(ctx, spec, spec->test_paths[index], false, spec->max_predict_samples, out);
}
