/* Which columns of a table are the texts and the label.  See text_columns.h. */
#include "tasks/text_columns.h"

#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

#define LENGTH(array) ((int64_t)(sizeof(array) / sizeof((array)[0])))

void column_names_deinit(column_names *names)
{
    mem_free(names->texts[0]);
    mem_free(names->texts[1]);
    mem_free(names->label);
    *names = (column_names){0};
}

mts_status column_names_parse(mts_ctx *ctx, const char *texts, const char *label, column_names *out)
{
    mts_status st = MTS_OK;
    const size_t first = texts == NULL ? 0 : strcspn(texts, ",");
    const char *second = texts == NULL || texts[first] == '\0' ? NULL : texts + first + 1;
    *out = (column_names){0};
    MTS_CHECK(
        texts == NULL ||
            (first > 0 && (second == NULL || (*second != '\0' && strchr(second, ',') == NULL))),
        MTS_ERR_ARGUMENT,
        "text_column_names: expected one or two names with a comma between, found \"%s\"", texts);
    if (texts != NULL)
        MTS_TRY(mem_strndup(ctx, &out->texts[0], texts, first));
    if (second != NULL)
        MTS_TRY(mem_strdup(ctx, &out->texts[1], second));
    if (label != NULL)
        MTS_TRY(mem_strdup(ctx, &out->label, label));
cleanup:
    return st;
}

/* Keys in the folder of a model: those of the options. */
static const char texts_key[] = "text_column_names", label_key[] = "label_column_name";

/* An array and not the option's text: a name may hold a comma. */
mts_status column_names_store(mts_ctx *ctx, const column_names *names, json_t *object)
{
    mts_status st = MTS_OK;
    json_t *texts = json_array();
    MTS_CHECK(texts != NULL, MTS_ERR_MEMORY, "out of memory: names of columns");
    for (int i = 0; i < 2 && names->texts[i] != NULL; i++)
        MTS_CHECK(json_array_append_new(texts, json_string(names->texts[i])) == 0, MTS_ERR_MEMORY,
                  "out of memory: names of columns");
    MTS_TRY(json_util_set(ctx, object, texts_key, json_incref(texts)));
    MTS_TRY(json_util_set(ctx, object, label_key,
                          json_string(names->label != NULL ? names->label : "label")));
cleanup:
    json_decref(texts);
    return st;
}

static mts_status recall_texts(mts_ctx *ctx, const json_t *array, column_names *names)
{
    mts_status st = MTS_OK;
    const size_t n = json_array_size(array); /* 0 if it is none */
    MTS_CHECK(n == 1 || n == 2, MTS_ERR_BAD_FILE,
              "%s: expected an array of one or two names, found %s", texts_key,
              json_is_array(array) ? "another number of them" : json_util_type_name(array));
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(array, i));
        MTS_CHECK(name != NULL, MTS_ERR_BAD_FILE, "%s: expected names, found %s", texts_key,
                  json_util_type_name(json_array_get(array, i)));
        MTS_TRY(mem_strdup(ctx, &names->texts[i], name));
    }
    names->texts_stored = true;
cleanup:
    return st;
}

mts_status column_names_recall(mts_ctx *ctx, const json_t *stored, column_names *names)
{
    mts_status st = MTS_OK;
    const json_t *texts = json_object_get(stored, texts_key);
    const char *label = NULL;
    if (stored == NULL)
        return MTS_OK;
    if (texts != NULL && names->texts[0] == NULL)
        MTS_TRY(recall_texts(ctx, texts, names));
    MTS_TRY(json_util_string(ctx, NULL, stored, label_key, &label));
    if (label != NULL && names->label == NULL) {
        MTS_TRY(mem_strdup(ctx, &names->label, label));
        names->label_stored = true;
    }
cleanup:
    return st;
}

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

/* "label", or where there is none "labels". */
static const char *usual_label(const table *t)
{
    return table_column_index(t, "label") < 0 && table_column_index(t, "labels") >= 0 ? "labels"
                                                                                      : "label";
}

static mts_status pick_label(mts_ctx *ctx, const column_names *names, const glue_task *glue,
                             const table *t, int64_t *label)
{
    char quoted[UTF8_QUOTE_BYTES];
    if (names->label == NULL && glue != NULL)
        return find_glue_column(ctx, t, &glue->label, label);
    const mts_status st =
        table_find_column(ctx, t, names->label != NULL ? names->label : usual_label(t), label);
    if (st != MTS_OK && names->label_stored)
        status_prefix(ctx, "--label_column_name is not given, and the model was trained on \"%s\"",
                      utf8_quote(quoted, sizeof quoted, names->label));
    else if (st != MTS_OK && names->label == NULL)
        status_prefix(ctx, "--label_column_name is not given");
    return st;
}

/* Texts by names that are usual for them; false if the table has none of these. */
static bool pick_usual_texts(const table *t, text_columns *out)
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
static void pick_first_texts(const table *t, text_columns *out)
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

/* Texts by their names. */
static mts_status pick_named_texts(mts_ctx *ctx, const column_names *names, const table *t,
                                   text_columns *out)
{
    mts_status st = MTS_OK;
    char a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES] = "";
    MTS_TRY(table_find_column(ctx, t, names->texts[0], &out->text_a));
    if (names->texts[1] != NULL)
        MTS_TRY(table_find_column(ctx, t, names->texts[1], &out->text_b));
cleanup:
    if (st != MTS_OK && names->texts_stored) {
        if (names->texts[1] != NULL)
            utf8_quote(b, sizeof b, names->texts[1]);
        status_prefix(ctx,
                      "--text_column_names is not given, and the model was trained on \"%s\"%s%s%s",
                      utf8_quote(a, sizeof a, names->texts[0]), b[0] != '\0' ? " and \"" : "", b,
                      b[0] != '\0' ? "\"" : "");
    }
    return st;
}

static mts_status pick_texts(mts_ctx *ctx, const column_names *names, const glue_task *glue,
                             const table *t, text_columns *out)
{
    mts_status st = MTS_OK;
    if (names->texts[0] != NULL) {
        MTS_TRY(pick_named_texts(ctx, names, t, out));
    } else if (glue != NULL) {
        MTS_TRY(find_glue_column(ctx, t, &glue->text_a, &out->text_a));
        if (glue->text_b.names[0] != NULL)
            MTS_TRY(find_glue_column(ctx, t, &glue->text_b, &out->text_b));
    } else if (!pick_usual_texts(t, out)) {
        pick_first_texts(t, out);
    }
    MTS_CHECK(out->text_a >= 0, MTS_ERR_BAD_FILE,
              "%s: expected a column of texts beside the label, found none", t->path);
cleanup:
    return st;
}

mts_status text_columns_find(mts_ctx *ctx, const column_names *names, const glue_task *glue,
                             const table *t, bool need_label, text_columns *out)
{
    mts_status st = MTS_OK;
    char name[UTF8_QUOTE_BYTES];
    *out = (text_columns){.text_a = -1, .text_b = -1, .label = -1};
    if (need_label)
        MTS_TRY(pick_label(ctx, names, glue, t, &out->label));
    else if (names->label != NULL || glue == NULL)
        out->label = table_column_index(t, names->label ? names->label : usual_label(t));
    MTS_TRY(pick_texts(ctx, names, glue, t, out));
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
