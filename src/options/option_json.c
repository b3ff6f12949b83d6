/* Options as JSON, row by row of the table.  See options.h. */
#include "options/options.h"

#include <math.h>
#include <string.h>

#include "base/json_util.h"

static json_t *new_value(const option_row *row, const char *field)
{
    const char *text;
    bool on;
    int64_t whole;
    double real;
    switch (row->info.type) {
    case MTS_OPTION_STRING:
        memcpy(&text, field, sizeof text);
        return json_string(text);
    case MTS_OPTION_BOOL:
        memcpy(&on, field, sizeof on);
        return json_boolean(on);
    case MTS_OPTION_TRISTATE:
    case MTS_OPTION_INT:
        memcpy(&whole, field, sizeof whole);
        return json_integer(whole);
    case MTS_OPTION_REAL:
        break;
    }
    memcpy(&real, field, sizeof real);
    if ((row->marks & OPTION_STEPS) != 0 && real == floor(real))
        return json_integer((json_int_t)real);
    return json_real(real);
}

/* Whether the field is a string that is not given, or auto or the default where these are not kept.
 */
static bool is_absent(const option_row *row, const mts_options *o)
{
    const char *text = "";
    mts_options usual;
    mts_options_default(&usual);
    if ((row->marks & OPTION_CHANGED) != 0 &&
        memcmp((const char *)o + row->info.offset, (const char *)&usual + row->info.offset,
               sizeof(int64_t)) == 0) /* a number: of 8 bytes, whatever its type */
        return true;
    if (row->info.type == MTS_OPTION_STRING)
        memcpy(&text, (const char *)o + row->info.offset, sizeof text);
    if ((row->marks & OPTION_GIVEN) != 0) {
        int64_t value = 0;
        memcpy(&value, (const char *)o + row->info.offset, sizeof value);
        return value < 0;
    }
    return text == NULL;
}

/* Whether the row is --outliers and says none: where the model would have it otherwise. */
static bool says_none(const option_row *row, const mts_options *o)
{
    return row->info.offset == offsetof(mts_options, outliers) && strcmp(o->outliers, "none") == 0;
}

/* Whether a row with the mark has a meaning for these options. */
static bool is_meant(const option_row *row, const mts_options *o, option_mark mark, bool answers)
{
    return (row->marks & mark) != 0 &&
           ((row->marks & OPTION_INTEGER) == 0 || options_precision_bits(o) > 0) &&
           ((row->marks & OPTION_OUTLIERS) == 0 || options_tell_outliers(o) || says_none(row, o)) &&
           ((row->marks & OPTION_ADAPTER) == 0 || strcmp(o->method, "full") != 0) &&
           ((row->marks & OPTION_ANSWERS) == 0 || answers);
}

mts_status options_put_json(mts_ctx *ctx, const mts_options *o, option_mark mark, bool answers,
                            json_t *object)
{
    mts_status st = MTS_OK;
    for (size_t i = 0; i < mts_option_count(); i++) {
        const option_row *row = option_row_at(i);
        if (is_meant(row, o, mark, answers) && !is_absent(row, o))
            MTS_TRY(json_util_set(ctx, object, row->info.name,
                                  new_value(row, (const char *)o + row->info.offset)));
    }
cleanup:
    return st;
}

static mts_status take_text(mts_ctx *ctx, const json_t *object, const option_row *row, char *field)
{
    mts_status st = MTS_OK;
    const char *text = NULL, *word = NULL;
    const char *name = row->info.name;
    MTS_TRY(json_util_string(ctx, NULL, object, name, &text));
    if (text == NULL)
        return MTS_OK;
    word = option_row_word(row, text);
    MTS_CHECK(word != NULL, MTS_ERR_BAD_FILE, "%s: expected one of %s, found '%.40s'", name,
              row->info.choices, text);
    memcpy(field, &word, sizeof word);
cleanup:
    return st;
}

static mts_status take_value(mts_ctx *ctx, const json_t *object, const option_row *row, char *field)
{
    mts_status st = MTS_OK;
    const mts_option_info *info = &row->info;
    bool on;
    int64_t whole;
    double real;
    switch (info->type) {
    case MTS_OPTION_STRING:
        return take_text(ctx, object, row, field);
    case MTS_OPTION_BOOL:
        memcpy(&on, field, sizeof on);
        st = json_util_bool(ctx, NULL, object, info->name, &on);
        memcpy(field, &on, sizeof on);
        return st;
    case MTS_OPTION_TRISTATE:
    case MTS_OPTION_INT:
        memcpy(&whole, field, sizeof whole);
        st = json_util_int(ctx, NULL, object, info->name, (int64_t)info->min, (int64_t)info->max,
                           &whole);
        memcpy(field, &whole, sizeof whole);
        return st;
    case MTS_OPTION_REAL:
        break;
    }
    memcpy(&real, field, sizeof real);
    st = json_util_real(ctx, NULL, object, info->name, info->min, info->max, &real);
    memcpy(field, &real, sizeof real);
    return st;
}

mts_status options_take_json(mts_ctx *ctx, const json_t *object, option_mark mark,
                             mts_options *options)
{
    mts_status st = MTS_OK;
    for (size_t i = 0; i < mts_option_count(); i++) {
        const option_row *row = option_row_at(i);
        if ((row->marks & mark) != 0)
            MTS_TRY(take_value(ctx, object, row, (char *)options + row->info.offset));
    }
cleanup:
    return st;
}
