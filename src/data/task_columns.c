/* Which columns of a table are the texts and the label.  Rules in task.h. */
#include <string.h>

#include "base/utf8.h"
#include "data/task_internal.h"

#define LENGTH(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

/* *column: the first of a GLUE column's spellings that the table has.  The error names the official
 * one. */
static mts_status find_glue_column(mts_ctx *ctx, const table *t, const glue_column *column,
                                   int64_t *index)
{
    for (int64_t i = 0; i < GLUE_MAX_NAMES && column->names[i] != NULL; i++) {
        *index = table_column_index(t, column->names[i]);
        if (*index >= 0)
            return MTS_OK;
    }
    return table_find_column(ctx, t, column->names[0], index);
}

static mts_status pick_label(mts_ctx *ctx, const task_spec *spec, const table *t, int64_t *label)
{
    if (spec->label_column != NULL)
        return table_find_column(ctx, t, spec->label_column, label);
    if (spec->glue != NULL)
        return find_glue_column(ctx, t, &spec->glue->label, label);
    const mts_status st = table_find_column(ctx, t, "label", label);
    if (st != MTS_OK)
        status_prefix(ctx, "--label_column_name is not given");
    return st;
}

/* Texts by names that are usual for them; false if the table has none of these. */
static bool pick_usual_texts(const table *t, task_columns *out)
{
    static const char *const usual[][2] = {{"sentence1", "sentence2"}, {"premise", "hypothesis"},
                                           {"question1", "question2"}, {"question", "sentence"},
                                           {"sentence", NULL},         {"text", NULL}};
    for (int64_t i = 0; i < LENGTH(usual); i++) {
        out->text_a = table_column_index(t, usual[i][0]);
        out->text_b = usual[i][1] == NULL ? -1 : table_column_index(t, usual[i][1]);
        if (out->text_a >= 0 && (usual[i][1] == NULL || out->text_b >= 0))
            return true;
    }
    return false;
}

/* Texts by position: the first one or two columns that are neither label nor row number. */
static void pick_first_texts(const table *t, task_columns *out)
{
    static const char *const numbers[] = {"", "id", "idx", "index"};
    out->text_a = out->text_b = -1;
    for (int64_t i = 0; i < t->n_columns && out->text_b < 0; i++) {
        bool is_text = i != out->label;
        for (int64_t k = 0; k < LENGTH(numbers); k++)
            is_text = is_text && strcmp(t->names[i], numbers[k]) != 0;
        if (is_text && out->text_a < 0)
            out->text_a = i;
        else if (is_text)
            out->text_b = i;
    }
}

static mts_status pick_texts(mts_ctx *ctx, const task_spec *spec, const table *t, task_columns *out)
{
    mts_status st = MTS_OK;
    if (spec->text_columns[0] != NULL) {
        MTS_TRY(table_find_column(ctx, t, spec->text_columns[0], &out->text_a));
        if (spec->text_columns[1] != NULL)
            MTS_TRY(table_find_column(ctx, t, spec->text_columns[1], &out->text_b));
    } else if (spec->glue != NULL) {
        MTS_TRY(find_glue_column(ctx, t, &spec->glue->text_a, &out->text_a));
        if (spec->glue->text_b.names[0] != NULL)
            MTS_TRY(find_glue_column(ctx, t, &spec->glue->text_b, &out->text_b));
    } else if (!pick_usual_texts(t, out)) {
        pick_first_texts(t, out);
    }
    MTS_CHECK(out->text_a >= 0, MTS_ERR_BAD_FILE,
              "%s: expected a column of texts beside the label, found none", t->path);
cleanup:
    return st;
}

mts_status task_pick_columns(mts_ctx *ctx, const task_spec *spec, const table *t, bool need_label,
                             task_columns *out)
{
    mts_status st = MTS_OK;
    char name[UTF8_QUOTE_BYTES];
    *out = (task_columns){.text_a = -1, .text_b = -1, .label = -1};
    if (need_label)
        MTS_TRY(pick_label(ctx, spec, t, &out->label));
    else if (spec->label_column != NULL || spec->glue == NULL)
        out->label = table_column_index(t, spec->label_column ? spec->label_column : "label");
    MTS_TRY(pick_texts(ctx, spec, t, out));
    MTS_CHECK(
        out->text_a != out->text_b && out->text_a != out->label &&
            (out->text_b < 0 || out->text_b != out->label),
        MTS_ERR_ARGUMENT, "%s: expected different columns for texts and label, found \"%s\" twice",
        t->path,
        utf8_quote(
            name, sizeof name,
            t->names[out->text_b >= 0 && out->text_b == out->label ? out->text_b : out->text_a]));
cleanup:
    return st;
}
