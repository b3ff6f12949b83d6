/* Documents to rows of tokens with targets.  See language_modeling.h. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/table_reader.h"
#include "tasks/language_modeling.h"

#define TEXT_LIMIT ((size_t)1 << 32)

enum { PROGRESS_ROWS = 64, NOTE_BYTES = 1024 };

/* What is collected; rows grow as they come. */
typedef struct rows_builder {
    mts_ctx *ctx;
    encoded_dataset *rows;
    int32_t *target; /* [tokens], like rows->ids */
    int64_t tokens, token_room, row_room;
    int64_t left_out; /* rows without a target */
    int64_t max_length, max_samples;
} rows_builder;

static mts_status grow(mts_ctx *ctx, void *array, int64_t used, int64_t room, size_t size)
{
    mts_status st = MTS_OK;
    char *fresh = NULL, *old;
    memcpy(&old, array, sizeof old);
    MTS_TRY(mem_calloc(ctx, &fresh, (size_t)room, size, "tokens"));
    if (used > 0)
        memcpy(fresh, old, (size_t)used * size);
    mem_free(old);
    memcpy(array, &fresh, sizeof fresh);
cleanup:
    return st;
}

static mts_status reserve(rows_builder *b, int64_t tokens)
{
    mts_status st = MTS_OK;
    encoded_dataset *e = b->rows;
    if (b->tokens + tokens > b->token_room) {
        const int64_t room = 2 * (b->tokens + tokens) + 1024;
        MTS_TRY(grow(b->ctx, &e->ids, b->tokens, room, sizeof e->ids[0]));
        MTS_TRY(grow(b->ctx, &b->target, b->tokens, room, sizeof b->target[0]));
        b->token_room = room;
    }
    if (e->n + 2 > b->row_room) {
        const int64_t room = 2 * e->n + 256;
        MTS_TRY(grow(b->ctx, &e->offsets, e->offsets == NULL ? 0 : e->n + 1, room,
                     sizeof e->offsets[0]));
        b->row_room = room;
    }
cleanup:
    return st;
}

/* One row of ids[n], of which those from number `learned` on are to be predicted. */
static mts_status add_row(rows_builder *b, const int32_t *ids, int64_t n, int64_t learned)
{
    mts_status st = MTS_OK;
    encoded_dataset *e = b->rows;
    MTS_TRY(reserve(b, n));
    for (int64_t i = 0; i < n; i++) {
        e->ids[b->tokens + i] = ids[i];
        b->target[b->tokens + i] = i + 1 < n && i + 1 >= learned ? ids[i + 1] : TARGET_IGNORED;
    }
    b->tokens += n;
    e->n++;
    e->offsets[e->n] = b->tokens;
    e->max_len = n > e->max_len ? n : e->max_len;
cleanup:
    return st;
}

/* What was collected as a data set. */
static mts_status finish(rows_builder *b, const char *path)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = b->ctx;
    encoded_dataset *e = b->rows;
    MTS_CHECK(e->n > 0, MTS_ERR_BAD_FILE,
              "%s: expected at least one row of which something is learned, found none (%lld "
              "rows are empty, or have %lld tokens or more before the answer)",
              path, (long long)b->left_out, (long long)b->max_length);
    MTS_TRY(mem_calloc(ctx, &e->type_ids, (size_t)b->tokens, sizeof e->type_ids[0], "token types"));
    e->targets = (targets){.kind = TARGET_NEXT, .index = b->target};
    b->target = NULL;
cleanup:
    return st;
}

/* --------------------------------------------------------------------------- plain text ------ */

/* All lines one behind the other, in rows of max_length. */
static mts_status read_text(rows_builder *b, const char *path, const task_reading *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = b->ctx;
    char *text = NULL;
    size_t bytes = 0;
    int64_t n;
    mts_encoding all = {0};
    MTS_TRY(file_read_all(ctx, path, TEXT_LIMIT, &text, &bytes));
    MTS_CHECK(memchr(text, '\0', bytes) == NULL, MTS_ERR_BAD_FILE,
              "%s: expected text, found a NUL byte", path);
    MTS_CHECK(bytes < INT32_MAX, MTS_ERR_BAD_FILE, "%s: expected less than 2 GiB of text", path);
    MTS_TRY(tokenizer_encode(ctx, r->tokenizer, text, NULL, 0, &all));
    n = all.length / b->max_length;
    n = b->max_samples >= 0 && b->max_samples < n ? b->max_samples : n;
    for (int64_t i = 0; i < n; i++)
        MTS_TRY(add_row(b, all.ids + i * b->max_length, b->max_length, 0));
    if (b->rows->n == 0 && all.length > 1)
        MTS_TRY(add_row(b, all.ids, all.length, 0));
cleanup:
    tokenizer_free_encoding(&all);
    mem_free(text);
    return st;
}

/* -------------------------------------------------------------------------------- tables ----- */

/* The forms of a row, by the names of its columns; the first whose columns are there is taken. */
typedef struct row_form {
    const char *prompt[2];                  /* columns; [1] may be absent or empty */
    const char *answer;                     /* NULL: prompt[0] is a whole document */
    const char *with_input, *without_input; /* printf formats of the prompt */
} row_form;

static const row_form forms[] = {
    {{"prompt", NULL}, "completion", NULL, "%s"},
    {{"instruction", "input"},
     "output",
     "Below is an instruction that describes a task, paired with an input that provides further "
     "context. Write a response that appropriately completes the request.\n\n### "
     "Instruction:\n%s\n\n### Input:\n%s\n\n### Response:\n",
     "Below is an instruction that describes a task. Write a response that appropriately completes "
     "the request.\n\n### Instruction:\n%s\n\n### Response:\n"},
    {{"question", NULL}, "answer", NULL, "%s\n"},
    {{"text", NULL}, NULL, NULL, "%s"},
};

enum { FORMS = sizeof forms / sizeof forms[0] };

static const row_form *find_form(const table *t)
{
    for (int i = 0; i < FORMS; i++)
        if (table_column_index(t, forms[i].prompt[0]) >= 0 &&
            (forms[i].answer == NULL || table_column_index(t, forms[i].answer) >= 0))
            return &forms[i];
    return NULL;
}

/* *text: the cell of a column, "" where there is none. */
static mts_status cell_or_empty(mts_ctx *ctx, const table *t, int64_t row, const char *column,
                                const char **text)
{
    const int64_t c = column == NULL ? -1 : table_column_index(t, column);
    const table_kind kind = c < 0 ? TABLE_MISSING : table_cell_kind(t, row, c);
    *text = "";
    if (c < 0 || kind == TABLE_MISSING || kind == TABLE_NULL)
        return MTS_OK;
    return table_cell(ctx, t, row, c, text);
}

/* *out: prompt, and behind it the answer at *answer. */
static mts_status make_text(mts_ctx *ctx, const table *t, int64_t row, const row_form *f,
                            char **out, size_t *answer)
{
    mts_status st = MTS_OK;
    const char *prompt, *input, *completion;
    const char *format = f->without_input;
    int n;
    MTS_TRY(cell_or_empty(ctx, t, row, f->prompt[0], &prompt));
    MTS_TRY(cell_or_empty(ctx, t, row, f->prompt[1], &input));
    MTS_TRY(cell_or_empty(ctx, t, row, f->answer, &completion));
    if (*input != '\0')
        format = f->with_input;
    n = *input != '\0' ? snprintf(NULL, 0, format, prompt, input)
                       : snprintf(NULL, 0, format, prompt);
    MTS_CHECK(n >= 0, MTS_ERR_BAD_FILE, "%s:%lld: a text is too long", t->path,
              (long long)t->lines[row]);
    MTS_TRY(mem_calloc(ctx, out, (size_t)n + strlen(completion) + 1, 1, "text"));
    if (*input != '\0')
        snprintf(*out, (size_t)n + 1, format, prompt, input);
    else
        snprintf(*out, (size_t)n + 1, format, prompt);
    *answer = (size_t)n;
    memcpy(*out + n, completion, strlen(completion) + 1);
cleanup:
    return st;
}

/* Tokens that two encodings have in common from the start. */
static int64_t common_start(const mts_encoding *a, const mts_encoding *b)
{
    int64_t n = 0;
    while (n < a->length && n < b->length && a->ids[n] == b->ids[n])
        n++;
    return n;
}

static mts_status add_document(rows_builder *b, const table *t, int64_t row, const row_form *f,
                               const task_reading *r, int32_t end)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = b->ctx;
    mts_encoding whole = {0}, prompt = {0};
    char *text = NULL;
    int32_t *ids = NULL;
    size_t answer = 0;
    int64_t n, kept, learned = 0;
    MTS_TRY(make_text(ctx, t, row, f, &text, &answer));
    MTS_TRY(tokenizer_encode(ctx, r->tokenizer, text, NULL, 0, &whole));
    if (f->answer != NULL) {
        text[answer] = '\0';
        MTS_TRY(tokenizer_encode(ctx, r->tokenizer, text, NULL, 0, &prompt));
        learned = common_start(&whole, &prompt);
    }
    n = whole.length;
    MTS_TRY(mem_calloc(ctx, &ids, (size_t)n + 1, sizeof *ids, "tokens"));
    memcpy(ids, whole.ids, (size_t)n * sizeof *ids);
    if (end >= 0 && (n == 0 || ids[n - 1] != end))
        ids[n++] = end;
    kept = n < b->max_length ? n : b->max_length;
    if (learned >= kept || kept < 2) {
        b->left_out++;
    } else {
        b->rows->cut += kept < n;
        MTS_TRY(add_row(b, ids, kept, learned));
    }
cleanup:
    if (st == MTS_ERR_ARGUMENT)
        status_prefix(ctx, "%s:%lld", t->path, (long long)t->lines[row]);
    tokenizer_free_encoding(&whole);
    tokenizer_free_encoding(&prompt);
    mem_free(text);
    mem_free(ids);
    return st;
}

static mts_status read_table(mts_ctx *ctx, const char *path, table *t)
{
    mts_status st = MTS_OK;
    char *bytes = NULL;
    size_t n = 0;
    table_layout layout = {0};
    MTS_TRY(table_format_of_path(ctx, path, &layout.format));
    MTS_TRY(file_read_all(ctx, path, TEXT_LIMIT, &bytes, &n));
    MTS_TRY(table_parse(ctx, t, path, &bytes, n, &layout));
cleanup:
    mem_free(bytes);
    return st;
}

static mts_status read_documents(rows_builder *b, const char *path, int32_t end,
                                 const task_reading *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = b->ctx;
    table t = {0};
    const row_form *f = NULL;
    int64_t n;
    MTS_TRY(read_table(ctx, path, &t));
    f = find_form(&t);
    MTS_CHECK(f != NULL, MTS_ERR_BAD_FILE,
              "%s: expected columns prompt and completion; instruction, input and output; question "
              "and answer; or text; the first found is \"%.40s\"",
              path, t.n_columns > 0 ? t.names[0] : "");
    n = b->max_samples >= 0 && b->max_samples < t.n_rows ? b->max_samples : t.n_rows;
    for (int64_t row = 0; row < n; row++) {
        MTS_TRY(add_document(b, &t, row, f, r, end));
        if ((row + 1) % PROGRESS_ROWS == 0 || row + 1 == n)
            MTS_CHECK(r->progress == NULL || r->progress(r->user, row + 1, n), MTS_ERR_INTERRUPTED,
                      "tokenizing: stopped by the caller after %lld of %lld rows",
                      (long long)row + 1, (long long)n);
    }
cleanup:
    table_deinit(&t);
    return st;
}

static bool is_plain_text(const char *path)
{
    const size_t n = strlen(path);
    return n >= 4 && strcmp(path + n - 4, ".txt") == 0;
}

/* Tell what became of the rows. */
static void note_rows(const rows_builder *b, const char *path, const task_reading *r)
{
    char text[NOTE_BYTES];
    const long long cut = b->rows->cut, n = b->rows->n, left_out = b->left_out;
    if (r->note == NULL)
        return;
    if (cut > 0) {
        snprintf(text, sizeof text,
                 "%s: %lld of %lld rows were cut to --max_seq_length %lld tokens", path, cut, n,
                 (long long)b->max_length);
        r->note(r->user, text);
    }
    if (left_out > 0) {
        snprintf(text, sizeof text,
                 "%s: %lld of %lld rows are left out: nothing is learned of an empty row, or of "
                 "one whose prompt alone has %lld tokens or more",
                 path, left_out, n + left_out, (long long)b->max_length);
        r->note(r->user, text);
    }
}

mts_status language_rows_read(mts_ctx *ctx, const char *path, int32_t end, int64_t max_samples,
                              const task_reading *r, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    rows_builder b = {
        .ctx = ctx, .rows = out, .max_length = r->max_length, .max_samples = max_samples};
    *out = (encoded_dataset){0};
    MTS_TRY(reserve(&b, 0));
    if (is_plain_text(path))
        MTS_TRY(read_text(&b, path, r));
    else
        MTS_TRY(read_documents(&b, path, end, r));
    MTS_TRY(finish(&b, path));
    note_rows(&b, path, r);
cleanup:
    mem_free(b.target);
    return st;
}
