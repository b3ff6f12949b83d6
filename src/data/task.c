/* Tasks: from options to a task_spec.  See task.h; the rows are loaded in task_load.c. */
#include "data/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/label_set.h"
#include "data/task_internal.h"

static void free_label_names(task_spec *spec)
{
    for (int64_t i = 0; i < spec->num_labels && spec->label_names != NULL; i++)
        mem_free(spec->label_names[i]);
    mem_free(spec->label_names);
    spec->label_names = NULL;
}

void task_deinit(task_spec *spec)
{
    if (spec == NULL)
        return;
    free_label_names(spec);
    mem_free(spec->name);
    mem_free(spec->text_columns[0]);
    mem_free(spec->text_columns[1]);
    mem_free(spec->label_column);
    mem_free(spec->train_path);
    for (int64_t i = 0; i < TASK_MAX_SETS; i++) {
        mem_free(spec->eval_paths[i]);
        mem_free(spec->test_paths[i]);
    }
    *spec = (task_spec){0};
}

/* Replace label_names by copies of names[n], and num_labels by n. */
static mts_status copy_label_names(mts_ctx *ctx, task_spec *spec, const char *const *names,
                                   int64_t n)
{
    mts_status st = MTS_OK;
    free_label_names(spec);
    spec->num_labels = n;
    MTS_TRY(mem_calloc(ctx, &spec->label_names, (size_t)n, sizeof(char *), "label names"));
    for (int64_t i = 0; i < n; i++)
        MTS_TRY(mem_strdup(ctx, &spec->label_names[i], names[i]));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------- resolving ---- */

/* *out: dir/file, or NULL if file is NULL. */
static mts_status join_optional(mts_ctx *ctx, char **out, const char *dir, const char *file)
{
    return file == NULL ? MTS_OK : path_join(ctx, out, dir, file);
}

static mts_status resolve_glue(mts_ctx *ctx, const mts_options *o, task_spec *spec)
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
    spec->glue = glue;
    spec->metric = glue->metric;
    spec->regression = glue->regression;
    spec->label_by_number = !glue->regression;
    MTS_TRY(mem_strdup(ctx, &spec->name, glue->name));
    if (glue->regression)
        spec->num_labels = 1;
    else
        MTS_TRY(copy_label_names(ctx, spec, glue->label_names, glue->num_labels));
    MTS_TRY(path_join(ctx, &folder, dir, glue->folder));
    if (dir_exists(folder))
        dir = folder;
    MTS_TRY(path_join(ctx, &spec->train_path, dir, "train.tsv"));
    for (int64_t i = 0; i < TASK_MAX_SETS; i++) {
        MTS_TRY(join_optional(ctx, &spec->eval_paths[i], dir, glue->dev_files[i]));
        MTS_TRY(join_optional(ctx, &spec->test_paths[i], dir, glue->test_files[i]));
    }
cleanup:
    mem_free(folder);
    return st;
}

/* Metric of a task of own files, once its labels are known. */
static void set_file_kind(task_spec *spec, bool regression)
{
    spec->regression = regression;
    spec->metric = regression ? METRIC_REGRESSION : METRIC_CLASSES;
}

/* Columns and labels from the training file. */
static mts_status survey_train_file(mts_ctx *ctx, task_spec *spec, int64_t do_regression)
{
    mts_status st = MTS_OK;
    table t = {0};
    label_set labels = {0};
    task_columns columns = {0};
    MTS_TRY(task_read_table(ctx, spec, spec->train_path, &t));
    MTS_TRY(task_pick_columns(ctx, spec, &t, true, &columns));
    MTS_TRY(label_set_collect(ctx, &labels, &t, columns.label, do_regression));
    if (spec->text_columns[0] == NULL) {
        MTS_TRY(mem_strdup(ctx, &spec->text_columns[0], t.names[columns.text_a]));
        if (columns.text_b >= 0)
            MTS_TRY(mem_strdup(ctx, &spec->text_columns[1], t.names[columns.text_b]));
    }
    set_file_kind(spec, labels.regression);
    spec->num_labels = labels.regression ? 1 : labels.n;
    spec->label_names = labels.names;
    labels = (label_set){0};
cleanup:
    label_set_deinit(&labels);
    table_deinit(&t);
    return st;
}

static mts_status resolve_files(mts_ctx *ctx, const mts_options *o, task_spec *spec)
{
    mts_status st = MTS_OK;
    MTS_CHECK(o->train_file != NULL || o->validation_file != NULL || o->test_file != NULL,
              MTS_ERR_ARGUMENT,
              "data: expected task_name with data_dir, or train_file, validation_file or "
              "test_file, found none");
    MTS_TRY(mem_strdup(ctx, &spec->name, "custom"));
    if (o->train_file != NULL)
        MTS_TRY(mem_strdup(ctx, &spec->train_path, o->train_file));
    if (o->validation_file != NULL)
        MTS_TRY(mem_strdup(ctx, &spec->eval_paths[0], o->validation_file));
    if (o->test_file != NULL)
        MTS_TRY(mem_strdup(ctx, &spec->test_paths[0], o->test_file));
    if (spec->train_path != NULL)
        MTS_TRY(survey_train_file(ctx, spec, o->do_regression));
cleanup:
    return st;
}

/* text_column_names: one name, or two with a comma between. */
static mts_status split_text_columns(mts_ctx *ctx, const char *names, task_spec *spec)
{
    mts_status st = MTS_OK;
    const size_t first = strcspn(names, ",");
    const char *second = names[first] == '\0' ? NULL : names + first + 1;
    MTS_CHECK(first > 0 && (second == NULL || (*second != '\0' && strchr(second, ',') == NULL)),
              MTS_ERR_ARGUMENT,
              "text_column_names: expected one or two names with a comma between, found \"%s\"",
              names);
    MTS_TRY(mem_strndup(ctx, &spec->text_columns[0], names, first));
    if (second != NULL)
        MTS_TRY(mem_strdup(ctx, &spec->text_columns[1], second));
cleanup:
    return st;
}

mts_status task_resolve(mts_ctx *ctx, const mts_options *options, task_spec *out)
{
    mts_status st = MTS_OK;
    *out = (task_spec){.positive_label = 1,
                       .max_train_samples = options->max_train_samples,
                       .max_eval_samples = options->max_eval_samples,
                       .max_predict_samples = options->max_predict_samples};
    if (options->text_column_names != NULL)
        MTS_TRY(split_text_columns(ctx, options->text_column_names, out));
    if (options->label_column_name != NULL)
        MTS_TRY(mem_strdup(ctx, &out->label_column, options->label_column_name));
    if (options->task_name != NULL)
        MTS_TRY(resolve_glue(ctx, options, out));
    else
        MTS_TRY(resolve_files(ctx, options, out));
cleanup:
    return st;
}

/* ----------------------------------------------------------------- labels of a model ---- */

/* Whether names are "LABEL_0", "LABEL_1", ...: what a model has whose labels nobody named. */
static bool are_unnamed(const char *const *names, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        char usual[32];
        snprintf(usual, sizeof usual, "LABEL_%lld", (long long)i);
        if (strcmp(names[i], usual) != 0)
            return false;
    }
    return true;
}

/* By name without regard to case; names that differ in nothing else, by case. */
static int compare_entries(const void *a, const void *b)
{
    const label_entry *x = a, *y = b;
    const int order = strcasecmp(x->name, y->name);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* *out: n entries in that order, of names[n]. */
static mts_status sort_names(mts_ctx *ctx, const char *const *names, int64_t n, label_entry **out)
{
    mts_status st = MTS_OK;
    MTS_TRY(mem_calloc(ctx, out, (size_t)n, sizeof **out, "label names"));
    for (int64_t i = 0; i < n; i++)
        (*out)[i] = (label_entry){names[i], i};
    qsort(*out, (size_t)n, sizeof **out, compare_entries);
cleanup:
    return st;
}

/* Put the task's own names into the order of names[num_labels]; *same: whether these are the task's
 * names, in any case.  Otherwise nothing is done. */
static mts_status reorder_labels(mts_ctx *ctx, task_spec *spec, const char *const *names,
                                 bool *same)
{
    mts_status st = MTS_OK;
    const int64_t n = spec->num_labels;
    label_entry *own = NULL, *wanted = NULL;
    char **ordered = NULL;
    MTS_TRY(sort_names(ctx, (const char *const *)spec->label_names, n, &own));
    MTS_TRY(sort_names(ctx, names, n, &wanted));
    *same = true;
    for (int64_t i = 0; i < n && *same; i++)
        *same = strcasecmp(own[i].name, wanted[i].name) == 0;
    if (!*same)
        goto cleanup;
    MTS_TRY(mem_calloc(ctx, &ordered, (size_t)n, sizeof ordered[0], "label names"));
    for (int64_t i = 0; i < n; i++) {
        ordered[wanted[i].index] = spec->label_names[own[i].index];
        if (spec->glue != NULL && strcmp(own[i].name, spec->glue->label_names[1]) == 0)
            spec->positive_label = wanted[i].index;
    }
    memcpy(spec->label_names, ordered, (size_t)n * sizeof ordered[0]);
cleanup:
    mem_free(own);
    mem_free(wanted);
    mem_free(ordered);
    return st;
}

mts_status task_match_labels(mts_ctx *ctx, task_spec *spec, const char *const *names, int64_t n,
                             bool regression, task_match *match)
{
    mts_status st = MTS_OK;
    bool same = false;
    *match = TASK_MATCH_FITS;
    if (regression != spec->regression || n != spec->num_labels)
        *match = TASK_MATCH_SHAPE;
    if (*match == TASK_MATCH_SHAPE || regression)
        return MTS_OK;
    MTS_TRY(reorder_labels(ctx, spec, names, &same));
    if (!same && !are_unnamed(names, n))
        *match = TASK_MATCH_NAMES;
cleanup:
    return st;
}

mts_status task_set_labels(mts_ctx *ctx, task_spec *spec, const char *const *names, int64_t n,
                           bool regression)
{
    mts_status st = MTS_OK;
    task_match match;
    MTS_CHECK(regression || n >= 2, MTS_ERR_ARGUMENT,
              "labels of the model: expected at least 2, found %lld", (long long)n);
    if (spec->glue != NULL) {
        MTS_TRY(task_match_labels(ctx, spec, names, n, regression, &match));
        MTS_CHECK(match != TASK_MATCH_SHAPE, MTS_ERR_ARGUMENT,
                  "task %s: expected a model for %lld %s, found one for %lld %s", spec->name,
                  (long long)spec->num_labels, spec->regression ? "score" : "labels",
                  (long long)(regression ? 1 : n), regression ? "score" : "labels");
        MTS_CHECK(
            match == TASK_MATCH_FITS, MTS_ERR_ARGUMENT,
            "task %s: expected a model with labels \"%s\", \"%s\"..., found \"%s\", \"%s\"...",
            spec->name, spec->label_names[0], spec->label_names[1], names[0], names[1]);
        goto cleanup;
    }
    set_file_kind(spec, regression);
    if (regression) {
        free_label_names(spec);
        spec->num_labels = 1;
    } else {
        spec->label_by_number = are_unnamed(names, n);
        MTS_TRY(copy_label_names(ctx, spec, names, n));
    }
cleanup:
    return st;
}
