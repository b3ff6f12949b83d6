/* Reading SQuAD's files.  See squad_json.h. */
#include "data/squad_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/json_cursor.h"

enum {
    INDEX_STEP = 64, /* code points from one entry of the index of a context to the next */
    FIRST_CAPACITY = 64,
    PREFIX_BYTES = 1 << 14, /* what squad_json_is looks at */
    OF_CONTEXTS = 0,        /* places in squad_set.capacity */
    OF_QUESTIONS = 1,
    OF_ANSWERS = 2,
};

/* One file being read. */
typedef struct reader {
    json_cursor c;
    squad_set *out;
    int64_t *starts; /* of all answers: answer_start as in the file, until it is placed */
    int64_t starts_capacity;
    int32_t *index; /* byte of code point 0, 64, 128, ... of one context */
    int64_t index_capacity;
} reader;

/* Room for one more element behind *array[count]. */
static mts_status grow(mts_ctx *ctx, void *array, int64_t count, int64_t *capacity, size_t size)
{
    mts_status st = MTS_OK;
    if (count < *capacity)
        return MTS_OK;
    const int64_t larger = count < FIRST_CAPACITY ? FIRST_CAPACITY : count + count / 2;
    MTS_TRY(mem_grow(ctx, array, (size_t)count, (size_t)larger, size, "questions"));
    *capacity = larger;
cleanup:
    return st;
}

/* A key that is known may occur once: *seen, which it sets. */
static mts_status once(const json_cursor *c, const char *key, bool *seen)
{
    if (*seen)
        return json_cursor_fail(c, "the key \"%s\" occurs twice in an object", key);
    *seen = true;
    return MTS_OK;
}

/* ----------------------------------------------------------------------------- answers ---- */

static mts_status add_answer(reader *r, const char *text, int64_t start)
{
    mts_status st = MTS_OK;
    squad_set *s = r->out;
    MTS_TRY(
        grow(r->c.ctx, &s->answers, s->n_answers, &s->capacity[OF_ANSWERS], sizeof s->answers[0]));
    MTS_TRY(grow(r->c.ctx, &r->starts, s->n_answers, &r->starts_capacity, sizeof r->starts[0]));
    s->answers[s->n_answers] = (squad_answer){.text = text};
    r->starts[s->n_answers++] = start;
cleanup:
    return st;
}

/* An array: read_item for each of its items. */
static mts_status read_items(reader *r, mts_status (*read_item)(reader *))
{
    mts_status st = MTS_OK;
    bool more = false;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_item(&r->c, &n, &more));
        if (!more)
            break;
        MTS_TRY(read_item(r));
    }
cleanup:
    return st;
}

/* {"text": "...", "answer_start": 17} */
static mts_status read_answer(reader *r)
{
    mts_status st = MTS_OK;
    const char *key = NULL, *text = NULL;
    bool has_text = false, has_start = false;
    int64_t start = 0;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_key(&r->c, &n, &key));
        if (key == NULL)
            break;
        if (strcmp(key, "text") == 0) {
            MTS_TRY(once(&r->c, key, &has_text));
            MTS_TRY(json_cursor_string(&r->c, &text, NULL));
        } else if (strcmp(key, "answer_start") == 0) {
            MTS_TRY(once(&r->c, key, &has_start));
            MTS_TRY(json_cursor_integer(&r->c, &start));
        } else {
            MTS_TRY(json_cursor_skip(&r->c));
        }
    }
    if (!has_text || !has_start)
        return json_cursor_fail(&r->c, "expected an answer with \"text\" and \"answer_start\", "
                                       "found one without");
    MTS_TRY(add_answer(r, text, start));
cleanup:
    return st;
}

/* One of the two arrays of the flat form: item i is of answer first + i; *n: how many. */
static mts_status read_answer_column(reader *r, bool texts, int64_t first, int64_t *n)
{
    mts_status st = MTS_OK;
    const char *text = NULL;
    int64_t start = 0;
    bool more = false;
    for (*n = 0;;) {
        MTS_TRY(json_cursor_item(&r->c, n, &more));
        if (!more)
            break;
        if (texts)
            MTS_TRY(json_cursor_string(&r->c, &text, NULL));
        else
            MTS_TRY(json_cursor_integer(&r->c, &start));
        const int64_t i = first + *n - 1;
        if (i == r->out->n_answers)
            MTS_TRY(add_answer(r, "", 0));
        if (texts)
            r->out->answers[i].text = text;
        else
            r->starts[i] = start;
    }
cleanup:
    return st;
}

/* {"text": ["...", ...], "answer_start": [17, ...]} */
static mts_status read_answer_columns(reader *r)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    bool has_texts = false, has_starts = false;
    int64_t texts = 0, starts = 0;
    const int64_t first = r->out->n_answers;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_key(&r->c, &n, &key));
        if (key == NULL)
            break;
        if (strcmp(key, "text") == 0) {
            MTS_TRY(once(&r->c, key, &has_texts));
            MTS_TRY(read_answer_column(r, true, first, &texts));
        } else if (strcmp(key, "answer_start") == 0) {
            MTS_TRY(once(&r->c, key, &has_starts));
            MTS_TRY(read_answer_column(r, false, first, &starts));
        } else {
            MTS_TRY(json_cursor_skip(&r->c));
        }
    }
    if (!has_texts || !has_starts || texts != starts)
        return json_cursor_fail(&r->c,
                                "expected \"text\" and \"answer_start\" of equal length, "
                                "found %lld and %lld items",
                                (long long)texts, (long long)starts);
cleanup:
    return st;
}

/* The value of "answers" in either form; null is as no such key.  *count: SQUAD_NO_ANSWERS then. */
static mts_status read_answers(reader *r, int32_t *count)
{
    mts_status st = MTS_OK;
    json_kind kind = JSON_KIND_NULL;
    const int64_t first = r->out->n_answers;
    MTS_TRY(json_cursor_peek(&r->c, &kind));
    if (kind == JSON_KIND_NULL)
        return json_cursor_skip(&r->c);
    MTS_TRY(kind == JSON_KIND_OBJECT ? read_answer_columns(r) : read_items(r, read_answer));
    *count = (int32_t)(r->out->n_answers - first);
cleanup:
    return st;
}

/* -------------------------------------------------------------------------- questions ---- */

/* What was found in an object of the file, an article or a flat row. */
typedef struct found_keys {
    bool id, question, answers, context, qas, paragraphs;
} found_keys;

/* Read the value of key if it is one of a question; *known: whether it is. */
static mts_status read_question_key(reader *r, const char *key, squad_question *q, found_keys *f,
                                    bool *known)
{
    mts_status st = MTS_OK;
    *known = true;
    if (strcmp(key, "id") == 0) {
        MTS_TRY(once(&r->c, key, &f->id));
        MTS_TRY(json_cursor_id(&r->c, &q->id));
    } else if (strcmp(key, "question") == 0) {
        MTS_TRY(once(&r->c, key, &f->question));
        MTS_TRY(json_cursor_string(&r->c, &q->text, NULL));
    } else if (strcmp(key, "answers") == 0) {
        MTS_TRY(once(&r->c, key, &f->answers));
        q->first = r->out->n_answers;
        MTS_TRY(read_answers(r, &q->answers));
    } else {
        *known = false;
    }
cleanup:
    return st;
}

static mts_status add_question(reader *r, const squad_question *q)
{
    mts_status st = MTS_OK;
    squad_set *s = r->out;
    MTS_TRY(
        grow(r->c.ctx, &s->questions, s->n, &s->capacity[OF_QUESTIONS], sizeof s->questions[0]));
    s->questions[s->n] = *q;
    s->questions[s->n++].context = (int32_t)s->n_contexts;
cleanup:
    return st;
}

/* An item of "qas". */
static mts_status read_question(reader *r)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    squad_question q = {.answers = SQUAD_NO_ANSWERS};
    found_keys f = {0};
    bool known = false;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_key(&r->c, &n, &key));
        if (key == NULL)
            break;
        MTS_TRY(read_question_key(r, key, &q, &f, &known));
        if (!known)
            MTS_TRY(json_cursor_skip(&r->c));
    }
    if (!f.question)
        return json_cursor_fail(&r->c, "expected a question with \"question\", found one without");
    MTS_TRY(add_question(r, &q));
cleanup:
    return st;
}

/* ------------------------------------------------------------------ places of answers ---- */

/* Fill r->index for a context; *count: its code points. */
static mts_status index_context(reader *r, const squad_context *context, int64_t *count)
{
    mts_status st = MTS_OK;
    int32_t code = 0;
    *count = 0;
    for (int32_t at = 0; at < context->bytes;) {
        if (*count % INDEX_STEP == 0) {
            MTS_TRY(grow(r->c.ctx, &r->index, *count / INDEX_STEP, &r->index_capacity,
                         sizeof r->index[0]));
            r->index[*count / INDEX_STEP] = at;
        }
        at += (int32_t)utf8_decode(context->text + at, (size_t)(context->bytes - at), &code);
        (*count)++;
    }
cleanup:
    return st;
}

/* The byte at which code point `place` of an indexed context of `count` ones begins. */
static int32_t byte_of(const reader *r, const squad_context *context, int64_t count, int64_t place)
{
    int32_t code = 0;
    if (place == count)
        return context->bytes;
    int32_t at = r->index[place / INDEX_STEP];
    for (int64_t i = place % INDEX_STEP; i > 0; i--)
        at += (int32_t)utf8_decode(context->text + at, (size_t)(context->bytes - at), &code);
    return at;
}

static int64_t count_code_points(const char *text, size_t bytes)
{
    int32_t code = 0;
    int64_t n = 0;
    for (size_t at = 0; at < bytes; n++)
        at += utf8_decode(text + at, bytes - at, &code);
    return n;
}

/* Set begin and end of an answer that begins at code point `start`. */
static void place_answer(const reader *r, const squad_context *context, int64_t count,
                         int64_t start, squad_answer *a)
{
    a->begin = a->end = SQUAD_OUTSIDE;
    if (start < 0 || start > count)
        return;
    const int64_t length = count_code_points(a->text, strlen(a->text));
    if (length > count - start)
        return;
    a->begin = byte_of(r, context, count, start);
    a->end = byte_of(r, context, count, start + length);
}

/* A context is complete: add it, and place the answers of its questions, the last ones. */
static mts_status add_context(reader *r, const squad_context *context, int64_t first_question)
{
    mts_status st = MTS_OK;
    squad_set *s = r->out;
    int64_t count = 0;
    MTS_TRY(grow(r->c.ctx, &s->contexts, s->n_contexts, &s->capacity[OF_CONTEXTS],
                 sizeof s->contexts[0]));
    s->contexts[s->n_contexts++] = *context;
    MTS_TRY(index_context(r, context, &count));
    for (int64_t i = first_question; i < s->n; i++) {
        const squad_question *q = &s->questions[i];
        for (int64_t k = q->first; k < q->first + q->answers; k++)
            place_answer(r, context, count, r->starts[k], &s->answers[k]);
    }
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- file ---- */

static mts_status read_context(reader *r, squad_context *context, bool *seen)
{
    mts_status st = MTS_OK;
    size_t bytes = 0;
    MTS_TRY(once(&r->c, "context", seen));
    MTS_TRY(json_cursor_string(&r->c, &context->text, &bytes));
    context->bytes = (int32_t)bytes; /* no file is larger than INT32_MAX */
cleanup:
    return st;
}

/* An item of "paragraphs": {"context": "...", "qas": [...]} */
static mts_status read_paragraph(reader *r)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    squad_context context = {0};
    found_keys f = {0};
    const int64_t first = r->out->n;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_key(&r->c, &n, &key));
        if (key == NULL)
            break;
        if (strcmp(key, "context") == 0) {
            MTS_TRY(read_context(r, &context, &f.context));
        } else if (strcmp(key, "qas") == 0) {
            MTS_TRY(once(&r->c, key, &f.qas));
            MTS_TRY(read_items(r, read_question));
        } else {
            MTS_TRY(json_cursor_skip(&r->c));
        }
    }
    if (!f.context || !f.qas)
        return json_cursor_fail(&r->c, "expected a paragraph with \"context\" and \"qas\", "
                                       "found one without");
    MTS_TRY(add_context(r, &context, first));
cleanup:
    return st;
}

/* An item of "data": an article with paragraphs, or one question with its context. */
static mts_status read_data_item(reader *r)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    squad_question q = {.answers = SQUAD_NO_ANSWERS};
    squad_context context = {0};
    found_keys f = {0};
    bool known = false, row = false;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_key(&r->c, &n, &key));
        if (key == NULL)
            break;
        MTS_TRY(read_question_key(r, key, &q, &f, &known));
        if (known)
            continue;
        if (strcmp(key, "context") == 0) {
            MTS_TRY(read_context(r, &context, &f.context));
        } else if (strcmp(key, "paragraphs") == 0) {
            MTS_TRY(once(&r->c, key, &f.paragraphs));
            MTS_TRY(read_items(r, read_paragraph));
        } else {
            MTS_TRY(json_cursor_skip(&r->c));
        }
    }
    row = f.question && f.context;
    if (row == f.paragraphs || (f.paragraphs && (f.question || f.context || f.answers)))
        return json_cursor_fail(&r->c, "expected an item of \"data\" with either \"paragraphs\" or "
                                       "\"question\" and \"context\"");
    if (row) {
        MTS_TRY(add_question(r, &q));
        MTS_TRY(add_context(r, &context, r->out->n - 1));
    }
cleanup:
    return st;
}

static mts_status read_file(reader *r)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    bool has_data = false;
    for (int64_t n = 0;;) {
        MTS_TRY(json_cursor_key(&r->c, &n, &key));
        if (key == NULL)
            break;
        if (strcmp(key, "data") == 0) {
            MTS_TRY(once(&r->c, key, &has_data));
            MTS_TRY(read_items(r, read_data_item));
        } else {
            MTS_TRY(json_cursor_skip(&r->c));
        }
    }
    MTS_TRY(json_cursor_end(&r->c));
    if (!has_data)
        return json_cursor_fail(&r->c, "expected the key \"data\" of SQuAD's form, found none");
    if (r->out->n == 0)
        return json_cursor_fail(&r->c, "expected at least one question, found none");
cleanup:
    return st;
}

mts_status squad_json_parse(mts_ctx *ctx, const char *path, char *text, size_t bytes,
                            squad_set *out)
{
    mts_status st = MTS_OK;
    reader r = {.out = out};
    *out = (squad_set){.storage = text};
    MTS_CHECK(bytes <= INT32_MAX, MTS_ERR_BAD_FILE, "%s: expected at most %d bytes, found %zu",
              path, INT32_MAX, bytes);
    json_cursor_init(&r.c, ctx, path, text, bytes);
    MTS_TRY(read_file(&r));
cleanup:
    mem_free(r.starts);
    mem_free(r.index);
    return st;
}

mts_status squad_json_read(mts_ctx *ctx, const char *path, squad_set *out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    size_t bytes = 0;
    *out = (squad_set){0};
    MTS_TRY(file_read_all(ctx, path, INT32_MAX, &text, &bytes));
    MTS_TRY(squad_json_parse(ctx, path, text, bytes, out));
cleanup:
    return st;
}

void squad_set_deinit(squad_set *s)
{
    mem_free(s->storage);
    mem_free(s->contexts);
    mem_free(s->questions);
    mem_free(s->answers);
    *s = (squad_set){0};
}

void squad_set_cut(squad_set *s, int64_t n)
{
    if (n < s->n)
        s->n = n;
}

/* ---------------------------------------------------------------------------- checks ---- */

/* Whether the answer's text stands where it is said to. */
static bool is_at_its_place(const squad_context *context, const squad_answer *a)
{
    const size_t n = strlen(a->text);
    return a->begin != SQUAD_OUTSIDE && (size_t)(a->end - a->begin) == n &&
           memcmp(context->text + a->begin, a->text, n) == 0;
}

int64_t squad_set_misplaced(const squad_set *s)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const squad_question *q = &s->questions[i];
        if (q->answers > 0)
            n += !is_at_its_place(&s->contexts[q->context], &s->answers[q->first]);
    }
    return n;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

mts_status squad_set_check_ids(mts_ctx *ctx, const squad_set *s, const char *path)
{
    mts_status st = MTS_OK;
    const char **ids = NULL;
    char quoted[UTF8_QUOTE_BYTES];
    MTS_TRY(mem_calloc(ctx, &ids, (size_t)s->n, sizeof ids[0], "ids of questions"));
    for (int64_t i = 0; i < s->n; i++) {
        ids[i] = s->questions[i].id;
        MTS_CHECK(ids[i] != NULL, MTS_ERR_BAD_FILE,
                  "%s: question %lld: expected an \"id\", found none", path, (long long)i + 1);
    }
    qsort((void *)ids, (size_t)s->n, sizeof ids[0], compare_ids);
    for (int64_t i = 1; i < s->n; i++)
        MTS_CHECK(strcmp(ids[i - 1], ids[i]) != 0, MTS_ERR_BAD_FILE,
                  "%s: expected one question for each \"id\", found two for \"%s\"", path,
                  utf8_quote(quoted, sizeof quoted, ids[i]));
cleanup:
    mem_free((void *)ids);
    return st;
}

/* Whether the text, perhaps cut off, has a key "data" with an array. */
static bool has_data(char *text, size_t bytes)
{
    json_cursor c;
    json_kind kind = JSON_KIND_NULL;
    const char *key = NULL;
    int64_t n = 0;
    json_cursor_init(&c, NULL, "", text, bytes);
    while (json_cursor_key(&c, &n, &key) == MTS_OK && key != NULL) {
        if (strcmp(key, "data") == 0)
            return json_cursor_peek(&c, &kind) == MTS_OK && kind == JSON_KIND_ARRAY;
        if (json_cursor_skip(&c) != MTS_OK)
            return false;
    }
    return false;
}

bool squad_json_is(const char *path)
{
    char text[PREFIX_BYTES + 1];
    file_reader r = {0};
    if (file_reader_open(NULL, path, &r) != MTS_OK)
        return false;
    const size_t bytes = r.bytes < PREFIX_BYTES ? r.bytes : PREFIX_BYTES;
    const bool read = file_reader_read(NULL, &r, 0, text, bytes) == MTS_OK;
    text[bytes] = '\0';
    file_reader_close(&r);
    return read && has_data(text, bytes);
}
