/* A set of labels of a text.  See label_kind.h. */
#include "tasks/label_kind.h"

#include <jansson.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "tasks/label_cells.h"
#include "tasks/text_classification.h"

/* A row that is filled. */
typedef struct row_of_set {
    const label_source *from;
    int64_t row;
    uint8_t *set; /* [num_labels] */
} row_of_set;

static mts_status add_label(mts_ctx *ctx, void *user, const char *label, bool number)
{
    mts_status st = MTS_OK;
    row_of_set *r = user;
    const text_classification *tc = r->from->task;
    const table *t = r->from->rows;
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES], list[LABEL_LIST_BYTES] = "";
    const int64_t k = label_kind_find_class(tc, r->from->index, label);
    (void)number;
    if (k < 0)
        label_list_names(tc->label_names, tc->num_labels, list);
    MTS_CHECK(k >= 0, MTS_ERR_BAD_FILE, "%s:%lld: \"%s\": expected labels of %s, found \"%s\"",
              t->path, (long long)t->lines[r->row],
              utf8_quote(name, sizeof name, t->names[r->from->column]), list,
              utf8_quote(found, sizeof found, label));
    MTS_CHECK(r->set[k] == 0, MTS_ERR_BAD_FILE,
              "%s:%lld: \"%s\": \"%s\" stands twice: expected each label of the set once, by its "
              "name, not a 0 or 1 for every label there is",
              t->path, (long long)t->lines[r->row],
              utf8_quote(name, sizeof name, t->names[r->from->column]),
              utf8_quote(found, sizeof found, label));
    r->set[k] = 1;
cleanup:
    return st;
}

static mts_status read_set(mts_ctx *ctx, const label_source *from, int64_t row, targets *out)
{
    row_of_set r = {from, row, out->set + row * out->width};
    return label_cell_visit(ctx, from->rows, row, from->column, from->task->label_separator,
                            add_label, &r);
}

static void predict(const text_classification *t, const float *outputs, int64_t row, targets *out)
{
    for (int64_t k = 0; k < t->num_labels; k++)
        out->set[row * out->width + k] = (double)outputs[k] > t->label_bound;
}

/* ["a", "b"] */
static mts_status write_set(mts_ctx *ctx, const text_classification *t, const targets *predicted,
                            int64_t row, file_writer *file)
{
    mts_status st = MTS_OK;
    json_t *list = json_array();
    char *text = NULL;
    MTS_CHECK(list != NULL, MTS_ERR_MEMORY, "out of memory: labels");
    for (int64_t k = 0; k < predicted->width; k++)
        if (predicted->set[row * predicted->width + k] != 0)
            MTS_CHECK(json_array_append_new(list, json_string(t->label_names[k])) == 0,
                      MTS_ERR_MEMORY, "out of memory: labels");
    MTS_TRY(json_util_dump(ctx, list, 0, false, &text));
    MTS_TRY(file_writer_write(file, text, strlen(text)));
cleanup:
    json_decref(list);
    mem_free(text);
    return st;
}

const label_kind label_kind_set = {
    .head = "multi_label",
    .problem = MODEL_PROBLEM_MULTI_LABEL,
    .target = TARGET_SET,
    .metric = METRIC_SETS,
    .named = true,
    .noun = "labels, of which a text has any number",
    .read = read_set,
    .predict = predict,
    .write = write_set,
};
