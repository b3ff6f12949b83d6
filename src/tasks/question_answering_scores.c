/* Logits of all windows -> answers, metrics and files.  See question_answering.h. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/answer_files.h"
#include "tasks/answer_metrics.h"
#include "tasks/question_answering.h"

enum { OUTPUTS = 2 };

/* Keeps all logits: the windows of a question come in any order, and belong together. */
typedef struct scores {
    task_scores base;
    const question_answering *task; /* borrowed, as the set and the rows */
    const question_set *set;
    const encoded_dataset *rows;
    task_split split;
    float *logits; /* [tokens of all rows][OUTPUTS] */
} scores;

int64_t question_answering_metrics(const task *base, int64_t set, task_metric out[TASK_METRICS_MAX])
{
    const bool negative = ((const question_answering *)base)->rules.negative;
    int64_t n = 0;
    (void)set;
    for (const char *name; (name = answer_metrics_name(negative, n)) != NULL; n++) {
        snprintf(out[n].name, sizeof out[n].name, "%s", name);
        out[n].greater_is_better = true;
    }
    return n;
}

mts_status question_answering_scores_begin(mts_ctx *ctx, const task *base, task_split split,
                                           int64_t set, const encoded_dataset *rows,
                                           task_scores **out)
{
    mts_status st = MTS_OK;
    const question_answering *t = (const question_answering *)base;
    scores *s = NULL;
    (void)set;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &s, 1, sizeof *s, "scores"));
    s->base.class = base->class;
    s->task = t;
    s->set = &t->sets[split];
    s->rows = rows;
    s->split = split;
    MTS_TRY(mem_calloc(ctx, &s->logits, (size_t)rows->offsets[rows->n], OUTPUTS * sizeof(float),
                       "outputs of all windows"));
    *out = &s->base;
    s = NULL;
cleanup:
    if (s != NULL)
        question_answering_scores_close(&s->base);
    return st;
}

void question_answering_scores_close(task_scores *base)
{
    scores *s = (scores *)base;
    if (s == NULL)
        return;
    mem_free(s->logits);
    mem_free(s);
}

mts_status question_answering_scores_add(mts_ctx *ctx, task_scores *base, const batch *b,
                                         const int64_t *index, const float *outputs)
{
    scores *s = (scores *)base;
    (void)ctx;
    for (int64_t i = 0; i < b->n; i++) {
        const int64_t from = b->offsets[i], tokens = b->offsets[i + 1] - from;
        memcpy(s->logits + OUTPUTS * s->rows->offsets[index[i]], outputs + OUTPUTS * from,
               (size_t)(OUTPUTS * tokens) * sizeof(float));
    }
    return MTS_OK;
}

/* *text: a copy of the answer of a finished search, with a NUL behind. */
static mts_status copy_answer(mts_ctx *ctx, const answer_search *search, const char *context,
                              char **text)
{
    const char *part = NULL;
    size_t bytes = 0;
    answer_candidate_text(search->chosen < 0 ? NULL : &search->items[search->chosen], context,
                          &part, &bytes);
    return mem_strndup(ctx, text, part, bytes);
}

/* Answer question i; into metrics and files unless they are NULL. */
static mts_status answer_question(mts_ctx *ctx, const scores *s, int64_t i, answer_search *search,
                                  answer_metrics *metrics, answer_files *files)
{
    mts_status st = MTS_OK;
    const squad_set *set = &s->set->questions;
    const squad_question *q = &set->questions[i];
    const char *context = set->contexts[q->context].text;
    char *text = NULL;
    MTS_TRY(question_windows_search(ctx, &s->set->windows, s->rows, s->logits, i, search));
    if (files != NULL)
        MTS_TRY(answer_files_add(files, q->id, context, search));
    if (metrics != NULL) {
        MTS_TRY(copy_answer(ctx, search, context, &text));
        const squad_answer *answers = q->answers > 0 ? set->answers + q->first : NULL;
        MTS_TRY(answer_metrics_add(ctx, metrics, answers, q->answers, text, search->null_odds));
    }
cleanup:
    mem_free(text);
    return st;
}

mts_status question_answering_scores_finish(mts_ctx *ctx, task_scores *base, const char *dir,
                                            json_t *out)
{
    mts_status st = MTS_OK;
    const scores *s = (const scores *)base;
    const bool evaluate = s->split == TASK_EVAL, negative = s->task->rules.negative;
    const int64_t n = s->set->questions.n;
    answer_search search;
    answer_metrics metrics = {0};
    answer_files files = {0};
    answer_search_init(&search, &s->task->rules);
    if (evaluate)
        MTS_TRY(answer_metrics_init(ctx, &metrics, negative, n));
    if (dir != NULL)
        MTS_TRY(answer_files_open(ctx, &files, dir, evaluate ? "eval" : "predict", negative));
    for (int64_t i = 0; i < n; i++)
        MTS_TRY(answer_question(ctx, s, i, &search, evaluate ? &metrics : NULL,
                                dir != NULL ? &files : NULL));
    if (evaluate && out != NULL)
        MTS_TRY(answer_metrics_put(ctx, &metrics, out));
    if (dir != NULL)
        MTS_TRY(answer_files_commit(&files));
cleanup:
    answer_files_close(&files);
    answer_metrics_deinit(&metrics);
    answer_search_deinit(&search);
    return st;
}
