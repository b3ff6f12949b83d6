/*
 * Files of language modelling to rows of tokens with targets, with a tokenizer whose tokens are
 * bytes: what is expected is spelled out.
 *
 *   forms     text, prompt and completion, instruction, question and answer; .csv, .tsv and .jsonl
 *   targets   the token behind each, from the first of the answer on; a token of both counts to it
 *   rows      cut, left out, the first so many; what is told about them
 *   .txt      rows of one length; a short file
 *   errors    no known columns, nothing in a file, nothing to learn, wrong end-of-text tokens
 */
#include "support/test_check.h"

#include <stdio.h>

#include "base/memory.h"
#include "support/byte_tokenizer.h"
#include "support/test_folder.h"
#include "tasks/language_modeling.h"

enum { END = BYTE_TOKENIZER_END, AB = BYTE_TOKENIZER_AB, LONG = 1000, NOTES = 4 };

static mts_ctx ctx;
static tokenizer *tok;
static char notes[NOTES][512];
static int note_count;

static int open_tokenizer(void **state)
{
    int status = folder_open(state);
    if (status == 0)
        status = byte_tokenizer_write(&ctx, folder_root()) != MTS_OK ||
                 tokenizer_open(&ctx, folder_root(), &tok) != MTS_OK;
    if (status != 0)
        print_error("%s\n", ctx.error);
    return status;
}

static int close_tokenizer(void **state)
{
    tokenizer_close(tok);
    return folder_close(state);
}

static void note(void *user, const char *text)
{
    (void)user;
    assert_true(note_count < NOTES);
    snprintf(notes[note_count++], sizeof notes[0], "%s", text);
}

/* The rows of a file with this content. */
static mts_status read_rows(const char *name, const char *content, int32_t end, int64_t max_length,
                            int64_t max_samples, encoded_dataset *out)
{
    const task_reading r = {.tokenizer = tok, .max_length = max_length, .threads = 1, .note = note};
    folder_put_text(name, content);
    note_count = 0;
    const language_reading how = {.end = end, .max_samples = max_samples, .completion_only = -1};
    return language_rows_read(&ctx, folder_at(name), &how, &r, out);
}

/* Row `row` is the tokens of text ("$": the end, "@": "ab"); those from number `learned` on are
 * targets of the one before, the first never. */
static void assert_row(const encoded_dataset *e, int64_t row, const char *text, int64_t learned)
{
    const int64_t first = e->offsets[row], n = encoded_dataset_length(e, row);
    assert_int_equal(n, strlen(text));
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = text[i] == '$' ? END : text[i] == '@' ? AB : (unsigned char)text[i];
        assert_int_equal(e->ids[first + i], id);
        assert_int_equal(e->type_ids[first + i], 0);
        if (i > 0)
            assert_int_equal(e->targets.index[first + i - 1], i >= learned ? id : TARGET_IGNORED);
    }
    assert_int_equal(e->targets.index[first + n - 1], TARGET_IGNORED);
}

static void assert_notes(const char *a, const char *b)
{
    const char *const parts[] = {a, b};
    for (int i = 0; i < 2; i++) {
        assert_true((parts[i] != NULL) == (note_count > i));
        if (parts[i] != NULL && strstr(notes[i], parts[i]) == NULL)
            fail_msg("expected \"%s\" in \"%s\"", parts[i], notes[i]);
    }
}

/* ---------------------------------------------------------------------------------- forms ---- */

static void documents(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"cab\", \"other\": 3}\n", END,
                        LONG, -1, &e));
    assert_int_equal(e.n, 2);
    assert_int_equal(e.max_len, 4);
    assert_int_equal(e.cut, 0);
    assert_int_equal(e.targets.kind, TARGET_NEXT);
    assert_row(&e, 0, "one$", 0);
    assert_row(&e, 1, "c@$", 0);
    assert_notes(NULL, NULL);
    encoded_dataset_deinit(&e);
}

/* No end-of-text token; one that the text has already is not doubled. */
static void end_token(void **state)
{
    static const char content[] = "{\"text\": \"one\"}\n{\"text\": \"two<|end|>\"}\n";
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl", content, -1, LONG, -1, &e));
    assert_row(&e, 0, "one", 0);
    assert_row(&e, 1, "two$", 0);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.jsonl", content, END, LONG, -1, &e));
    assert_row(&e, 0, "one$", 0);
    assert_row(&e, 1, "two$", 0);
    encoded_dataset_deinit(&e);
}

static void prompts(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl",
                        "{\"prompt\": \"2+2=\", \"completion\": \"4\"}\n"
                        "{\"prompt\": \"\", \"completion\": \"xy\"}\n"
                        "{\"prompt\": \"why\", \"completion\": \"\"}\n"
                        "{\"completion\": \"z\", \"prompt\": null}\n"
                        "{\"prompt\": \"n=\", \"completion\": 12.50}\n",
                        END, LONG, -1, &e));
    assert_int_equal(e.n, 5);
    assert_row(&e, 0, "2+2=4$", 4);
    assert_row(&e, 1, "xy$", 0);
    assert_row(&e, 2, "why$", 3); /* the answer is nothing: to end there */
    assert_row(&e, 3, "z$", 0);
    assert_row(&e, 4, "n=12.5$", 2);
    encoded_dataset_deinit(&e);
}

/* "a" ends the prompt and "b" begins the answer, but "ab" is one token: it is learned. */
static void a_token_of_both(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(
        read_rows("a.jsonl", "{\"prompt\": \"xa\", \"completion\": \"bc\"}\n", END, LONG, -1, &e));
    assert_row(&e, 0, "x@c$", 1);
    encoded_dataset_deinit(&e);
}

static void questions(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.csv", "question,answer\n\"2, 3?\",5\nq,\"1\n2\"\n", END, LONG, -1, &e));
    assert_int_equal(e.n, 2);
    assert_row(&e, 0, "2, 3?\n5$", 6);
    assert_row(&e, 1, "q\n1\n2$", 2);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.tsv", "answer\tid\tquestion\nyes\t1\tok?\n", END, LONG, -1, &e));
    assert_row(&e, 0, "ok?\nyes$", 4);
    encoded_dataset_deinit(&e);
}

#define WITH_INPUT                                                                                 \
    "Below is an instruction that describes a task, paired with an input that provides further "   \
    "context. Write a response that appropriately completes the request.\n\n### Instruction:\n"
#define WITHOUT_INPUT                                                                              \
    "Below is an instruction that describes a task. Write a response that appropriately "          \
    "completes the request.\n\n### Instruction:\n"

/* Alpaca's words; none of them has "ab" in it. */
static void instructions(void **state)
{
    static const char with[] = WITH_INPUT "Add.\n\n### Input:\n1, 2\n\n### Response:\n";
    static const char without[] = WITHOUT_INPUT "Greet.\n\n### Response:\n";
    char text[1024];
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl",
                        "{\"instruction\": \"Add.\", \"input\": \"1, 2\", \"output\": \"3\"}\n"
                        "{\"instruction\": \"Greet.\", \"input\": \"\", \"output\": \"Hello!\"}\n"
                        "{\"instruction\": \"Greet.\", \"output\": \"Hi\"}\n"
                        "{\"instruction\": \"Greet.\", \"input\": null, \"output\": \"Hi\"}\n",
                        END, LONG, -1, &e));
    assert_int_equal(e.n, 4);
    snprintf(text, sizeof text, "%s3$", with);
    assert_row(&e, 0, text, (int64_t)strlen(with));
    snprintf(text, sizeof text, "%sHello!$", without);
    assert_row(&e, 1, text, (int64_t)strlen(without));
    snprintf(text, sizeof text, "%sHi$", without);
    assert_row(&e, 2, text, (int64_t)strlen(without));
    assert_row(&e, 3, text, (int64_t)strlen(without));
    encoded_dataset_deinit(&e);
}

/* Two forms in one file: a prompt with an answer goes before a text. */
static void both_forms(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl", "{\"text\": \"t\", \"prompt\": \"p\", \"completion\": \"c\"}\n",
                        END, LONG, -1, &e));
    assert_row(&e, 0, "pc$", 1);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.jsonl", "{\"text\": \"t\", \"prompt\": \"p\"}\n", END, LONG, -1, &e));
    assert_row(&e, 0, "t$", 0);
    encoded_dataset_deinit(&e);
}

/* ----------------------------------------------------------------------------------- rows ---- */

static void cut_rows(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(
        read_rows("a.jsonl",
                  "{\"prompt\": \"1234\", \"completion\": \"56\"}\n"    /* fits with the end */
                  "{\"prompt\": \"1234\", \"completion\": \"567\"}\n"   /* the end does not */
                  "{\"prompt\": \"123456\", \"completion\": \"789\"}\n" /* one is left of it */
                  "{\"prompt\": \"1234567\", \"completion\": \"8\"}\n"  /* nothing is */
                  "{\"prompt\": \"12345678\", \"completion\": \"9\"}\n",
                  END, 7, -1, &e));
    assert_int_equal(e.n, 3);
    assert_int_equal(e.max_len, 7);
    assert_row(&e, 0, "123456$", 4);
    assert_row(&e, 1, "1234567", 4);
    assert_row(&e, 2, "1234567", 6);
    assert_int_equal(e.cut, 2);
    assert_notes("a.jsonl: 2 of 3 rows were cut to --max_seq_length 7 tokens",
                 "a.jsonl: 2 of 5 rows are left out: nothing is learned of an empty row, or of one "
                 "whose prompt alone has 7 tokens or more");
    encoded_dataset_deinit(&e);
}

static void empty_rows(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl", "{\"text\": \"\"}\n{\"text\": \"ok\"}\n{\"text\": null}\n{}\n",
                        END, LONG, -1, &e));
    assert_int_equal(e.n, 1);
    assert_row(&e, 0, "ok$", 0);
    assert_notes("3 of 4 rows are left out", NULL);
    encoded_dataset_deinit(&e);
    /* one token and nothing behind it */
    assert_ok(read_rows("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"ok\"}\n", -1, LONG, -1, &e));
    assert_int_equal(e.n, 1);
    encoded_dataset_deinit(&e);
}

static void first_rows(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.jsonl", "{\"text\": \"1\"}\n{\"text\": \"2\"}\n{\"text\": \"3\"}\n", END,
                        LONG, 2, &e));
    assert_int_equal(e.n, 2);
    assert_row(&e, 1, "2$", 0);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.jsonl", "{\"text\": \"1\"}\n", END, LONG, 9, &e));
    assert_int_equal(e.n, 1);
    encoded_dataset_deinit(&e);
}

/* More rows and tokens than the first room that is made for them. */
static void many_rows(void **state)
{
    enum { ROWS = 3000 };
    static char content[ROWS * 40];
    encoded_dataset e;
    size_t n = 0;
    (void)state;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)snprintf(content + n, sizeof content - n, "{\"text\": \"row %d\"}\n", i);
    assert_ok(read_rows("a.jsonl", content, END, LONG, -1, &e));
    assert_int_equal(e.n, ROWS);
    for (int i = 0; i < ROWS; i++) {
        char text[16];
        snprintf(text, sizeof text, "row %d$", i);
        assert_row(&e, i, text, 0);
    }
    encoded_dataset_deinit(&e);
}

/* ------------------------------------------------------------------------------ plain text --- */

static void plain_text(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.txt", "one\ntwo\n\nthree", END, 4, -1, &e));
    assert_int_equal(e.n, 3);
    assert_row(&e, 0, "one\n", 0);
    assert_row(&e, 1, "two\n", 0);
    assert_row(&e, 2, "\nthr", 0); /* "ee" is dropped */
    assert_notes(NULL, NULL);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.txt", "12345678", END, 4, -1, &e));
    assert_int_equal(e.n, 2);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.txt", "short", END, 100, -1, &e));
    assert_int_equal(e.n, 1);
    assert_row(&e, 0, "short", 0);
    encoded_dataset_deinit(&e);
    assert_ok(read_rows("a.txt", "12345678", END, 4, 1, &e)); /* the first so many rows */
    assert_int_equal(e.n, 1);
    assert_row(&e, 0, "1234", 0);
    encoded_dataset_deinit(&e);
}

/* --------------------------------------------------------------------------------- errors ---- */

static void refuse(const char *name, const char *content, const char *text)
{
    encoded_dataset e;
    assert_fails(read_rows(name, content, END, 8, -1, &e), MTS_ERR_BAD_FILE, text);
    assert_non_null(strstr(ctx.error, name));
    encoded_dataset_deinit(&e);
}

static void bad_files(void **state)
{
    encoded_dataset e;
    const task_reading r = {.tokenizer = tok, .max_length = 8, .threads = 1};
    const language_reading how = {.end = END, .max_samples = -1, .completion_only = -1};
    (void)state;
    refuse("a.jsonl", "{\"sentence\": \"x\", \"label\": 1}\n",
           "expected columns messages; prompt and completion; instruction, input and output; "
           "question and "
           "answer; or text; the first found is \"sentence\"");
    refuse("a.csv", "prompt,answer\n1,2\n", "the first found is \"prompt\"");
    refuse("a.jsonl", "{\"question\": \"x\"}\n", "the first found is \"question\"");
    refuse("a.jsonl", "", "a.jsonl");
    refuse("a.csv", "", "a.csv");
    refuse("a.csv", "text\n", "a.csv");
    refuse("a.jsonl", "not json\n", "a.jsonl");
    refuse("a.jsonl", "{\"text\": [\"x\"]}\n", "text");
    refuse("a.jsonl", "{\"text\": \"\"}\n", "found none");
    refuse("a.jsonl", "{\"prompt\": \"12345678\", \"completion\": \"9\"}\n",
           "expected at least one row of which something is learned, found none");
    refuse("a.txt", "", "found none");
    refuse("a.txt", "x", "found none");
    folder_put("a.txt", "a\0b", 3);
    assert_fails(language_rows_read(&ctx, folder_at("a.txt"), &how, &r, &e), MTS_ERR_BAD_FILE,
                 "expected text, found a NUL byte");
    encoded_dataset_deinit(&e);
    assert_fails(language_rows_read(&ctx, folder_at("none.txt"), &how, &r, &e), MTS_ERR_NOT_FOUND,
                 "none.txt");
    encoded_dataset_deinit(&e);
    assert_fails(language_rows_read(&ctx, folder_at("none.jsonl"), &how, &r, &e), MTS_ERR_NOT_FOUND,
                 "none.jsonl");
    encoded_dataset_deinit(&e);
}

/* Malformed UTF-8 is U+FFFD, as everywhere. */
static void not_utf8(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows("a.txt", "a\xFF\xC3\xA9", END, 100, -1, &e));
    assert_row(&e, 0, "a\xEF\xBF\xBD\xC3\xA9", 0);
    encoded_dataset_deinit(&e);
}

static bool stop_at_once(void *user, int64_t done, int64_t total)
{
    *(int64_t *)user = total;
    return done < 64;
}

static void stopped(void **state)
{
    static char content[100 * 16];
    int64_t total = 0;
    const task_reading r = {
        .tokenizer = tok, .max_length = 8, .threads = 1, .progress = stop_at_once, .user = &total};
    const language_reading how = {.end = END, .max_samples = -1, .completion_only = -1};
    encoded_dataset e;
    size_t n = 0;
    (void)state;
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(content + n, sizeof content - n, "{\"text\": \"x\"}\n");
    folder_put_text("a.jsonl", content);
    assert_fails(language_rows_read(&ctx, folder_at("a.jsonl"), &how, &r, &e), MTS_ERR_INTERRUPTED,
                 "64 of 100 rows");
    assert_int_equal(total, 100);
    encoded_dataset_deinit(&e);
}

/* ----------------------------------------------------------------------- end-of-text token --- */

/* The end-of-text token of a config.json that says so; 258 tokens. */
static mts_status fit(const char *json, int32_t *end)
{
    const task_class *class = &language_modeling_class;
    const task_reading r = {.tokenizer = tok, .max_length = 8, .threads = 1};
    mts_options o;
    model_config cfg = {.vocab_size = BYTE_TOKENIZER_SIZE, .json = json_loads(json, 0, NULL)};
    task *t = NULL;
    mts_options_default(&o);
    o.train_file = "a.txt";
    assert_non_null(cfg.json);
    assert_ok(class->open(&ctx, &o, NULL, &t));
    const mts_status st = class->fit(&ctx, t, "folder", &cfg, true, &r);
    *end = ((const language_modeling *)t)->end;
    class->close(t);
    json_decref(cfg.json);
    return st;
}

static void end_of_text(void **state)
{
    static const struct {
        const char *json;
        int32_t end;
    } good[] = {{"{}", -1},
                {"{\"eos_token_id\": null}", -1},
                {"{\"eos_token_id\": []}", -1},
                {"{\"eos_token_id\": 256}", 256},
                {"{\"eos_token_id\": 0}", 0},
                {"{\"eos_token_id\": [257, 256]}", 257}};
    static const char *const bad[] = {"258",     "-1",        "[1000000]", "9223372036854775807",
                                      "\"256\"", "[\"256\"]", "true",      "2.0",
                                      "{}"};
    int32_t end;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(fit(good[i].json, &end));
        assert_int_equal(end, good[i].end);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"eos_token_id\": %s}", bad[i]);
        assert_fails(fit(json, &end), MTS_ERR_BAD_FILE,
                     "folder: config.json: eos_token_id: expected ");
    }
}

static void no_files(void **state)
{
    mts_options o;
    task *t;
    (void)state;
    mts_options_default(&o);
    assert_fails(language_modeling_class.open(&ctx, &o, NULL, &t), MTS_ERR_ARGUMENT,
                 "expected train_file or validation_file, found none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),  cmocka_unit_test(end_token),
        cmocka_unit_test(prompts),    cmocka_unit_test(a_token_of_both),
        cmocka_unit_test(questions),  cmocka_unit_test(instructions),
        cmocka_unit_test(both_forms), cmocka_unit_test(cut_rows),
        cmocka_unit_test(empty_rows), cmocka_unit_test(first_rows),
        cmocka_unit_test(many_rows),  cmocka_unit_test(plain_text),
        cmocka_unit_test(bad_files),  cmocka_unit_test(not_utf8),
        cmocka_unit_test(stopped),    cmocka_unit_test(end_of_text),
        cmocka_unit_test(no_files),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
