/*
 * Options: finding a row of the table by name, defaults, and parsing of text into a field.
 *
 * Path: cli -> mts_options_default, mts_options_set -> mts_options -> mts_options_check.
 * Unknown names get the nearest known one, by edit distance [Levenshtein1966], as a suggestion.
 */
#include "options/options.h"

#include <ctype.h>
#include <string.h>

#include "base/number_parse.h"

#define NAME_BYTES 64 /* no option name is longer */

/* *out: name with dashes as underscores; false if it is too long to be an option. */
static bool normalize_name(char out[NAME_BYTES], const char *name)
{
    const size_t n = strlen(name);
    if (n >= NAME_BYTES)
        return false;
    for (size_t i = 0; i <= n; i++)
        out[i] = name[i] == '-' ? '_' : name[i];
    return true;
}

static const option_row *find_row(const char *name)
{
    char key[NAME_BYTES];
    if (name == NULL || !normalize_name(key, name))
        return NULL;
    const char *wanted = key;
    for (const option_alias *a = option_name_aliases; a->name != NULL; a++)
        if (strcmp(a->name, key) == 0)
            wanted = a->meaning;
    for (size_t i = 0; i < mts_option_count(); i++)
        if (strcmp(mts_option_at(i)->name, wanted) == 0)
            return option_row_at(i);
    return NULL;
}

const mts_option_info *mts_option_find(const char *name)
{
    const option_row *row = find_row(name);
    return row == NULL ? NULL : &row->info;
}

bool mts_option_is_stored(const mts_option_info *info)
{
    const option_row *row = info == NULL ? NULL : find_row(info->name);
    return row != NULL && (row->marks & OPTION_STORED) != 0;
}

/* Edit distance of two names shorter than NAME_BYTES: insert, delete, replace cost 1 each. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES];
    const size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t replace = diagonal + (a[i] != b[j]);
            const size_t shorter = row[j] < row[j + 1] ? row[j] : row[j + 1];
            diagonal = row[j + 1];
            row[j + 1] = replace < shorter + 1 ? replace : shorter + 1;
        }
    }
    return row[n];
}

/* The known name nearest to key, or NULL if none is so near that it could be meant. */
static const char *find_nearest(const char *key)
{
    const char *best = NULL;
    size_t best_distance = strlen(key) / 3 + 1;
    for (size_t i = 0; i < mts_option_count(); i++) {
        const size_t distance = edit_distance(key, mts_option_at(i)->name);
        if (distance <= best_distance && (best == NULL || distance < best_distance)) {
            best = mts_option_at(i)->name;
            best_distance = distance;
        }
    }
    return best;
}

static mts_status report_unknown(mts_ctx *ctx, const char *name)
{
    char key[NAME_BYTES];
    if (!normalize_name(key, name))
        return status_set(ctx, MTS_ERR_ARGUMENT, "unknown option --%.60s...", name);
    for (const option_hint *h = option_hints; h->name != NULL; h++)
        if (strcmp(h->name, key) == 0)
            return status_set(ctx, MTS_ERR_ARGUMENT, "option --%s is not available: %s", key,
                              h->text);
    const char *nearest = find_nearest(key);
    if (nearest == NULL)
        return status_set(ctx, MTS_ERR_ARGUMENT, "unknown option --%s", key);
    return status_set(ctx, MTS_ERR_ARGUMENT, "unknown option --%s; did you mean --%s?", key,
                      nearest);
}

/* text as a switch, in the spellings transformers accepts. */
static bool parse_switch(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "y", "t", "1"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "n", "f", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

bool mts_option_is_idle(const char *name, const char *text)
{
    char key[NAME_BYTES];
    bool on = false;
    if (name == NULL || text == NULL || !normalize_name(key, name))
        return false;
    for (const option_idle *i = option_idles; i->name != NULL; i++) {
        if (strcmp(i->name, key) != 0)
            continue;
        if (i->text != NULL &&
            (strcmp(i->text, text) == 0 || strcmp(i->text, OPTION_ANY_VALUE) == 0))
            return true;
        if (parse_switch(text, &on) && (on ? i->on : i->off))
            return true;
    }
    return false;
}

/* Whether two names are the same but for case, dashes and underscores. */
static bool is_same_name(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
}

const char *option_row_word(const option_row *row, const char *text)
{
    for (const char *w = row->words; w != NULL && *w != '\0'; w += strlen(w) + 1)
        if (is_same_name(w, text))
            return w;
    return NULL;
}

static mts_status set_string(mts_ctx *ctx, const option_row *row, void *field, const char *text)
{
    mts_status st = MTS_OK;
    const mts_option_info *info = &row->info;
    const char *word = NULL;
    const bool given_empty = text[0] == '\0';
    for (const option_alias *a = option_value_aliases; a->name != NULL; a++)
        if (strcmp(a->name, info->name) == 0 && strcmp(a->value, text) == 0)
            text = a->meaning;
    if (text[0] == '\0' && !given_empty) {
        text = NULL; /* an alias of nothing */
        memcpy(field, &text, sizeof text);
        return MTS_OK;
    }
    word = option_row_word(row, text);
    MTS_CHECK(row->words == NULL || word != NULL, MTS_ERR_ARGUMENT,
              "option --%s: expected one of %s, found '%s'", info->name, info->choices, text);
    MTS_CHECK(text[0] != '\0', MTS_ERR_ARGUMENT, "option --%s: the value is empty", info->name);
    if (word != NULL)
        text = word;
    memcpy(field, &text, sizeof text);

cleanup:
    return st;
}

static mts_status set_switch(mts_ctx *ctx, const mts_option_info *info, void *field,
                             const char *text)
{
    mts_status st = MTS_OK;
    bool value = false;
    const bool automatic = info->type == MTS_OPTION_TRISTATE && strcmp(text, "auto") == 0;
    MTS_CHECK(automatic || parse_switch(text, &value), MTS_ERR_ARGUMENT,
              "option --%s: expected true%s or false, found '%s'", info->name,
              info->type == MTS_OPTION_TRISTATE ? ", auto" : "", text);
    if (info->type == MTS_OPTION_BOOL) {
        memcpy(field, &value, sizeof value);
    } else {
        const int64_t state = automatic ? -1 : value;
        memcpy(field, &state, sizeof state);
    }

cleanup:
    return st;
}

static mts_status set_number(mts_ctx *ctx, const mts_option_info *info, void *field,
                             const char *text)
{
    mts_status st = MTS_OK;
    int64_t whole = 0;
    double real = 0;
    const bool is_int = info->type == MTS_OPTION_INT;
    MTS_CHECK(is_int ? number_parse_integer(text, &whole) : number_parse_real(text, &real),
              MTS_ERR_ARGUMENT, "option --%s: expected a %s, found '%s'", info->name,
              is_int ? "whole number" : "number", text);
    if (is_int)
        real = (double)whole;
    MTS_CHECK(real >= info->min && real <= info->max, MTS_ERR_ARGUMENT,
              "option --%s: expected %.16g to %.16g, found %s", info->name, info->min, info->max,
              text);
    if (is_int)
        memcpy(field, &whole, sizeof whole);
    else
        memcpy(field, &real, sizeof real);

cleanup:
    return st;
}

static mts_status set_field(mts_ctx *ctx, mts_options *options, const option_row *row,
                            const char *text)
{
    const mts_option_info *info = &row->info;
    void *field = (char *)options + info->offset;
    const size_t bytes = info->type == MTS_OPTION_BOOL ? sizeof(bool) : sizeof(int64_t);
    if (info->offset + bytes > options->size)
        return status_set(ctx, MTS_ERR_ARGUMENT,
                          "option --%s: the program was built with a header that does not have it",
                          info->name);
    switch (info->type) {
    case MTS_OPTION_STRING:
        return set_string(ctx, row, field, text);
    case MTS_OPTION_BOOL:
    case MTS_OPTION_TRISTATE:
        return set_switch(ctx, info, field, text);
    case MTS_OPTION_INT:
    case MTS_OPTION_REAL:
        break;
    }
    return set_number(ctx, info, field, text);
}

mts_status mts_options_set(mts_ctx *ctx, mts_options *options, const char *name, const char *text)
{
    if (options == NULL || name == NULL || text == NULL)
        return status_set(ctx, MTS_ERR_ARGUMENT,
                          "mts_options_set: options, name and text must be given");
    const option_row *row = find_row(name);
    if (mts_option_is_idle(name, text))
        return MTS_OK;
    return row == NULL ? report_unknown(ctx, name) : set_field(ctx, options, row, text);
}

void mts_options_default_sized(mts_options *options, size_t size)
{
    mts_options own = {.size = size};
    for (size_t i = 0; i < mts_option_count(); i++) {
        const option_row *row = option_row_at(i);
        if (row->info.default_text == NULL)
            continue;
        /* The table's defaults are in range: tests/api/test_options.c sets each of them. */
        const mts_status st = set_field(NULL, &own, row, row->info.default_text);
        (void)st;
    }
    memset(options, 0, size); /* a newer header's fields, too */
    memcpy(options, &own, size < sizeof own ? size : sizeof own);
}

/* qlora and qdylora are lora and dylora beside a base in 4 bits. */
static mts_status take_method(mts_ctx *ctx, mts_options *o)
{
    mts_status st = MTS_OK;
    if (o->method == NULL || (strcmp(o->method, "qlora") != 0 && strcmp(o->method, "qdylora") != 0))
        return MTS_OK;
    MTS_CHECK(o->base_bits == NULL || options_has_4bit_base(o), MTS_ERR_ARGUMENT,
              "--method %s contradicts --base_bits %s", o->method, o->base_bits);
    o->method++;
    o->base_bits = "4";
cleanup:
    return st;
}

mts_status options_take(mts_ctx *ctx, const mts_options *given, mts_options *own)
{
    mts_status st = MTS_OK;
    MTS_CHECK(given != NULL, MTS_ERR_ARGUMENT, "options must be given");
    MTS_CHECK(given->size >= OPTIONS_SIZE_MIN, MTS_ERR_ARGUMENT,
              "options.size is %zu: fill the struct with mts_options_default first", given->size);
    mts_options_default(own);
    memcpy(own, given, given->size < sizeof *own ? given->size : sizeof *own);
    own->size = sizeof *own;
    MTS_TRY(take_method(ctx, own));
cleanup:
    return st;
}

void options_give(const mts_options *own, mts_options *options)
{
    const size_t size = options->size;
    memcpy(options, own, size < sizeof *own ? size : sizeof *own);
    options->size = size;
}
