/* Text classification: options to paths and names, and the class.  See text_classification.h. */
#include "tasks/text_classification.h"

#include <assert.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

static text_classification *self(task *t)
{
    return (text_classification *)t;
}

static const text_classification *self_const(const task *t)
{
    return (const text_classification *)t;
}

static void close_task(task *t)
{
    text_classification *tc = self(t);
    text_classification_forget_labels(tc);
    column_names_deinit(&tc->columns);
    mem_free(tc->train_path);
    for (int64_t i = 0; i < TASK_MAX_SETS; i++) {
        mem_free(tc->eval_paths[i]);
        mem_free(tc->test_paths[i]);
    }
    table_deinit(&tc->train_table);
    mem_free(tc->label_separator);
    mem_free(tc);
}

/* ------------------------------------------------------------------------------ opening ---- */

/* *out: dir/file, or NULL if file is NULL. */
static mts_status join_optional(mts_ctx *ctx, char **out, const char *dir, const char *file)
{
    return file == NULL ? MTS_OK : path_join(ctx, out, dir, file);
}

static mts_status open_glue(mts_ctx *ctx, const mts_options *o, text_classification *t)
{
    mts_status st = MTS_OK;
    char *folder = NULL;
    const char *dir = o->data_dir;
    const glue_task *glue = glue_task_find(o->task_name);
    MTS_CHECK(glue != NULL, MTS_ERR_ARGUMENT,
              "task_name: expected cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte or wnli, "
              "found \"%s\"",
              o->task_name);
    MTS_CHECK(dir != NULL, MTS_ERR_ARGUMENT,
              "task_name %s: expected data_dir, the folder of its files, found none", glue->name);
    MTS_CHECK(o->do_regression < 0 || glue->regression == (o->do_regression == 1), MTS_ERR_ARGUMENT,
              "do_regression: task_name %s has %s", glue->name,
              glue->regression ? "scores" : "classes");
    t->glue = glue;
    t->metric = glue->metric;
    t->kind = glue->regression ? &label_kind_score : &label_kind_class;
    t->label_by_number = !glue->regression;
    if (glue->regression)
        t->num_labels = 1;
    else
        MTS_TRY(text_classification_name_labels(ctx, t, glue->label_names, glue->num_labels));
    MTS_TRY(path_join(ctx, &folder, dir, glue->folder));
    if (dir_exists(folder))
        dir = folder;
    MTS_TRY(path_join(ctx, &t->train_path, dir, "train.tsv"));
    for (int64_t i = 0; i < TASK_MAX_SETS; i++) {
        MTS_TRY(join_optional(ctx, &t->eval_paths[i], dir, glue->dev_files[i]));
        MTS_TRY(join_optional(ctx, &t->test_paths[i], dir, glue->test_files[i]));
    }
cleanup:
    mem_free(folder);
    return st;
}

static const char separator_key[] = "label_separator"; /* in the folder of a model */

static mts_status recall_separator(mts_ctx *ctx, const mts_options *o, const json_t *stored,
                                   text_classification *t)
{
    mts_status st = MTS_OK;
    const char *text = NULL;
    MTS_TRY(json_util_string(ctx, NULL, stored, separator_key, &text));
    MTS_CHECK(text == NULL || text[0] != '\0', MTS_ERR_BAD_FILE,
              "%s: expected a text, found an empty one", separator_key);
    text = o->label_separator != NULL ? o->label_separator : text;
    if (text != NULL)
        MTS_TRY(mem_strdup(ctx, &t->label_separator, text));
cleanup:
    return st;
}

static mts_status open_files(mts_ctx *ctx, const mts_options *o, const json_t *stored,
                             text_classification *t)
{
    mts_status st = MTS_OK;
    MTS_CHECK(o->train_file != NULL || o->validation_file != NULL || o->test_file != NULL,
              MTS_ERR_ARGUMENT,
              "data: expected task_name with data_dir, or train_file, validation_file or "
              "test_file, found none");
    if (o->train_file != NULL)
        MTS_TRY(mem_strdup(ctx, &t->train_path, o->train_file));
    if (o->validation_file != NULL)
        MTS_TRY(mem_strdup(ctx, &t->eval_paths[0], o->validation_file));
    if (o->test_file != NULL)
        MTS_TRY(mem_strdup(ctx, &t->test_paths[0], o->test_file));
    MTS_TRY(column_names_recall(ctx, stored, &t->columns));
    MTS_TRY(recall_separator(ctx, o, stored, t));
cleanup:
    return st;
}

/* What no other task wants. */
static bool is_wanted(const mts_options *o, const char *head)
{
    (void)o;
    (void)head;
    return true;
}

static mts_status open_task(mts_ctx *ctx, const mts_options *o, const json_t *stored, task **out)
{
    mts_status st = MTS_OK;
    text_classification *t = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "task"));
    t->base.class = &text_classification_class;
    t->positive_label = 1;
    t->kind = &label_kind_class;
    t->max_train_samples = o->max_train_samples;
    t->max_eval_samples = o->max_eval_samples;
    t->max_predict_samples = o->max_predict_samples;
    t->do_regression = o->do_regression;
    t->label_bound = label_kind_bound(o->label_threshold);
    MTS_TRY(column_names_parse(ctx, o->text_column_names, o->label_column_name, &t->columns));
    if (o->task_name != NULL)
        MTS_TRY(open_glue(ctx, o, t));
    else
        MTS_TRY(open_files(ctx, o, stored, t));
    *out = &t->base;
    t = NULL;
cleanup:
    if (t != NULL)
        close_task(&t->base);
    return st;
}

/* --------------------------------------------------------------------------------- sets ---- */

static int64_t count_paths(char *const paths[TASK_MAX_SETS])
{
    int64_t n = 0;
    while (n < TASK_MAX_SETS && paths[n] != NULL)
        n++;
    return n;
}

static int64_t count_sets(const task *t, task_split split)
{
    const text_classification *tc = self_const(t);
    switch (split) {
    case TASK_TRAIN:
        return tc->train_path != NULL;
    case TASK_EVAL:
        return count_paths(tc->eval_paths);
    case TASK_TEST:
        break;
    }
    return count_paths(tc->test_paths);
}

static const char *suffix_of(const task *t, int64_t set)
{
    const glue_task *glue = self_const(t)->glue;
    assert(set >= 0 && set < TASK_MAX_SETS);
    return glue != NULL && glue->suffixes[set] != NULL ? glue->suffixes[set] : "";
}

static const char *input_at(const task *t, int64_t i)
{
    const text_classification *tc = self_const(t);
    const char *all[1 + 2 * TASK_MAX_SETS] = {tc->train_path};
    memcpy(all + 1, tc->eval_paths, sizeof tc->eval_paths);
    memcpy(all + 1 + TASK_MAX_SETS, tc->test_paths, sizeof tc->test_paths);
    for (int64_t k = 0; k < 1 + 2 * TASK_MAX_SETS; k++) {
        if (all[k] != NULL && i-- == 0)
            return all[k];
    }
    return NULL;
}

/* Own files: the columns, and what separates labels.  Those of a GLUE task are known by its name
 * and differ in copies. */
static mts_status store(mts_ctx *ctx, const task *t, json_t *object)
{
    const text_classification *tc = self_const(t);
    mts_status st = MTS_OK;
    if (tc->glue != NULL)
        return MTS_OK;
    MTS_TRY(column_names_store(ctx, &tc->columns, object));
    if (tc->label_separator != NULL)
        MTS_TRY(json_util_set(ctx, object, separator_key, json_string(tc->label_separator)));
cleanup:
    return st;
}

static const char *const result_files[] = {"predict_results.txt", "predict_results_mm.txt", NULL};

const task_class text_classification_class = {
    .name = "text_classification",
    .result_files = result_files,
    .usual_length = 128, /* run_glue.py's default */
    .wanted = is_wanted,
    .open = open_task,
    .close = close_task,
    .fit = text_classification_fit,
    .sets = count_sets,
    .suffix = suffix_of,
    .input = input_at,
    .encode = text_classification_encode,
    .texts = text_classification_texts,
    .store = store,
    .metrics = text_classification_metrics,
    .scores_begin = text_classification_scores_begin,
    .scores_add = text_classification_scores_add,
    .scores_finish = text_classification_scores_finish,
    .scores_close = text_classification_scores_close,
};
