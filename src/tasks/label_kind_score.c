/* One score of a text.  See label_kind.h. */
#include "tasks/label_kind.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "tasks/text_classification.h"

static mts_status read_score(mts_ctx *ctx, const label_source *from, int64_t row, targets *out)
{
    mts_status st = MTS_OK;
    const table *t = from->rows;
    const char *text = NULL;
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES];
    double value = 0;
    MTS_TRY(table_cell(ctx, t, row, from->column, &text));
    MTS_CHECK(label_real(text, &value) && fabs(value) <= (double)FLT_MAX, MTS_ERR_BAD_FILE,
              "%s:%lld: \"%s\": expected a finite number, found \"%s\"", t->path,
              (long long)t->lines[row], utf8_quote(name, sizeof name, t->names[from->column]),
              utf8_quote(found, sizeof found, text));
    out->score[row] = (float)value;
cleanup:
    return st;
}

static void predict(const text_classification *t, const float *outputs, int64_t row, targets *out)
{
    (void)t;
    out->score[row] = outputs[0];
}

static mts_status write_score(mts_ctx *ctx, const text_classification *t, const targets *predicted,
                              int64_t row, file_writer *file)
{
    char text[64];
    (void)ctx;
    (void)t;
    const int n = snprintf(text, sizeof text, "%.3f", (double)predicted->score[row]);
    return file_writer_write(file, text, (size_t)n);
}

const label_kind label_kind_score = {
    .head = "regression",
    .problem = MODEL_PROBLEM_REGRESSION,
    .target = TARGET_SCORE,
    .metric = METRIC_REGRESSION,
    .named = false,
    .noun = "a number",
    .read = read_score,
    .predict = predict,
    .write = write_score,
};
