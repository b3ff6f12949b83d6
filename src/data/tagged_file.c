/* Reading sentences of words with tags.  See tagged_file.h. */
#include "data/tagged_file.h"

#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/json_cursor.h"

/* Largest file: 4 GiB. */
#define FILE_LIMIT ((size_t)UINT32_MAX)

enum { SENTENCES, WORDS, FIRST_ROOM = 1024, PREFIX_BYTES = 1 << 14, KEYS = 3 };

static const char *const word_keys[KEYS] = {"tokens", "words", NULL};
static const char *const tag_keys[KEYS] = {"ner_tags", "tags", "labels"};

static bool ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);
    return n >= m && strcasecmp(path + n - m, end) == 0;
}

bool tagged_file_is_json(const char *path)
{
    return ends_in(path, ".json") || ends_in(path, ".jsonl");
}

/* ---------------------------------------------------------------------------- collecting ---- */

/* Room for one more than `used`; what the arrays have room for now is kept. */
static mts_status grow(mts_ctx *ctx, tagged_set *s, int which, int64_t used)
{
    mts_status st = MTS_OK;
    const size_t n = (size_t)s->capacity[which], room = 2 * n + FIRST_ROOM;
    if (used < s->capacity[which])
        return MTS_OK;
    if (which == SENTENCES) {
        MTS_TRY(
            mem_grow(ctx, &s->first, n == 0 ? 0 : n + 1, room + 1, sizeof *s->first, "sentences"));
        MTS_TRY(mem_grow(ctx, &s->lines, n, room, sizeof *s->lines, "sentences"));
    } else {
        MTS_TRY(mem_grow(ctx, &s->words, n, room, sizeof *s->words, "words"));
        MTS_TRY(mem_grow(ctx, &s->tags, n, room, sizeof *s->tags, "words"));
    }
    s->capacity[which] = (int64_t)room;
cleanup:
    return st;
}

/* A place for one more word; its tag is left as it is: it may be there already. */
static mts_status add_word(mts_ctx *ctx, tagged_set *s, int64_t *n, const char *word)
{
    const mts_status st = grow(ctx, s, WORDS, *n);
    if (st == MTS_OK) {
        s->words[*n] = word;
        (*n)++;
    }
    return st;
}

/* The words since the last sentence are one, which begins at a line. */
static mts_status add_sentence(mts_ctx *ctx, tagged_set *s, int64_t n, int64_t line)
{
    const mts_status st = grow(ctx, s, SENTENCES, s->n);
    if (st == MTS_OK) {
        s->lines[s->n] = line;
        s->first[++s->n] = n;
    }
    return st;
}

/* --------------------------------------------------------------------------------- columns ---- */

/* What is known of a file of columns while its lines are read. */
typedef struct column_reader {
    mts_ctx *ctx;
    const char *path;
    tagged_set *set;
    bool with_tags;
    int64_t line, words;
    int64_t columns, columns_line; /* of the first line that has some; 0: none yet */
    int64_t begin;                 /* the first line of the sentence under way; 0: there is none */
} column_reader;

/* Cut a line at tabs, or else at blanks.  Returns how many columns there are; *word, *tag: the
 * first and the last. */
static int64_t split_line(char *line, const char **word, const char **tag)
{
    const bool tabs = strchr(line, '\t') != NULL;
    const char *between = tabs ? "\t" : " ";
    int64_t n = 0;
    for (char *at = line;; n++) {
        if (!tabs)
            at += strspn(at, between);
        if (!tabs && *at == '\0')
            return n;
        const size_t bytes = strcspn(at, between);
        const bool last = at[bytes] == '\0';
        at[bytes] = '\0';
        *tag = at;
        if (n == 0)
            *word = at;
        if (last)
            return n + 1;
        at += bytes + 1;
    }
}

static mts_status end_sentence(column_reader *r)
{
    const int64_t begin = r->begin;
    r->begin = 0;
    return begin == 0 ? MTS_OK : add_sentence(r->ctx, r->set, r->words, begin);
}

/* One line, with a NUL in place of its end. */
static mts_status take_line(column_reader *r, char *line)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *word = "", *tag = "";
    if (line[strspn(line, " \t\r")] == '\0')
        return end_sentence(r);
    const int64_t columns = split_line(line, &word, &tag);
    if (strcmp(word, "-DOCSTART-") == 0)
        return end_sentence(r);
    MTS_CHECK(columns >= (r->with_tags ? 2 : 1), MTS_ERR_BAD_FILE,
              "%s:%lld: expected a word and its tag, a tab or blanks between them, found one "
              "column",
              r->path, (long long)r->line);
    if (r->columns == 0) {
        r->columns = columns;
        r->columns_line = r->line;
    }
    MTS_CHECK(columns == r->columns, MTS_ERR_BAD_FILE,
              "%s:%lld: expected %lld columns, as in line %lld, found %lld", r->path,
              (long long)r->line, (long long)r->columns, (long long)r->columns_line,
              (long long)columns);
    MTS_CHECK(*word != '\0' && (!r->with_tags || *tag != '\0'), MTS_ERR_BAD_FILE,
              "%s:%lld: expected a word and its tag, found an empty %s", r->path,
              (long long)r->line, *word == '\0' ? "word" : "tag");
    if (r->begin == 0)
        r->begin = r->line;
    MTS_TRY(add_word(ctx, r->set, &r->words, word));
    r->set->tags[r->words - 1] = tag;
cleanup:
    return st;
}

static mts_status parse_columns(column_reader *r, char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    size_t bad = 0;
    char *at = text + (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
    const char *end = text + bytes;
    for (char *next; at < end; at = next) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        r->line++;
        stop = stop == NULL ? text + bytes : stop;
        next = stop + 1;
        const size_t n = (size_t)(stop - at);
        MTS_CHECK(memchr(at, '\0', n) == NULL, MTS_ERR_BAD_FILE,
                  "%s:%lld: expected text, found a NUL byte", r->path, (long long)r->line);
        MTS_CHECK(utf8_is_valid(at, n, &bad), MTS_ERR_BAD_FILE,
                  "%s:%lld: expected UTF-8, found the byte 0x%02x", r->path, (long long)r->line,
                  (unsigned)(unsigned char)at[bad]);
        *stop = '\0';
        if (n > 0 && stop[-1] == '\r')
            stop[-1] = '\0';
        MTS_TRY(take_line(r, at));
    }
    MTS_TRY(end_sentence(r));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------------ JSON ---- */

/* Whether a text has this key: a colon stands behind it, and it is not within another string. */
static bool has_key(const char *text, size_t bytes, const char *key)
{
    const size_t m = strlen(key);
    for (size_t i = 0; i + m + 2 < bytes; i++) {
        size_t behind = i + m + 2;
        if (text[i] != '"' || (i > 0 && text[i - 1] == '\\') || memcmp(text + i + 1, key, m) != 0 ||
            text[i + 1 + m] != '"')
            continue;
        while (behind < bytes && text[behind] != '\0' && strchr(" \t\r\n", text[behind]) != NULL)
            behind++;
        if (behind < bytes && text[behind] == ':')
            return true;
    }
    return false;
}

/* The first of the keys that the file has, or the first of them. */
static const char *usual_key(const char *text, size_t bytes, const char *const keys[KEYS])
{
    for (int i = 0; i < KEYS && keys[i] != NULL; i++)
        if (has_key(text, bytes, keys[i]))
            return keys[i];
    return keys[0];
}

/* The words of an object behind those of the sentences before; *n: how many there are then. */
static mts_status read_words(json_cursor *c, tagged_set *s, int64_t *n)
{
    mts_status st = MTS_OK;
    bool more = true;
    const char *text = NULL;
    for (int64_t i = 0;;) {
        MTS_TRY(json_cursor_item(c, &i, &more));
        if (!more)
            break;
        MTS_TRY(json_cursor_string(c, &text, NULL));
        MTS_TRY(add_word(c->ctx, s, n, text));
    }
cleanup:
    return st;
}

/* The same of tags, which may come before the words or behind them. */
static mts_status read_tags(json_cursor *c, tagged_set *s, int64_t *n)
{
    mts_status st = MTS_OK;
    bool more = true;
    const char *text = NULL;
    for (int64_t i = 0;; (*n)++) {
        MTS_TRY(json_cursor_item(c, &i, &more));
        if (!more)
            break;
        MTS_TRY(json_cursor_id(c, &text));
        if (*text == '\0')
            return json_cursor_fail(c, "expected a tag, found an empty text");
        MTS_TRY(grow(c->ctx, s, WORDS, *n));
        s->tags[*n] = text;
    }
cleanup:
    return st;
}

/* One object. */
static mts_status read_object(json_cursor *c, const tagged_keys *keys, bool with_tags,
                              tagged_set *s)
{
    mts_status st = MTS_OK;
    const int64_t before = s->n == 0 ? 0 : s->first[s->n];
    int64_t words = before, tags = before, keys_read = 0, line;
    bool has_words = false, has_tags = false;
    const char *key = NULL;
    json_kind kind;
    MTS_TRY(json_cursor_peek(c, &kind)); /* goes to where it begins */
    line = c->line;
    for (;;) {
        MTS_TRY(json_cursor_key(c, &keys_read, &key));
        if (key == NULL)
            break;
        const bool of_words = strcmp(key, keys->words) == 0;
        const bool of_tags = with_tags && strcmp(key, keys->tags) == 0;
        if ((of_words && has_words) || (of_tags && has_tags))
            return json_cursor_fail(c, "the key \"%.64s\" is there twice", key);
        has_words = has_words || of_words;
        has_tags = has_tags || of_tags;
        if (of_words)
            MTS_TRY(read_words(c, s, &words));
        else if (of_tags)
            MTS_TRY(read_tags(c, s, &tags));
        else
            MTS_TRY(json_cursor_skip(c));
    }
    if (!has_words || (with_tags && !has_tags))
        return json_cursor_fail(c,
                                "expected the key \"%.64s\" with the %s of a sentence, found none",
                                has_words ? keys->tags : keys->words, has_words ? "tags" : "words");
    if (with_tags && words != tags)
        return json_cursor_fail(c, "expected a tag for each word, found %lld words and %lld tags",
                                (long long)(words - before), (long long)(tags - before));
    MTS_TRY(add_sentence(c->ctx, s, words, line));
cleanup:
    return st;
}

static mts_status parse_json(mts_ctx *ctx, const char *path, char *text, size_t bytes,
                             tagged_keys *keys, bool with_tags, tagged_set *s)
{
    mts_status st = MTS_OK;
    json_cursor c;
    if (keys->words == NULL)
        keys->words = usual_key(text, bytes, word_keys);
    if (keys->tags == NULL)
        keys->tags = usual_key(text, bytes, tag_keys);
    json_cursor_init(&c, ctx, path, text, bytes);
    for (;;) {
        while (c.at < bytes && strchr(" \t\r", text[c.at]) != NULL && text[c.at] != '\0')
            c.at++;
        if (c.at < bytes && text[c.at] == '\n') {
            c.line++;
            c.line_start = ++c.at;
            continue;
        }
        if (c.at == bytes)
            break;
        MTS_TRY(read_object(&c, keys, with_tags, s));
    }
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------------- files ---- */

mts_status tagged_file_parse(mts_ctx *ctx, const char *path, char *text, size_t bytes,
                             tagged_keys *keys, bool with_tags, tagged_set *out)
{
    mts_status st = MTS_OK;
    *out = (tagged_set){.storage = text, .columns = !tagged_file_is_json(path)};
    if (out->columns) {
        column_reader r = {.ctx = ctx, .path = path, .set = out, .with_tags = with_tags};
        MTS_TRY(parse_columns(&r, text, bytes));
    } else {
        MTS_TRY(parse_json(ctx, path, text, bytes, keys, with_tags, out));
    }
    MTS_CHECK(out->n > 0 && out->first[out->n] > 0, MTS_ERR_BAD_FILE,
              "%s: expected sentences of words, found none", path);
    if (!with_tags) {
        mem_free((void *)out->tags);
        out->tags = NULL;
    }
cleanup:
    return st;
}

mts_status tagged_file_read(mts_ctx *ctx, const char *path, tagged_keys *keys, bool with_tags,
                            tagged_set *out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    size_t bytes = 0;
    *out = (tagged_set){0};
    MTS_TRY(file_read_all(ctx, path, FILE_LIMIT, &text, &bytes));
    MTS_TRY(tagged_file_parse(ctx, path, text, bytes, keys, with_tags, out));
cleanup:
    return st;
}

void tagged_set_deinit(tagged_set *s)
{
    mem_free(s->storage);
    mem_free(s->first);
    mem_free(s->lines);
    mem_free((void *)s->words);
    mem_free((void *)s->tags);
    *s = (tagged_set){0};
}

void tagged_set_cut(tagged_set *s, int64_t n)
{
    if (n < s->n)
        s->n = n;
}

int64_t tagged_set_line(const tagged_set *s, int64_t i, int64_t k)
{
    return s->lines[i] + (s->columns ? k - s->first[i] : 0);
}

/* Whether the first object, perhaps cut off, has a key "tokens" with an array. */
static bool has_tokens(char *text, size_t bytes)
{
    json_cursor c;
    json_kind kind = JSON_KIND_NULL;
    const char *key = NULL;
    int64_t n = 0;
    json_cursor_init(&c, NULL, "", text, bytes);
    while (json_cursor_key(&c, &n, &key) == MTS_OK && key != NULL) {
        if (strcmp(key, word_keys[0]) == 0)
            return json_cursor_peek(&c, &kind) == MTS_OK && kind == JSON_KIND_ARRAY;
        if (json_cursor_skip(&c) != MTS_OK)
            return false;
    }
    return false;
}

bool tagged_file_is(const char *path)
{
    static const char *const names[] = {".conll", ".bio", ".iob2"};
    char text[PREFIX_BYTES + 1];
    file_reader r = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (ends_in(path, names[i]))
            return true;
    if (!tagged_file_is_json(path) || file_reader_open(NULL, path, &r) != MTS_OK)
        return false;
    const size_t bytes = r.bytes < PREFIX_BYTES ? r.bytes : PREFIX_BYTES;
    const bool read = file_reader_read(NULL, &r, 0, text, bytes) == MTS_OK;
    text[bytes] = '\0';
    file_reader_close(&r);
    return read && has_tokens(text, bytes);
}
