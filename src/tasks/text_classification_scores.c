/* Outputs of the head -> metrics, or predict_results.txt.  See text_classification.h. */
#include "tasks/text_classification.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* TASK_EVAL collects in metrics, TASK_TEST the predictions of all rows. */
typedef struct scores {
    task_scores base;
    const text_classification *task; /* borrowed */
    task_split split;
    int64_t set, rows;
    metrics metrics;
    targets predicted;
} scores;

int64_t text_classification_metrics(const task *base, int64_t set,
                                    task_metric out[TASK_METRICS_MAX])
{
    const text_classification *t = (const text_classification *)base;
    const char *names[METRIC_LIST_MAX];
    const int64_t n = metrics_names(t->metric, t->num_labels, names);
    for (int64_t i = 0; i < n; i++) {
        snprintf(out[i].name, sizeof out[i].name, "%s%s", names[i], base->class->suffix(base, set));
        out[i].greater_is_better = metrics_greater_is_better(names[i]);
    }
    return n;
}

mts_status text_classification_scores_begin(mts_ctx *ctx, const task *base, task_split split,
                                            int64_t set, const encoded_dataset *rows,
                                            task_scores **out)
{
    mts_status st = MTS_OK;
    const text_classification *t = (const text_classification *)base;
    scores *s = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &s, 1, sizeof *s, "scores"));
    s->base.class = base->class;
    s->task = t;
    s->split = split;
    s->set = set;
    s->rows = rows->n;
    if (split == TASK_TEST)
        MTS_TRY(targets_init(ctx, &s->predicted, t->kind->target, t->num_labels, rows->n, 0));
    else
        MTS_TRY(
            metrics_init(ctx, &s->metrics, t->metric, t->num_labels, t->positive_label, rows->n));
    s->metrics.bound = t->label_bound;
    *out = &s->base;
    s = NULL;
cleanup:
    if (s != NULL)
        text_classification_scores_close(&s->base);
    return st;
}

void text_classification_scores_close(task_scores *base)
{
    scores *s = (scores *)base;
    if (s == NULL)
        return;
    metrics_deinit(&s->metrics);
    targets_deinit(&s->predicted);
    mem_free(s);
}

mts_status text_classification_scores_add(mts_ctx *ctx, task_scores *base, const batch *b,
                                          const int64_t *index, const float *outputs)
{
    scores *s = (scores *)base;
    const int64_t width = s->task->num_labels;
    (void)ctx;
    if (s->split != TASK_TEST) {
        metrics_add(&s->metrics, outputs, &b->targets, b->n);
        return MTS_OK;
    }
    for (int64_t i = 0; i < b->n; i++)
        s->task->kind->predict(s->task, outputs + i * width, index[i], &s->predicted);
    return MTS_OK;
}

/* One line of predict_results.txt. */
static mts_status write_row(mts_ctx *ctx, const scores *s, file_writer *file, int64_t row)
{
    mts_status st = MTS_OK;
    char text[32];
    const int n = snprintf(text, sizeof text, "%lld\t", (long long)row);
    MTS_TRY(file_writer_write(file, text, (size_t)n));
    MTS_TRY(s->task->kind->write(ctx, s->task, &s->predicted, row, file));
    MTS_TRY(file_writer_write(file, "\n", 1));
cleanup:
    return st;
}

/* dir/predict_results*.txt, as run_glue.py writes it. */
static mts_status write_predictions(mts_ctx *ctx, const scores *s, const char *dir)
{
    mts_status st = MTS_OK;
    static const char header[] = "index\tprediction\n";
    const task *base = &s->task->base;
    char name[64];
    char *path = NULL;
    file_writer *file = NULL;
    snprintf(name, sizeof name, "predict_results%s.txt", base->class->suffix(base, s->set));
    MTS_TRY(path_join(ctx, &path, dir, name));
    MTS_TRY(file_writer_open(ctx, path, &file));
    MTS_TRY(file_writer_write(file, header, sizeof header - 1));
    for (int64_t row = 0; row < s->rows; row++)
        MTS_TRY(write_row(ctx, s, file, row));
    MTS_TRY(file_writer_commit(file));
cleanup:
    file_writer_close(file);
    mem_free(path);
    return st;
}

mts_status text_classification_scores_finish(mts_ctx *ctx, task_scores *base, const char *dir,
                                             json_t *out)
{
    mts_status st = MTS_OK;
    const scores *s = (const scores *)base;
    const task *t = &s->task->base;
    metric_list list;
    if (s->split == TASK_TEST)
        return write_predictions(ctx, s, dir);
    MTS_TRY(metrics_result(ctx, &s->metrics, t->class->suffix(t, s->set), &list));
    for (int64_t i = 0; i < list.n; i++)
        MTS_TRY(task_put_number(ctx, out, list.items[i].key, list.items[i].value));
cleanup:
    return st;
}
