/* The rows of test files.  See test_rows.h. */
#include "train/test_rows.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

enum { NOTE_BYTES = 1024 };

static void note(const mts_callbacks *callbacks, const char *text)
{
    const mts_event event = {.kind = MTS_EVENT_NOTE, .text = text};
    if (callbacks != NULL && callbacks->on_event != NULL)
        callbacks->on_event(callbacks->user, &event);
}

/* What was taken for text: a user's own files have no fixed columns. */
static void note_columns(const mts_callbacks *callbacks, const dataset *d)
{
    char text[NOTE_BYTES], a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES] = "";
    const bool pairs = d->text_columns[1] != NULL;
    utf8_quote(a, sizeof a, d->text_columns[0]);
    if (pairs)
        utf8_quote(b, sizeof b, d->text_columns[1]);
    snprintf(text, sizeof text, "text in column \"%s\"%s%s%s", a, pairs ? " and \"" : "", b,
             pairs ? "\"" : "");
    note(callbacks, text);
}

static mts_status load_set(mts_ctx *ctx, const task_spec *task, int64_t set,
                           const mts_callbacks *callbacks, dataset *d)
{
    mts_status st = MTS_OK;
    char text[NOTE_BYTES];
    MTS_TRY(task_load_test(ctx, task, set, d));
    if (task->glue == NULL)
        note_columns(callbacks, d);
    if (dataset_quotes_note(d, task->test_paths[set], text, sizeof text))
        note(callbacks, text);
cleanup:
    return st;
}

/* The texts of all sets in one array; the sets of one task have the same columns. */
static mts_status join_sets(mts_ctx *ctx, test_rows *rows, int64_t sets)
{
    mts_status st = MTS_OK;
    int64_t done = 0;
    for (int64_t i = 0; i < sets; i++)
        rows->n += rows->sets[i].n;
    MTS_TRY(mem_calloc(ctx, &rows->text_a, (size_t)rows->n, sizeof(char *), "texts"));
    if (rows->sets[0].text_b != NULL)
        MTS_TRY(mem_calloc(ctx, &rows->text_b, (size_t)rows->n, sizeof(char *), "texts"));
    for (int64_t i = 0; i < sets; i++) {
        const dataset *d = &rows->sets[i];
        const size_t bytes = (size_t)d->n * sizeof(char *);
        memcpy(rows->text_a + done, d->text_a, bytes);
        if (rows->text_b != NULL)
            memcpy(rows->text_b + done, d->text_b, bytes);
        done += d->n;
    }
cleanup:
    return st;
}

mts_status test_rows_open(mts_ctx *ctx, const mts_options *o, const mts_callbacks *callbacks,
                          test_rows **out)
{
    mts_status st = MTS_OK;
    test_rows *rows = NULL;
    task_spec task = {0};
    mts_options only_test = *o; /* a training file would be read for its labels */
    int64_t sets = 0;
    *out = NULL;
    only_test.train_file = only_test.validation_file = NULL;
    MTS_TRY(mem_calloc(ctx, &rows, 1, sizeof *rows, "test rows"));
    MTS_TRY(task_resolve(ctx, &only_test, &task));
    sets = task_test_count(&task);
    for (int64_t i = 0; i < sets; i++)
        MTS_TRY(load_set(ctx, &task, i, callbacks, &rows->sets[i]));
    MTS_TRY(join_sets(ctx, rows, sets));
    *out = rows;
    rows = NULL;
cleanup:
    task_deinit(&task);
    test_rows_close(rows);
    return st;
}

void test_rows_close(test_rows *rows)
{
    if (rows == NULL)
        return;
    for (int i = 0; i < TASK_MAX_SETS; i++)
        dataset_deinit(&rows->sets[i]);
    mem_free((void *)rows->text_a);
    mem_free((void *)rows->text_b);
    mem_free(rows);
}
