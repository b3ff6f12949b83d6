/* Labels: of the files, of a model, and how they fit.  See text_classification.h. */
#include "tasks/text_classification.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "tasks/label_cells.h"
#include "tasks/label_set.h"

void text_classification_forget_labels(text_classification *t)
{
    for (int64_t i = 0; i < t->num_labels && t->label_names != NULL; i++)
        mem_free(t->label_names[i]);
    mem_free(t->label_names);
    t->label_names = NULL;
}

mts_status text_classification_name_labels(mts_ctx *ctx, text_classification *t,
                                           const char *const *names, int64_t n)
{
    mts_status st = MTS_OK;
    text_classification_forget_labels(t);
    t->num_labels = n;
    MTS_TRY(mem_calloc(ctx, &t->label_names, (size_t)n, sizeof(char *), "label names"));
    for (int64_t i = 0; i < n; i++)
        MTS_TRY(mem_strdup(ctx, &t->label_names[i], names[i]));
cleanup:
    return st;
}

/* Metric of a task of own files, once its labels are known. */
static void set_file_kind(text_classification *t, const label_kind *kind)
{
    t->kind = kind;
    t->metric = kind->metric;
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
static mts_status reorder_labels(mts_ctx *ctx, text_classification *t, const char *const *names,
                                 bool *same)
{
    mts_status st = MTS_OK;
    const int64_t n = t->num_labels;
    label_entry *own = NULL, *wanted = NULL;
    char **ordered = NULL;
    MTS_TRY(sort_names(ctx, (const char *const *)t->label_names, n, &own));
    MTS_TRY(sort_names(ctx, names, n, &wanted));
    *same = true;
    for (int64_t i = 0; i < n && *same; i++)
        *same = strcasecmp(own[i].name, wanted[i].name) == 0;
    if (!*same)
        goto cleanup;
    MTS_TRY(mem_calloc(ctx, &ordered, (size_t)n, sizeof ordered[0], "label names"));
    for (int64_t i = 0; i < n; i++) {
        ordered[wanted[i].index] = t->label_names[own[i].index];
        if (t->glue != NULL && strcmp(own[i].name, t->glue->label_names[1]) == 0)
            t->positive_label = wanted[i].index;
    }
    memcpy(t->label_names, ordered, (size_t)n * sizeof ordered[0]);
cleanup:
    mem_free(own);
    mem_free(wanted);
    mem_free(ordered);
    return st;
}

mts_status text_classification_match_labels(mts_ctx *ctx, text_classification *t,
                                            const char *const *names, int64_t n,
                                            const label_kind *kind, label_match *match)
{
    mts_status st = MTS_OK;
    bool same = false;
    *match = LABELS_FIT;
    if (kind->named != t->kind->named || n != t->num_labels)
        *match = LABELS_OTHER_SHAPE;
    if (*match == LABELS_OTHER_SHAPE || !kind->named)
        return MTS_OK;
    MTS_TRY(reorder_labels(ctx, t, names, &same));
    if (!same && !are_unnamed(names, n))
        *match = LABELS_OTHER_NAMES;
cleanup:
    return st;
}

mts_status text_classification_take_labels(mts_ctx *ctx, text_classification *t,
                                           const char *const *names, int64_t n,
                                           const label_kind *kind)
{
    mts_status st = MTS_OK;
    label_match match;
    MTS_CHECK(!kind->named || n >= 2, MTS_ERR_ARGUMENT,
              "labels of the model: expected at least 2, found %lld", (long long)n);
    if (t->glue != NULL) {
        MTS_TRY(text_classification_match_labels(ctx, t, names, n, kind, &match));
        MTS_CHECK(kind->target != TARGET_SET, MTS_ERR_ARGUMENT,
                  "task %s: expected a model for one label of a text, found one for sets of labels",
                  t->glue->name);
        MTS_CHECK(match != LABELS_OTHER_SHAPE, MTS_ERR_ARGUMENT,
                  "task %s: expected a model for %lld %s, found one for %lld %s", t->glue->name,
                  (long long)t->num_labels, t->kind->named ? "labels" : "score", (long long)n,
                  kind->named ? "labels" : "score");
        MTS_CHECK(
            match == LABELS_FIT, MTS_ERR_ARGUMENT,
            "task %s: expected a model with labels \"%s\", \"%s\"..., found \"%s\", \"%s\"...",
            t->glue->name, t->label_names[0], t->label_names[1], names[0], names[1]);
        goto cleanup;
    }
    set_file_kind(t, kind);
    if (!kind->named) {
        text_classification_forget_labels(t);
        t->num_labels = 1;
    } else {
        t->label_by_number = are_unnamed(names, n);
        MTS_TRY(text_classification_name_labels(ctx, t, names, n));
    }
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------ fitting ---- */

/* Classes that differ in blanks alone: as other programs do, they are told apart, but said. */
static void note_twins(const label_set *labels, const table *t, int64_t column,
                       const task_reading *r)
{
    char text[1024], name[UTF8_QUOTE_BYTES], a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES];
    if (labels->twin_a < 0 || r->note == NULL)
        return;
    snprintf(text, sizeof text,
             "%s: \"%s\": the classes \"%s\" and \"%s\" differ in nothing but blanks around them",
             t->path, utf8_quote(name, sizeof name, t->names[column]),
             utf8_quote(a, sizeof a, labels->names[labels->twin_a]),
             utf8_quote(b, sizeof b, labels->names[labels->twin_b]));
    r->note(r->user, text);
}

/* Own files: columns and labels from the training file. */
static mts_status survey_train_file(mts_ctx *ctx, text_classification *t, const task_reading *r)
{
    mts_status st = MTS_OK;
    table *rows = &t->train_table;
    const label_kind *kind;
    label_set labels = {0};
    text_columns columns = {0};
    table_deinit(rows);
    MTS_TRY(text_classification_read(ctx, t, t->train_path, true, rows));
    MTS_TRY(text_columns_find(ctx, &t->columns, t->glue, rows, true, &columns));
    if (label_cells_hold_sets(rows, columns.label, t->label_separator)) {
        MTS_CHECK(t->do_regression != 1, MTS_ERR_ARGUMENT,
                  "do_regression: the labels of %s are sets", rows->path);
        kind = &label_kind_set;
        MTS_TRY(label_cells_collect(ctx, &labels, rows, columns.label, t->label_separator));
    } else {
        MTS_TRY(label_set_collect(ctx, &labels, rows, columns.label, t->do_regression));
        kind = labels.regression ? &label_kind_score : &label_kind_class;
    }
    if (t->columns.texts[0] == NULL) {
        MTS_TRY(mem_strdup(ctx, &t->columns.texts[0], rows->names[columns.text_a]));
        if (columns.text_b >= 0)
            MTS_TRY(mem_strdup(ctx, &t->columns.texts[1], rows->names[columns.text_b]));
    }
    if (t->columns.label == NULL && strcmp(rows->names[columns.label], "label") != 0)
        MTS_TRY(mem_strdup(ctx, &t->columns.label, rows->names[columns.label]));
    text_classification_forget_labels(t);
    note_twins(&labels, rows, columns.label, r);
    set_file_kind(t, kind);
    t->num_labels = labels.regression ? 1 : labels.n;
    t->label_names = labels.names;
    labels = (label_set){0};
cleanup:
    label_set_deinit(&labels);
    return st;
}

/* Own files: what was taken for text and label, and as what. */
static void note_columns(const text_classification *t, const task_reading *r)
{
    char a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES] = "", label[UTF8_QUOTE_BYTES], number[32];
    char text[4 * UTF8_QUOTE_BYTES + 64];
    if (r->note == NULL)
        return;
    utf8_quote(a, sizeof a, t->columns.texts[0]);
    if (t->columns.texts[1] != NULL)
        utf8_quote(b, sizeof b, t->columns.texts[1]);
    utf8_quote(label, sizeof label, t->columns.label != NULL ? t->columns.label : "label");
    snprintf(number, sizeof number, "%lld ", (long long)t->num_labels);
    snprintf(text, sizeof text, "text in column \"%s\"%s%s%s, label in column \"%s\": %s%s", a,
             b[0] != '\0' ? " and \"" : "", b, b[0] != '\0' ? "\"" : "", label,
             t->kind->named ? number : "", t->kind->noun);
    r->note(r->user, text);
}

/* The classes of the data in the order that the model has them in; other names: a new head. */
static mts_status fit_before_training(mts_ctx *ctx, text_classification *t, model_config *cfg,
                                      const task_reading *r)
{
    mts_status st = MTS_OK;
    label_match match;
    char theirs[UTF8_QUOTE_BYTES], own[UTF8_QUOTE_BYTES];
    if (t->glue == NULL) {
        MTS_TRY(survey_train_file(ctx, t, r));
        note_columns(t, r);
    }
    MTS_TRY(text_classification_match_labels(ctx, t, (const char *const *)cfg->labels,
                                             cfg->num_labels, label_kind_of_model(cfg), &match));
    t->base.other_labels = match == LABELS_OTHER_NAMES;
    if (match == LABELS_OTHER_NAMES)
        snprintf(t->base.why, sizeof t->base.why,
                 "other labels (\"%s\", ...) than the data (\"%s\", ...)",
                 utf8_quote(theirs, sizeof theirs, cfg->labels[0]),
                 utf8_quote(own, sizeof own, t->label_names[0]));
    MTS_TRY(model_config_set_labels(ctx, cfg, (const char *const *)t->label_names, t->num_labels,
                                    !t->kind->named));
    MTS_TRY(model_config_set_problem(ctx, cfg, t->kind->problem));
    if (t->glue != NULL)
        MTS_TRY(model_config_set_string(ctx, cfg, "finetuning_task", t->glue->name));
cleanup:
    return st;
}

mts_status text_classification_fit(mts_ctx *ctx, task *base, const char *model_dir,
                                   model_config *cfg, bool train, const task_reading *r)
{
    mts_status st = MTS_OK;
    text_classification *t = (text_classification *)base;
    (void)model_dir;
    if (train)
        MTS_TRY(fit_before_training(ctx, t, cfg, r));
    else
        MTS_TRY(text_classification_take_labels(ctx, t, (const char *const *)cfg->labels,
                                                cfg->num_labels, label_kind_of_model(cfg)));
    t->base.head = t->kind->head;
cleanup:
    return st;
}
