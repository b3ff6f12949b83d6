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
    folder_put_text("tokenizer_config.json", "{\"eos_token\": \"<|end|>\", \"bos_token\": "
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
    assert_ok(byte_tokenizer_write(&ctx, folder_at("bare")));
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
    "[" TURN("user", "1") "," TURN("assistant", "2") "," TURN("user", "3") ","                     \
        TURN("assistant", "4") "]"

static void test_turns(void **state)
{
    (void)state;
    assert_turns(PLAIN, FOUR, "u:1;a:|2;|u:3;a:|4;|");
    assert_turns(MARKED, FOUR, "u:1;a:|2|;u:3;a:|4|;");
    assert_turns(THINKING, FOUR, "u:1;a:|2;|u:3;a:|[]4;|");
    assert_turns(THINKING, "[" TURN("user", "1") "," TURN("assistant", "") "," TURN("user", "3") "]",
                 "u:1;a:;u:3;");
    assert_turns(PLAIN, "[" TURN("system", "s") "," TURN("assistant", "2") "]", "s:s;a:|2;|");
    assert_turns(PLAIN, "[" TURN("user", "1") "]", "u:1;");
}
