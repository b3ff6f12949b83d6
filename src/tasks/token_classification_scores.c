/* Outputs of all tokens -> metrics, or predictions.txt.  See token_classification.h. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "tasks/entity_metrics.h"
#include "tasks/metrics.h"
#include "tasks/token_classification.h"

/* Keeps the best tag of each token: the sentences come in any order, and count in theirs. */
typedef struct scores {
    task_scores base;
    const token_classification *task; /* borrowed, as the rows */
    const encoded_dataset *rows;
    const word_rows *words; /* of TASK_TEST */
    task_split split;
    int32_t *tag; /* [tokens of all rows] */
} scores;

int64_t token_classification_metrics(const task *t, int64_t set, task_metric out[TASK_METRICS_MAX])
{
    static const char *const names[] = {"precision", "recall", "f1", "accuracy"};
    int64_t n = 0;
    (void)t, (void)set;
    for (; n < (int64_t)(sizeof names / sizeof names[0]); n++) {
        snprintf(out[n].name, sizeof out[n].name, "%s", names[n]);
        out[n].greater_is_better = true;
    }
    return n;
}

mts_status token_classification_scores_begin(mts_ctx *ctx, const task *base, task_split split,
                                             int64_t set, const encoded_dataset *rows,
                                             task_scores **out)
{
    mts_status st = MTS_OK;
    scores *s = NULL;
    (void)set;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &s, 1, sizeof *s, "scores"));
    s->base.class = base->class;
    s->task = (const token_classification *)base;
    s->rows = rows;
    s->words = &s->task->test_rows;
    s->split = split;
    MTS_TRY(mem_calloc(ctx, &s->tag, (size_t)rows->offsets[rows->n], sizeof s->tag[0],
                       "tags of all tokens"));
    *out = &s->base;
    s = NULL;
cleanup:
    if (s != NULL)
        token_classification_scores_close(&s->base);
    return st;
}

void token_classification_scores_close(task_scores *base)
{
    scores *s = (scores *)base;
    if (s == NULL)
        return;
    mem_free(s->tag);
    mem_free(s);
}

mts_status token_classification_scores_add(mts_ctx *ctx, task_scores *base, const batch *b,
                                           const int64_t *index, const float *outputs)
{
    scores *s = (scores *)base;
    const int64_t labels = s->task->labels.n;
    (void)ctx;
    for (int64_t i = 0; i < b->n; i++) {
        int32_t *to = s->tag + s->rows->offsets[index[i]];
        for (int64_t t = b->offsets[i]; t < b->offsets[i + 1]; t++)
            *to++ = (int32_t)metrics_first_largest(outputs + t * labels, labels);
    }
    return MTS_OK;
}

/* The tokens that have a target, in the order of the file. */
static entity_scores count_entities(const scores *s)
{
    const encoded_dataset *rows = s->rows;
    char *const *names = s->task->labels.names;
    entity_metrics m;
    entity_metrics_init(&m);
    for (int64_t i = 0; i < rows->n; i++) {
        for (int64_t t = rows->offsets[i]; t < rows->offsets[i + 1]; t++)
            if (rows->targets.index[t] >= 0)
                entity_metrics_add(&m, names[rows->targets.index[t]], names[s->tag[t]]);
        entity_metrics_end(&m);
    }
    return entity_metrics_finish(&m);
}

/* A tag; control characters, which a model's label may have, as blanks. */
static mts_status write_tag(file_writer *file, const char *tag, bool first)
{
    mts_status st = MTS_OK;
    if (!first)
        MTS_TRY(file_writer_write(file, " ", 1));
    for (const char *at = tag; *at != '\0'; at++)
        MTS_TRY(file_writer_write(file, (unsigned char)*at < ' ' ? " " : at, 1));
cleanup:
    return st;
}

/* A line of the tags of a sentence's words, blanks between them. */
static mts_status write_sentence(const scores *s, file_writer *file, int64_t row)
{
    mts_status st = MTS_OK;
    const encoded_dataset *rows = s->rows;
    int64_t word = 0;
    for (int64_t t = rows->offsets[row]; t < rows->offsets[row + 1]; t++) {
        for (; word < s->words->word[t]; word++) /* without tokens */
            MTS_TRY(write_tag(file, WORD_ROWS_OUTSIDE, word == 0));
        if (s->words->word[t] < 0)
            continue;
        MTS_TRY(write_tag(file, s->task->labels.names[s->tag[t]], word == 0));
        word++;
    }
    for (; word < s->words->words[row]; word++)
        MTS_TRY(write_tag(file, WORD_ROWS_OUTSIDE, word == 0));
    MTS_TRY(file_writer_write(file, "\n", 1));
cleanup:
    return st;
}

/* dir/predictions.txt, as run_ner.py writes it; a word without tokens has the tag O, so that the
 * others keep their places. */
static mts_status write_predictions(mts_ctx *ctx, const scores *s, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    file_writer *file = NULL;
    MTS_TRY(path_join(ctx, &path, dir, "predictions.txt"));
    MTS_TRY(file_writer_open(ctx, path, &file));
    for (int64_t row = 0; row < s->rows->n; row++)
        MTS_TRY(write_sentence(s, file, row));
    MTS_TRY(file_writer_commit(file));
cleanup:
    file_writer_close(file);
    mem_free(path);
    return st;
}

mts_status token_classification_scores_finish(mts_ctx *ctx, task_scores *base, const char *dir,
                                              json_t *out)
{
    mts_status st = MTS_OK;
    const scores *s = (const scores *)base;
    if (s->split == TASK_TEST)
        return write_predictions(ctx, s, dir);
    const entity_scores found = count_entities(s);
    MTS_TRY(task_put_number(ctx, out, "eval_precision", found.precision));
    MTS_TRY(task_put_number(ctx, out, "eval_recall", found.recall));
    MTS_TRY(task_put_number(ctx, out, "eval_f1", found.f1));
    MTS_TRY(task_put_number(ctx, out, "eval_accuracy", found.accuracy));
cleanup:
    return st;
}
