/* One class of a text.  See label_kind.h. */
#include "tasks/label_kind.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "tasks/text_classification.h"

/* Class of a label written as its number: for GLUE in the task's own order; -1 if it is none. */
static int64_t class_by_number(const text_classification *tc, const label_index *index,
                               const char *text)
{
    int64_t number = 0;
    if (!tc->label_by_number || !label_integer(text, &number) || number < 0 ||
        number >= tc->num_labels)
        return -1;
    return tc->glue != NULL ? label_index_find(index, tc->glue->label_names[number]) : number;
}

int64_t label_kind_find_class(const text_classification *t, const label_index *index,
                              const char *text)
{
    const int64_t found = label_index_find(index, text);
    return found >= 0 ? found : class_by_number(t, index, text);
}

static mts_status read_class(mts_ctx *ctx, const label_source *from, int64_t row, targets *out)
{
    mts_status st = MTS_OK;
    const text_classification *tc = from->task;
    const table *t = from->rows;
    const char *text = NULL;
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES], list[LABEL_LIST_BYTES] = "";
    int64_t class_ = -1;
    MTS_TRY(table_cell(ctx, t, row, from->column, &text));
    class_ = label_kind_find_class(tc, from->index, text);
    if (class_ < 0)
        label_list_names(tc->label_names, tc->num_labels, list);
    MTS_CHECK(class_ >= 0, MTS_ERR_BAD_FILE, "%s:%lld: \"%s\": expected one of %s, found \"%s\"",
              t->path, (long long)t->lines[row],
              utf8_quote(name, sizeof name, t->names[from->column]), list,
              utf8_quote(found, sizeof found, text));
    out->index[row] = (int32_t)class_;
cleanup:
    return st;
}

static void predict(const text_classification *t, const float *outputs, int64_t row, targets *out)
{
    out->index[row] = (int32_t)metrics_first_largest(outputs, t->num_labels);
}

/* A label as one field of a line, as `mantissa predict` writes it: what would end the field or the
 * line, and other control characters, as escapes of JSON, and a backslash twice. */
static mts_status write_label(file_writer *file, const char *label)
{
    mts_status st = MTS_OK;
    static const char special[] = "\t\n\r\\", letters[] = "tnr\\";
    for (const char *p = label; *p != '\0'; p++) {
        const char *found = strchr(special, *p);
        char text[8] = {*p};
        if (found != NULL)
            snprintf(text, sizeof text, "\\%c", letters[found - special]);
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            snprintf(text, sizeof text, "\\u%04x", (unsigned)(unsigned char)*p);
        MTS_TRY(file_writer_write(file, text, strlen(text)));
    }
cleanup:
    return st;
}

static mts_status write_class(mts_ctx *ctx, const text_classification *t, const targets *predicted,
                              int64_t row, file_writer *file)
{
    (void)ctx;
    return write_label(file, t->label_names[predicted->index[row]]);
}

const label_kind label_kind_class = {
    .head = "classification",
    .problem = MODEL_PROBLEM_SINGLE_LABEL,
    .target = TARGET_CLASS,
    .metric = METRIC_CLASSES,
    .named = true,
    .noun = "classes",
    .read = read_class,
    .predict = predict,
    .write = write_class,
};
