/*
 * Dialogues to rows, with a tokenizer whose tokens are bytes and templates that are spelled out
 * here: which tokens there are, which of them are learned, what is refused with which line.
 *
 *   templates  where a model's comes from; another file; special tokens; ids; tools and reasoning
 *   turns      what the assistant says, of templates that mark it and of others
 *   rows       messages, conversations, prompt and completion; both masks; packing
 *   errors
 */
#include "support/test_check.h"

#include <jansson.h>
#include <stdio.h>

#include "base/memory.h"
#include "support/byte_tokenizer.h"
#include "support/test_folder.h"
#include "tasks/language_modeling.h"
#include "text/chat_template.h"

enum { LONG = 1000 };

static mts_ctx ctx;

/* A line for each message, as the first letter of the role; no word of it has "ab" in it. */
#define PLAIN                                                                                      \
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}"                          \
    "{% if add_generation_prompt %}a:{% endif %}"
#define MARKED                                                                                     \
    "{% for m in messages %}{{ m.role[0] }}:{% if m.role == 'assistant' %}{% generation %}{{ "     \
    "m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %};{% endfor %}"
/* As Qwen 3's: the last turn has a part that earlier ones lack. */
#define THINKING                                                                                   \
    "{% for m in messages %}{{ m.role[0] }}:{% if m.role == 'assistant' and loop.last %}[]{% "     \
    "endif %}{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
/* What comes first depends on how much follows. */
#define COUNTING "{{ messages | length }}" PLAIN

static tokenizer *open_with(const char *chat)
{
    tokenizer *tok = NULL;
    assert_ok(byte_tokenizer_write(&ctx, folder_root()));
    folder_put_text("config.json", "{}");
    folder_put_text("tokenizer_config.json",
                    "{\"eos_token\": \"<|end|>\", \"bos_token\": "
                    "{\"content\": \"<b>\"}, \"chat_template\": [{\"name\": "
                    "\"tool_use\", \"template\": \"t\"}, {\"name\": "
                    "\"default\", \"template\": \"D{{ bos_token }}\"}]}");
    if (chat != NULL)
        folder_put_text("chat_template.jinja", chat);
    assert_ok(tokenizer_open(&ctx, folder_root(), &tok));
    return tok;
}

/* ----------------------------------------------------------------------------- templates ---- */

static const chat_message two[] = {{"user", "hi"}, {"assistant", "yo"}};

static void assert_text(const tokenizer *tok, const chat_template *t, bool prompt, const char *want)
{
    mts_encoding e;
    char *text = NULL;
    size_t bytes = 0;
    assert_ok(chat_template_encode(&ctx, t, two, 2, prompt, &e));
    assert_ok(tokenizer_decode(&ctx, tok, e.ids, e.length, false, &text, &bytes));
    assert_string_equal(text, want);
    mem_free(text);
    tokenizer_free_encoding(&e);
}

static void test_sources(void **state)
{
    tokenizer *tok = open_with(NULL);
    chat_template *t = NULL;
    (void)state;
    assert_ok(chat_template_open(&ctx, tok, NULL, &t));
    assert_text(tok, t, false, "D<b>");
    chat_template_close(t);
    folder_put_text("other.jinja", "O" PLAIN);
    assert_ok(chat_template_open(&ctx, tok, folder_at("other.jinja"), &t));
    assert_text(tok, t, true, "Ou:hi;a:yo;a:");
    chat_template_close(t);
    tokenizer_close(tok);
    tok = open_with(PLAIN "{{ eos_token }}"); /* the file goes before the other */
    assert_ok(chat_template_open(&ctx, tok, NULL, &t));
    assert_text(tok, t, false, "u:hi;a:yo;<|end|>");
    chat_template_close(t);
    assert_ok(chat_template_open(&ctx, tok, folder_root(), &t));
    assert_text(tok, t, false, "u:hi;a:yo;<|end|>");
    chat_template_close(t);
    tokenizer_close(tok);
}

/* Special tokens in a content are found, and there is none around the row. */
static void test_ids(void **state)
{
    static const chat_message special[] = {{"user", "x<|end|>"}};
    const int32_t want[] = {'u', ':', 'x', BYTE_TOKENIZER_END, ';'};
    tokenizer *tok = open_with(PLAIN);
    chat_template *t = NULL;
    mts_encoding e;
    (void)state;
    assert_ok(chat_template_open(&ctx, tok, NULL, &t));
    assert_ok(chat_template_encode(&ctx, t, special, 1, false, &e));
    assert_int_equal(e.length, 5);
    assert_memory_equal(e.ids, want, sizeof want);
    tokenizer_free_encoding(&e);
    assert_fails(chat_template_encode(&ctx, t, special, 0, false, &e), MTS_ERR_ARGUMENT,
                 "at least one message");
    chat_template_close(t);
    tokenizer_close(tok);
}

static void test_no_template(void **state)
{
    tokenizer *tok = open_with("{% if %}");
    chat_template *t = NULL;
    (void)state;
    assert_fails(chat_template_open(&ctx, tok, NULL, &t), MTS_ERR_BAD_FILE,
                 "chat_template.jinja:1: expected an expression");
    assert_fails(chat_template_open(&ctx, tok, folder_at("none"), &t), MTS_ERR_NOT_FOUND, "none");
    assert_null(t);
    tokenizer_close(tok);
}

static void test_model_without(void **state)
{
    tokenizer *tok = NULL;
    chat_template *t = NULL;
    (void)state;
    assert_ok(byte_tokenizer_write(&ctx, folder_root()));
    assert_ok(tokenizer_open(&ctx, folder_root(), &tok));
    assert_fails(chat_template_open(&ctx, tok, NULL, &t), MTS_ERR_NOT_FOUND,
                 "the model has no chat template");
    tokenizer_close(tok);
}

/* --------------------------------------------------------------------------------- turns ---- */

/* The parts of the text of messages that the assistant says, with "|" around each. */
static void assert_turns(const char *chat, const char *messages, const char *want)
{
    tokenizer *tok = open_with(chat);
    chat_template *t = NULL;
    jinja_output out = {0};
    char marked[256] = "";
    size_t n = 0, at = 0;
    json_t *list = json_loads(messages, 0, NULL);
    assert_non_null(list);
    assert_ok(chat_template_open(&ctx, tok, NULL, &t));
    assert_ok(chat_template_render(&ctx, t, list, NULL, false, &out));
    assert_ok(chat_template_find_turns(&ctx, t, list, NULL, &out));
    for (int64_t i = 0; i < out.span_count; i++) {
        const jinja_span s = out.spans[i];
        n += (size_t)snprintf(marked + n, sizeof marked - n, "%.*s|%.*s|", (int)(s.begin - at),
                              out.text + at, (int)(s.end - s.begin), out.text + s.begin);
        at = s.end;
    }
    snprintf(marked + n, sizeof marked - n, "%s", out.text + at);
    assert_string_equal(marked, want);
    jinja_output_deinit(&out);
    json_decref(list);
    chat_template_close(t);
    tokenizer_close(tok);
}

#define TURN(role, content) "{\"role\": \"" role "\", \"content\": \"" content "\"}"
#define FOUR                                                                                       \
    "[" TURN("user", "1") "," TURN("assistant", "2") "," TURN("user", "3") "," TURN("assistant",   \
                                                                                    "4") "]"

static void test_turns(void **state)
{
    (void)state;
    assert_turns(PLAIN, FOUR, "u:1;a:|2;|u:3;a:|4;|");
    assert_turns(MARKED, FOUR, "u:1;a:|2|;u:3;a:|4|;");
    assert_turns(THINKING, FOUR, "u:1;a:|2;|u:3;a:|[]4;|");
    assert_turns(THINKING,
                 "[" TURN("user", "1") "," TURN("assistant", "") "," TURN("user", "3") "]",
                 "u:1;a:|;|u:3;");
    assert_turns(PLAIN, "[" TURN("system", "s") "," TURN("assistant", "2") "]", "s:s;a:|2;|");
    assert_turns(PLAIN, "[" TURN("user", "1") "]", "u:1;");
}

static void refuse_turns(const char *chat, const char *messages, const char *part)
{
    tokenizer *tok = open_with(chat);
    chat_template *t = NULL;
    jinja_output out = {0};
    json_t *list = json_loads(messages, 0, NULL);
    assert_non_null(list);
    assert_ok(chat_template_open(&ctx, tok, NULL, &t));
    assert_ok(chat_template_render(&ctx, t, list, NULL, false, &out));
    assert_fails(chat_template_find_turns(&ctx, t, list, NULL, &out), MTS_ERR_UNSUPPORTED, part);
    jinja_output_deinit(&out);
    json_decref(list);
    chat_template_close(t);
    tokenizer_close(tok);
}

static void test_turns_not_found(void **state)
{
    (void)state;
    refuse_turns(COUNTING, FOUR, "messages[1]: the chat template writes what comes before");
    refuse_turns(PLAIN, "[" TURN("assistant", "2") "]", "messages[0] is the assistant's");
}

/* ---------------------------------------------------------------------------------- rows ---- */

static const language_reading usual = {
    .end = BYTE_TOKENIZER_END, .max_samples = -1, .completion_only = -1};

static mts_status read_rows(const char *chat, const char *content, language_reading how,
                            int64_t max_length, encoded_dataset *out)
{
    tokenizer *tok = open_with(chat);
    const task_reading r = {.tokenizer = tok, .max_length = max_length, .threads = 1};
    folder_put_text("a.jsonl", content);
    const mts_status st = language_rows_read(&ctx, folder_at("a.jsonl"), &how, &r, out);
    tokenizer_close(tok);
    return st;
}

/* Row `row` is the tokens of text ("$": the end), of which those above a "^" are learned. */
static void assert_row(const encoded_dataset *e, int64_t row, const char *text, const char *learned)
{
    const int64_t first = e->offsets[row], n = encoded_dataset_length(e, row);
    assert_int_equal(strlen(text), strlen(learned));
    assert_int_equal(n, strlen(text));
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = text[i] == '$' ? BYTE_TOKENIZER_END : (unsigned char)text[i];
        assert_int_equal(e->ids[first + i], id);
        if (i > 0 && e->targets.index[first + i - 1] != (learned[i] == '^' ? id : TARGET_IGNORED))
            fail_msg("row %d of \"%s\": token %d", (int)row, text, (int)i);
    }
    assert_int_equal(e->targets.index[first + n - 1], TARGET_IGNORED);
}

static void test_messages(void **state)
{
    static const char content[] =
        "{\"messages\": " FOUR
        "}\n{\"messages\": [" TURN("user", "x") "," TURN("assistant", "") "]}\n";
    language_reading how = usual;
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows(PLAIN, content, how, LONG, &e));
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", " ^^^^^^^^^^^^^^^"); /* no end-of-text token */
    assert_row(&e, 1, "u:x;a:;", " ^^^^^^");
    encoded_dataset_deinit(&e);
    how.assistant_only = true;
    assert_ok(read_rows(PLAIN, content, how, LONG, &e));
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", "      ^^      ^^");
    assert_row(&e, 1, "u:x;a:;", "      ^");
    encoded_dataset_deinit(&e);
    assert_ok(read_rows(MARKED, content, how, LONG, &e));
    assert_int_equal(e.n, 1); /* nothing is learned of the other */
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", "      ^       ^ ");
    encoded_dataset_deinit(&e);
    assert_ok(read_rows(PLAIN, content, how, 7, &e)); /* cut */
    assert_int_equal(e.n, 2);
    assert_int_equal(e.cut, 1);
    assert_row(&e, 0, "u:1;a:2", "      ^");
    encoded_dataset_deinit(&e);
}

static void test_conversations(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows(PLAIN,
                        "{\"conversations\": [{\"from\": \"system\", \"value\": \"s\"}, {\"from\": "
                        "\"human\", \"value\": \"q\"}, {\"from\": \"gpt\", \"value\": \"r\"}]}\n"
                        "{\"conversations\": [" TURN("user", "q") "]}\n",
                        usual, LONG, &e));
    assert_row(&e, 0, "s:s;u:q;a:r;", " ^^^^^^^^^^^");
    assert_row(&e, 1, "u:q;", " ^^^");
    encoded_dataset_deinit(&e);
}

/* Rows of texts and of messages in one file; the end-of-text token is behind texts only. */
static void test_completions(void **state)
{
    static const char content[] =
        "{\"prompt\": [" TURN("user", "1") "], \"completion\": [" TURN("assistant", "2") "," TURN(
            "user", "3") "," TURN("assistant",
                                  "4") "]}\n{\"prompt\": \"p\", \"completion\": \"c\"}\n";
    language_reading how = usual;
    encoded_dataset e;
    (void)state;
    assert_ok(read_rows(PLAIN, content, how, LONG, &e));
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", "      ^^^^^^^^^^");
    assert_row(&e, 1, "pc$", " ^^");
    encoded_dataset_deinit(&e);
    how.completion_only = 0;
    assert_ok(read_rows(PLAIN, content, how, LONG, &e));
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", " ^^^^^^^^^^^^^^^");
    assert_row(&e, 1, "pc$", "^^^");
    encoded_dataset_deinit(&e);
    how = usual;
    how.assistant_only = true; /* both masks; texts have no assistant */
    assert_fails(read_rows(PLAIN, content, how, LONG, &e), MTS_ERR_ARGUMENT,
                 "a.jsonl:2: option --assistant_only_loss needs rows of messages");
    encoded_dataset_deinit(&e);
    how.max_samples = 1;
    assert_ok(read_rows(PLAIN, content, how, LONG, &e));
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", "      ^^      ^^");
    encoded_dataset_deinit(&e);
}

/* Tools as a list or as its text, null keys, and reasoning under its other names. */
static void test_extras(void **state)
{
    encoded_dataset e;
    (void)state;
    assert_ok(
        read_rows("{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages "
                  "%}{{ 'n' if m.name is defined }}{{ m.reasoning_content }}{{ m.content }}{% "
                  "endfor %}",
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"c\", \"name\": null, "
                  "\"thinking\": \"t\"}], \"tools\": [{\"x\": 1}]}\n"
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"c\", \"name\": \"\"}], "
                  "\"tools\": \"[7]\"}\n",
                  usual, LONG, &e));
    assert_row(&e, 0, "{\"x\": 1}tc", " ^^^^^^^^^");
    assert_row(&e, 1, "7nc", " ^^");
    encoded_dataset_deinit(&e);
}

static void test_packed(void **state)
{
    static const char content[] =
        "{\"messages\": [" TURN("user", "1") "]}\n{\"messages\": " FOUR
                                             "}\n{\"messages\": [" TURN("user", "22") "]}\n";
    language_reading how = usual;
    encoded_dataset e;
    (void)state;
    how.packing = true;
    assert_ok(read_rows(PLAIN, content, how, 16, &e));
    assert_int_equal(e.n, 2);
    assert_int_equal(encoded_dataset_sequences(&e, 0), 1);
    assert_int_equal(encoded_dataset_sequences(&e, 1), 2);
    assert_row(&e, 0, "u:1;a:2;u:3;a:4;", " ^^^^^^^^^^^^^^^");
    assert_row(&e, 1, "u:22;u:1;", " ^^^^ ^^^"); /* nothing comes before the second one */
    encoded_dataset_deinit(&e);
}

/* -------------------------------------------------------------------------------- errors ---- */

static void refuse(const char *content, const char *part)
{
    encoded_dataset e;
    language_reading how = usual;
    how.assistant_only = strstr(part, "assistant's") != NULL;
    assert_fails(read_rows(PLAIN "{{ raise_exception('no') if messages[0].role == 'x' }}", content,
                           how, LONG, &e),
                 MTS_ERR_BAD_FILE, part);
    encoded_dataset_deinit(&e);
}

static void test_errors(void **state)
{
    encoded_dataset e;
    (void)state;
    refuse("{\"messages\": [" TURN("user", "1") "]}\n",
           "a.jsonl:1: expected a message of the assistant's");
    refuse("{\"messages\": " FOUR "}\n{\"messages\": [" TURN("x", "1") "]}\n",
           "a.jsonl:2: expected a message of the assistant's");
    refuse("{\"messages\": []}\n",
           "a.jsonl:1: messages: expected at least one message, found none");
    refuse("{\"messages\": " FOUR "}\n\n{\"messages\": \"hi\"}\n",
           "a.jsonl:3: messages: expected a list of messages");
    refuse("{\"messages\": {}}\n", "messages: expected a list of messages, found an object");
    refuse("{\"messages\": " FOUR "}\n{\"text\": \"x\"}\n",
           "a.jsonl:2: messages: expected a list of messages");
    refuse("{\"messages\": [" TURN("user", "1") ", 7]}\n",
           "messages[1]: expected an object with role and content, found an integer");
    refuse("{\"messages\": [{\"content\": \"x\"}]}\n", "messages[0]: role");
    refuse("{\"messages\": [{\"role\": 1, \"content\": \"x\"}]}\n", "role");
    refuse("{\"messages\": [{\"role\": \"user\"}]}\n",
           "messages[0]: content: expected a string, found nothing");
    refuse("{\"messages\": [{\"role\": \"user\", \"content\": null}]}\n",
           "messages[0]: content: expected a string, found null");
    refuse("{\"conversations\": [{\"from\": \"bing\", \"value\": \"x\"}]}\n",
           "messages[0]: from: expected human, gpt or system, found \"bing\"");
    refuse("{\"prompt\": [" TURN("user", "1") "], \"completion\": \"x\"}\n",
           "a.jsonl:1: completion: expected a list of messages");
    refuse("{\"messages\": " FOUR ", \"tools\": {\"a\": 1}}\n", "tools: expected a list");
    assert_fails(
        read_rows("{{ raise_exception('roles!') }}", "{\"messages\": " FOUR "}\n", usual, LONG, &e),
        MTS_ERR_BAD_FILE, "chat_template.jinja:1: the template says: roles!");
    assert_non_null(strstr(ctx.error, "a.jsonl:1: "));
    encoded_dataset_deinit(&e);
}

static void test_options(void **state)
{
    language_reading how = usual;
    encoded_dataset e;
    (void)state;
    how.completion_only = 1;
    assert_fails(read_rows(PLAIN, "{\"messages\": " FOUR "}\n", how, LONG, &e), MTS_ERR_ARGUMENT,
                 "has no column for a completion, found \"messages\"");
    encoded_dataset_deinit(&e);
}

static void test_memory_failure(void **state)
{
    static const char content[] =
        "{\"prompt\": [" TURN("user", "1") "], \"completion\": [" TURN("assistant", "2") "]}\n";
    language_reading how = usual;
    tokenizer *tok = open_with(THINKING);
    const task_reading r = {.tokenizer = tok, .max_length = LONG, .threads = 1};
    encoded_dataset e;
    mts_status st = MTS_ERR_MEMORY;
    (void)state;
    how.assistant_only = how.packing = true;
    folder_put_text("a.jsonl", content);
    for (int64_t n = 0; st == MTS_ERR_MEMORY; n++) {
        assert_true(n < 2000);
        mem_fail_after(n);
        st = language_rows_read(&ctx, folder_at("a.jsonl"), &how, &r, &e);
        mem_fail_after(-1);
        if (st == MTS_ERR_MEMORY)
            encoded_dataset_deinit(&e);
    }
    assert_ok(st);
    assert_row(&e, 0, "u:1;a:[]2;", "      ^^^^");
    encoded_dataset_deinit(&e);
    tokenizer_close(tok);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_sources),     EACH(test_ids),
        EACH(test_no_template), EACH(test_model_without),
        EACH(test_turns),       EACH(test_turns_not_found),
        EACH(test_messages),    EACH(test_conversations),
        EACH(test_completions), EACH(test_extras),
        EACH(test_packed),      EACH(test_errors),
        EACH(test_options),     EACH(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
