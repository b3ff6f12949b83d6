/* Documents to rows of tokens with targets.  See language_modeling.h. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/packing.h"
#include "data/table_reader.h"
#include "tasks/chat_rows.h"
#include "tasks/language_modeling.h"
#include "tasks/row_builder.h"

#define TEXT_LIMIT ((size_t)1 << 32)

enum { PROGRESS_ROWS = 64, NOTE_BYTES = 1024 };

/* The rows of one file. */
typedef struct rows_reader {
    row_builder b;
    const char *path;
    const language_reading *how;
    const task_reading *r;
    chat_template *template; /* opened at the first dialogue */
} rows_reader;

/* --------------------------------------------------------------------------- plain text ------ */

/* All lines one behind the other, in rows of max_length. */
static mts_status read_text(rows_reader *f)
{
    mts_status st = MTS_OK;
    row_builder *b = &f->b;
    mts_ctx *ctx = b->ctx;
    const char *path = f->path;
    char *text = NULL;
    size_t bytes = 0;
    int64_t n;
    mts_encoding all = {0};
    MTS_TRY(file_read_all(ctx, path, TEXT_LIMIT, &text, &bytes));
    MTS_CHECK(memchr(text, '\0', bytes) == NULL, MTS_ERR_BAD_FILE,
              "%s: expected text, found a NUL byte", path);
    MTS_CHECK(bytes < INT32_MAX, MTS_ERR_BAD_FILE, "%s: expected less than 2 GiB of text", path);
    MTS_TRY(tokenizer_encode(ctx, f->r->tokenizer, text, NULL, 0, &all));
    n = all.length / b->max_length;
    n = f->how->max_samples >= 0 && f->how->max_samples < n ? f->how->max_samples : n;
    for (int64_t i = 0; i < n; i++)
        MTS_TRY(row_builder_add(b, all.ids + i * b->max_length, NULL, b->max_length));
    if (b->rows->n == 0 && all.length > 1)
        MTS_TRY(row_builder_add(b, all.ids, NULL, all.length));
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
    const char *with_input, *without_input; /* printf formats of the prompt; NULL: messages */
    bool chat;                              /* the cells may hold, or hold, messages */
} row_form;

static const row_form forms[] = {
    {{"prompt", NULL}, "completion", NULL, "%s", true},
    {{"messages", NULL}, NULL, NULL, NULL, true},
    {{"conversations", NULL}, NULL, NULL, NULL, true},
    {{"instruction", "input"},
     "output",
     "Below is an instruction that describes a task, paired with an input that provides further "
     "context. Write a response that appropriately completes the request.\n\n### "
     "Instruction:\n%s\n\n### Input:\n%s\n\n### Response:\n",
     "Below is an instruction that describes a task. Write a response that appropriately completes "
     "the request.\n\n### Instruction:\n%s\n\n### Response:\n",
     false},
    {{"question", NULL}, "answer", NULL, "%s\n", false},
    {{"text", NULL}, NULL, NULL, "%s", false},
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

/* A row of texts. */
static mts_status add_document(rows_reader *f, const table *t, int64_t row, const row_form *form)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = f->b.ctx;
    const tokenizer *tok = f->r->tokenizer;
    const int32_t end = f->how->end;
    const bool masked = form->answer != NULL && f->how->completion_only != 0;
    mts_encoding whole = {0}, prompt = {0};
    char *text = NULL;
    int32_t *ids = NULL;
    bool *learned = NULL;
    size_t answer = 0;
    int64_t n;
    MTS_TRY(make_text(ctx, t, row, form, &text, &answer));
    MTS_TRY(tokenizer_encode(ctx, tok, text, NULL, 0, &whole));
    if (masked) {
        text[answer] = '\0';
        MTS_TRY(tokenizer_encode(ctx, tok, text, NULL, 0, &prompt));
    }
    n = whole.length;
    MTS_TRY(mem_calloc(ctx, &ids, (size_t)n + 1, sizeof *ids, "tokens"));
    MTS_TRY(mem_calloc(ctx, &learned, (size_t)n + 1, sizeof *learned, "tokens"));
    memcpy(ids, whole.ids, (size_t)n * sizeof *ids);
    if (end >= 0 && (n == 0 || ids[n - 1] != end))
        ids[n++] = end;
    for (int64_t i = masked ? common_start(&whole, &prompt) : 0; i < n; i++)
        learned[i] = true;
    MTS_TRY(row_builder_add(&f->b, ids, learned, n));
cleanup:
    tokenizer_free_encoding(&whole);
    tokenizer_free_encoding(&prompt);
    mem_free(text);
    mem_free(ids);
    mem_free(learned);
    return st;
}

/* *cell: the messages in a column, NULL where there is no such column.  MTS_ERR_BAD_FILE: it holds
 * something else. */
static mts_status messages_of(mts_ctx *ctx, const table *t, int64_t row, const char *column,
                              const char **cell)
{
    mts_status st = MTS_OK;
    const int64_t c = column == NULL ? -1 : table_column_index(t, column);
    *cell = NULL;
    if (c < 0)
        return MTS_OK;
    *cell = table_nested(t, row, c);
    MTS_CHECK(*cell != NULL, MTS_ERR_BAD_FILE, "%s: expected a list of messages", column);
cleanup:
    return st;
}

/* A row of messages. */
static mts_status add_dialogue(rows_reader *f, const table *t, int64_t row, const row_form *form)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = f->b.ctx;
    const chat_loss loss = {.completion_only = f->how->completion_only != 0,
                            .assistant_only = f->how->assistant_only};
    const int64_t tools = table_column_index(t, "tools");
    chat_cells cells = {0};
    chat_row encoded = {0};
    if (f->template == NULL)
        MTS_TRY(chat_template_open(ctx, f->r->tokenizer, NULL, &f->template));
    MTS_TRY(messages_of(ctx, t, row, form->prompt[0], &cells.messages));
    MTS_TRY(messages_of(ctx, t, row, form->answer, &cells.completion));
    if (tools >= 0)
        cells.tools = table_nested(t, row, tools);
    if (cells.tools == NULL && tools >= 0)
        MTS_TRY(cell_or_empty(ctx, t, row, "tools", &cells.tools));
    st = chat_row_encode(ctx, f->template, f->r->tokenizer, &cells, loss, &encoded);
    if (st == MTS_ERR_ARGUMENT) /* what the template refuses is wrong in the file */
        st = MTS_ERR_BAD_FILE;
    MTS_TRY(st);
    MTS_TRY(row_builder_add(&f->b, encoded.tokens.ids, encoded.learned, encoded.tokens.length));
cleanup:
    chat_row_deinit(&encoded);
    return st;
}

static mts_status add_table_row(rows_reader *f, const table *t, int64_t row, const row_form *form)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = f->b.ctx;
    const bool chat = form->chat && (form->without_input == NULL ||
                                     table_nested(t, row, table_column_index(t, form->prompt[0])));
    if (chat) {
        st = add_dialogue(f, t, row, form);
    } else {
        MTS_CHECK(!f->how->assistant_only, MTS_ERR_ARGUMENT,
                  "option --assistant_only_loss needs rows of messages, found texts");
        st = add_document(f, t, row, form);
    }
    if (st == MTS_OK || st == MTS_ERR_MEMORY || st == MTS_ERR_NOT_FOUND)
        return st;
cleanup:
    /* Errors of the table's cells begin with the place. */
    if (strncmp(mts_error_text(ctx), t->path, strlen(t->path)) != 0)
        status_prefix(ctx, "%s:%lld", t->path, (long long)t->lines[row]);
    return st;
}

static mts_status read_table(mts_ctx *ctx, const char *path, table *t)
{
    mts_status st = MTS_OK;
    char *bytes = NULL;
    size_t n = 0;
    table_layout layout = {.nested = true};
    MTS_TRY(table_format_of_path(ctx, path, &layout.format));
    MTS_TRY(file_read_all(ctx, path, TEXT_LIMIT, &bytes, &n));
    MTS_TRY(table_parse(ctx, t, path, &bytes, n, &layout));
cleanup:
    mem_free(bytes);
    return st;
}

static mts_status read_documents(rows_reader *f)
{
    mts_status st = MTS_OK;
    const language_reading *how = f->how;
    const task_reading *r = f->r;
    mts_ctx *ctx = f->b.ctx;
    table t = {0};
    const row_form *form = NULL;
    int64_t n;
    MTS_TRY(read_table(ctx, f->path, &t));
    form = find_form(&t);
    MTS_CHECK(form != NULL, MTS_ERR_BAD_FILE,
              "%s: expected columns messages; prompt and completion; instruction, input and "
              "output; question and answer; or text; the first found is \"%.40s\"",
              f->path, t.n_columns > 0 ? t.names[0] : "");
    MTS_CHECK(how->completion_only != 1 || form->answer != NULL, MTS_ERR_ARGUMENT,
              "option --completion_only_loss: %s has no column for a completion, found \"%s\"",
              f->path, form->prompt[0]);
    n = how->max_samples >= 0 && how->max_samples < t.n_rows ? how->max_samples : t.n_rows;
    for (int64_t row = 0; row < n; row++) {
        MTS_TRY(add_table_row(f, &t, row, form));
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
static void note_rows(const rows_reader *f)
{
    char text[NOTE_BYTES];
    const task_reading *r = f->r;
    const long long cut = f->b.rows->cut, n = f->b.rows->n, left_out = f->b.left_out;
    if (r->note == NULL)
        return;
    if (cut > 0) {
        snprintf(text, sizeof text,
                 "%s: %lld of %lld rows were cut to --max_seq_length %lld tokens", f->path, cut, n,
                 (long long)f->b.max_length);
        r->note(r->user, text);
    }
    if (left_out > 0) {
        snprintf(text, sizeof text,
                 "%s: %lld of %lld rows are left out: nothing is learned of an empty row, or of "
                 "one whose prompt alone has %lld tokens or more",
                 f->path, left_out, n + left_out, (long long)f->b.max_length);
        r->note(r->user, text);
    }
}

/* Rows into packed ones, and tell how many. */
static mts_status pack_rows(mts_ctx *ctx, const rows_reader *f, encoded_dataset *rows)
{
    mts_status st = MTS_OK;
    char text[NOTE_BYTES];
    const long long n = rows->n;
    MTS_TRY(encoded_dataset_pack(ctx, rows, f->b.max_length));
    snprintf(text, sizeof text, "%s: %lld rows are packed into %lld of up to %lld tokens", f->path,
             n, (long long)rows->n, (long long)f->b.max_length);
    if (f->r->note != NULL)
        f->r->note(f->r->user, text);
cleanup:
    return st;
}

mts_status language_rows_read(mts_ctx *ctx, const char *path, const language_reading *how,
                              const task_reading *r, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    rows_reader f = {.path = path, .how = how, .r = r};
    MTS_TRY(row_builder_init(ctx, &f.b, out, r->max_length));
    if (is_plain_text(path)) {
        MTS_CHECK(!how->assistant_only && how->completion_only != 1, MTS_ERR_ARGUMENT,
                  "options --assistant_only_loss and --completion_only_loss need rows of messages, "
                  "or of a prompt and a completion: %s is a text",
                  path);
        MTS_TRY(read_text(&f));
    } else {
        MTS_TRY(read_documents(&f));
    }
    MTS_TRY(row_builder_finish(&f.b, path));
    note_rows(&f);
    if (how->packing)
        MTS_TRY(pack_rows(ctx, &f, out));
cleanup:
    chat_template_close(f.template);
    row_builder_deinit(&f.b);
    return st;
}
