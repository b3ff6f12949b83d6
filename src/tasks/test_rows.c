/* The rows of test files.  See test_rows.h. */
#include "tasks/test_rows.h"

#include <string.h>

#include "base/memory.h"

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

mts_status test_rows_open(mts_ctx *ctx, const mts_options *o, const char *head,
                          const json_t *stored, task_note_fn *note, void *user, test_rows **out)
{
    mts_status st = MTS_OK;
    const task_reading reading = {.note = note, .user = user};
    test_rows *rows = NULL;
    task *t = NULL;
    int64_t sets = 0;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &rows, 1, sizeof *rows, "test rows"));
    MTS_TRY(task_open(ctx, o, head, stored, &t));
    MTS_CHECK(t->class->texts != NULL, MTS_ERR_UNSUPPORTED,
              "%s: the rows of this task are not texts that a predictor labels", t->class->name);
    sets = t->class->sets(t, TASK_TEST);
    for (int64_t i = 0; i < sets; i++)
        MTS_TRY(t->class->texts(ctx, t, i, &reading, &rows->sets[i]));
    MTS_TRY(join_sets(ctx, rows, sets));
    *out = rows;
    rows = NULL;
cleanup:
    task_close(t);
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
