/* Files of predictions.  See answer_files.h. */
#include "tasks/answer_files.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

enum {
    PREDICTIONS = 0, /* places in answer_files.writers */
    N_BEST = 1,
    NULL_ODDS = 2,
    MAX_DIGITS = 17,
    NAME_BYTES = 64,
};

static const char *const kinds[ANSWER_FILES_MAX] = {"predictions", "nbest_predictions",
                                                    "null_odds"};

const char *const answer_files_names[2 * ANSWER_FILES_MAX + 1] = {"eval_predictions.json",
                                                                  "eval_nbest_predictions.json",
                                                                  "eval_null_odds.json",
                                                                  "predict_predictions.json",
                                                                  "predict_nbest_predictions.json",
                                                                  "predict_null_odds.json",
                                                                  NULL};

/* ---------------------------------------------------------------------------- numbers ---- */

/* digits: the fewest of a finite value's that give it back, without zeros at the end; returns the
 * exponent of the first.  snprintf and strtod agree on the decimal point, whatever it is. */
static int shortest_digits(double value, char digits[MAX_DIGITS + 1])
{
    char text[PYTHON_REAL_BYTES];
    int n = 0;
    const bool denormal = value < DBL_MIN; /* only those have fewer than 15 good digits */
    for (int precision = denormal ? 1 : 15; precision <= MAX_DIGITS; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    const char *exponent = strchr(text, 'e');
    for (const char *p = text; p < exponent; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    return (int)strtol(exponent + 1, NULL, 10);
}

void python_real(double value, char text[PYTHON_REAL_BYTES])
{
    char digits[MAX_DIGITS + 1];
    if (!isfinite(value)) { /* as json.dumps has them */
        snprintf(text, PYTHON_REAL_BYTES, "%s",
                 isnan(value) ? "NaN" : (value > 0 ? "Infinity" : "-Infinity"));
        return;
    }
    const char *sign = signbit(value) ? "-" : "";
    const int exponent = shortest_digits(fabs(value), digits);
    const int n = (int)strlen(digits);
    if (exponent < -4 || exponent >= 16)
        snprintf(text, PYTHON_REAL_BYTES, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "",
                 digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        snprintf(text, PYTHON_REAL_BYTES, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    else if (n <= exponent + 1)
        snprintf(text, PYTHON_REAL_BYTES, "%s%s%.*s.0", sign, digits, exponent + 1 - n,
                 "0000000000000000");
    else
        snprintf(text, PYTHON_REAL_BYTES, "%s%.*s.%s", sign, exponent + 1, digits,
                 digits + exponent + 1);
}

/* ------------------------------------------------------------------------------- text ---- */

static mts_status append(answer_files *f, const char *text, size_t n)
{
    mts_status st = MTS_OK;
    if (f->used + n > f->capacity) {
        const size_t larger = f->used + n + (f->used + n) / 2;
        MTS_TRY(mem_grow(f->ctx, &f->buffer, f->used, larger, 1, "predictions"));
        f->capacity = larger;
    }
    memcpy(f->buffer + f->used, text, n);
    f->used += n;
cleanup:
    return st;
}

static mts_status append_text(answer_files *f, const char *text)
{
    return append(f, text, strlen(text));
}

static mts_status append_real(answer_files *f, double value)
{
    char text[PYTHON_REAL_BYTES];
    python_real(value, text);
    return append_text(f, text);
}

/* Whether a byte stands for itself in a JSON string of ASCII. */
static bool is_plain(char byte)
{
    return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
}

/* A code point that does not, as it stands there. */
static mts_status append_code(answer_files *f, int32_t code)
{
    static const char special[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    char text[16];
    const char *found = code > 0 && code < 0x80 ? strchr(special, code) : NULL;
    if (found != NULL)
        snprintf(text, sizeof text, "\\%c", letters[found - special]);
    else if (code < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)code);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + (unsigned)(code - 0x10000) / 0x400,
                 0xDC00 + (unsigned)(code - 0x10000) % 0x400);
    return append_text(f, text);
}

static mts_status append_string(answer_files *f, const char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    int32_t code = 0;
    MTS_TRY(append_text(f, "\""));
    for (size_t at = 0; at < bytes;) {
        size_t plain = 0;
        while (at + plain < bytes && is_plain(text[at + plain]))
            plain++;
        MTS_TRY(append(f, text + at, plain));
        at += plain;
        if (at == bytes)
            break;
        at += utf8_decode(text + at, bytes - at, &code);
        MTS_TRY(append_code(f, code));
    }
    MTS_TRY(append_text(f, "\""));
cleanup:
    return st;
}

/* -------------------------------------------------------------------------- questions ---- */

/* The beginning of a question's entry: what ends the one before it, and the key. */
static mts_status append_key(answer_files *f, const char *id)
{
    mts_status st = MTS_OK;
    MTS_TRY(append_text(f, f->n == 0 ? "{\n    " : ",\n    "));
    MTS_TRY(append_string(f, id, strlen(id)));
    MTS_TRY(append_text(f, ": "));
cleanup:
    return st;
}

/* Write the buffer to a file and empty it. */
static mts_status flush(answer_files *f, int kind)
{
    const size_t n = f->used;
    f->used = 0;
    return file_writer_write(f->writers[kind], f->buffer, n);
}

static mts_status append_candidate_text(answer_files *f, const answer_candidate *c,
                                        const char *context)
{
    const char *text = NULL;
    size_t bytes = 0;
    answer_candidate_text(c, context, &text, &bytes);
    return append_string(f, text, bytes);
}

/* An object of the n best; "text" stands before the logits where it was made up. */
static mts_status append_candidate(answer_files *f, const answer_candidate *c, const char *context)
{
    mts_status st = MTS_OK;
    MTS_TRY(append_text(f, "        {\n            "));
    if (c->made_up) {
        MTS_TRY(append_text(f, "\"text\": "));
        MTS_TRY(append_candidate_text(f, c, context));
        MTS_TRY(append_text(f, ",\n            "));
    }
    MTS_TRY(append_text(f, "\"start_logit\": "));
    MTS_TRY(append_real(f, (double)c->start_logit));
    MTS_TRY(append_text(f, ",\n            \"end_logit\": "));
    MTS_TRY(append_real(f, (double)c->end_logit));
    if (!c->made_up) {
        MTS_TRY(append_text(f, ",\n            \"text\": "));
        MTS_TRY(append_candidate_text(f, c, context));
    }
    MTS_TRY(append_text(f, ",\n            \"probability\": "));
    MTS_TRY(append_real(f, c->probability));
    MTS_TRY(append_text(f, "\n        }"));
cleanup:
    return st;
}

mts_status answer_files_add(answer_files *f, const char *id, const char *context,
                            const answer_search *search)
{
    mts_status st = MTS_OK;
    MTS_TRY(append_key(f, id));
    MTS_TRY(append_candidate_text(f, search->chosen < 0 ? NULL : &search->items[search->chosen],
                                  context));
    MTS_TRY(flush(f, PREDICTIONS));
    MTS_TRY(append_key(f, id));
    for (int64_t i = 0; i < search->n; i++) {
        MTS_TRY(append_text(f, i == 0 ? "[\n" : ",\n"));
        MTS_TRY(append_candidate(f, &search->items[i], context));
    }
    MTS_TRY(append_text(f, "\n    ]"));
    MTS_TRY(flush(f, N_BEST));
    if (f->writers[NULL_ODDS] != NULL) {
        MTS_TRY(append_key(f, id));
        MTS_TRY(append_real(f, search->null_odds));
        MTS_TRY(flush(f, NULL_ODDS));
    }
    f->n++;
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------ files ---- */

mts_status answer_files_open(mts_ctx *ctx, answer_files *f, const char *dir, const char *prefix,
                             bool negative)
{
    mts_status st = MTS_OK;
    char name[NAME_BYTES];
    char *path = NULL;
    *f = (answer_files){.ctx = ctx};
    MTS_TRY(file_make_dirs(ctx, dir));
    for (int kind = 0; kind < (negative ? ANSWER_FILES_MAX : NULL_ODDS); kind++) {
        snprintf(name, sizeof name, "%s_%s.json", prefix, kinds[kind]);
        MTS_TRY(path_join(ctx, &path, dir, name));
        MTS_TRY(file_writer_open(ctx, path, &f->writers[kind]));
        mem_free(path);
        path = NULL;
    }
cleanup:
    mem_free(path);
    return st;
}

mts_status answer_files_commit(answer_files *f)
{
    mts_status st = MTS_OK;
    for (int kind = 0; kind < ANSWER_FILES_MAX; kind++) {
        if (f->writers[kind] == NULL)
            continue;
        MTS_TRY(append_text(f, f->n == 0 ? "{}\n" : "\n}\n"));
        MTS_TRY(flush(f, kind));
        MTS_TRY(file_writer_commit(f->writers[kind]));
    }
cleanup:
    return st;
}

void answer_files_close(answer_files *f)
{
    for (int kind = 0; kind < ANSWER_FILES_MAX; kind++)
        file_writer_close(f->writers[kind]);
    mem_free(f->buffer);
    *f = (answer_files){0};
}
