/* Dialogues to rows.  See chat_rows.h. */
#include "tasks/chat_rows.h"

#include <jansson.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

static const char no_memory[] = "out of memory: messages";

/* ------------------------------------------------------------------------------ messages ---- */

/* The role that ShareGPT's word for it means, or NULL. */
static const char *role_of(const char *from)
{
    static const char *const roles[][2] = {
        {"human", "user"},    {"user", "user"}, {"gpt", "assistant"},    {"assistant", "assistant"},
        {"system", "system"}, {"tool", "tool"}, {"chatgpt", "assistant"}};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i][0], from) == 0)
            return roles[i][1];
    return NULL;
}

/* {"from", "value"} as {"role", "content"}, in place. */
static mts_status rename_keys(mts_ctx *ctx, json_t *message)
{
    mts_status st = MTS_OK;
    char quoted[UTF8_QUOTE_BYTES];
    const char *from = NULL, *role = NULL;
    if (json_object_get(message, "role") != NULL || json_object_get(message, "from") == NULL)
        return MTS_OK;
    MTS_TRY(json_util_string(ctx, NULL, message, "from", &from));
    role = from == NULL ? NULL : role_of(from);
    MTS_CHECK(role != NULL, MTS_ERR_BAD_FILE, "from: expected human, gpt or system, found \"%s\"",
              utf8_quote(quoted, sizeof quoted, from == NULL ? "" : from));
    MTS_TRY(json_util_set(ctx, message, "role", json_string(role)));
    MTS_TRY(json_util_set(ctx, message, "content", json_incref(json_object_get(message, "value"))));
    json_object_del(message, "from");
    json_object_del(message, "value");
cleanup:
    return st;
}

static mts_status check_message(mts_ctx *ctx, json_t *message)
{
    mts_status st = MTS_OK;
    const json_t *content;
    MTS_CHECK(json_is_object(message), MTS_ERR_BAD_FILE,
              "expected an object with role and content, found %s", json_util_type_name(message));
    MTS_TRY(rename_keys(ctx, message));
    MTS_CHECK(json_is_string(json_object_get(message, "role")), MTS_ERR_BAD_FILE,
              "role: expected a string, found %s",
              json_util_type_name(json_object_get(message, "role")));
    content = json_object_get(message, "content");
    if ((content == NULL || json_is_null(content)) &&
        json_object_get(message, "tool_calls") != NULL)
        goto cleanup;
    MTS_CHECK(json_is_string(content) || json_is_array(content), MTS_ERR_BAD_FILE,
              "content: expected a string, found %s", json_util_type_name(content));
cleanup:
    return st;
}

/* Append the messages of a cell to list. */
static mts_status read_messages(mts_ctx *ctx, const char *name, const char *cell, json_t *list)
{
    mts_status st = MTS_OK;
    json_t *root = NULL, *message = NULL;
    size_t i;
    MTS_TRY(json_util_parse(ctx, name, cell, strlen(cell), &root));
    MTS_CHECK(json_is_array(root), MTS_ERR_BAD_FILE, "%s: expected a list of messages, found %s",
              name, json_util_type_name(root));
    MTS_CHECK(json_array_size(root) > 0, MTS_ERR_BAD_FILE,
              "%s: expected at least one message, found none", name);
    json_array_foreach(root, i, message)
    {
        st = check_message(ctx, message);
        if (st != MTS_OK) {
            status_prefix(ctx, "%s[%zu]", name, i);
            goto cleanup;
        }
        MTS_CHECK(json_array_append(list, message) == 0, MTS_ERR_MEMORY, no_memory);
    }
cleanup:
    json_decref(root);
    return st;
}

static mts_status read_tools(mts_ctx *ctx, const char *cell, json_t **out)
{
    mts_status st = MTS_OK;
    *out = NULL;
    if (cell == NULL || *cell == '\0')
        return MTS_OK;
    MTS_TRY(json_util_parse(ctx, "tools", cell, strlen(cell), out));
    MTS_CHECK(json_is_array(*out), MTS_ERR_BAD_FILE, "tools: expected a list, found %s",
              json_util_type_name(*out));
    if (json_array_size(*out) == 0) {
        json_decref(*out);
        *out = NULL;
    }
cleanup:
    return st;
}

/* ---------------------------------------------------------------------------------- rows ---- */

static bool has_assistant(const json_t *messages)
{
    size_t i;
    const json_t *message;
    json_array_foreach(messages, i, message)
    {
        const char *role = json_string_value(json_object_get(message, "role"));
        if (role != NULL && strcmp(role, "assistant") == 0)
            return true;
    }
    return false;
}

/* Tokens that lie in none of the spans, which ascend, are not learned. */
static void learn_spans(chat_row *row, const jinja_output *text)
{
    int64_t span = 0;
    for (int64_t i = 0; i < row->tokens.length; i++) {
        const size_t begin = (size_t)row->tokens.begin[i], end = (size_t)row->tokens.end[i];
        while (span < text->span_count && text->spans[span].end <= begin)
            span++;
        if (span == text->span_count || end <= text->spans[span].begin)
            row->learned[i] = false;
    }
}

/* Tokens of the prompt by itself with which the row begins are not learned. */
static mts_status learn_completion(mts_ctx *ctx, const chat_template *t, const tokenizer *tok,
                                   const json_t *prompt, const json_t *tools, chat_row *row)
{
    mts_status st = MTS_OK;
    jinja_output text = {0};
    mts_encoding alone = {0};
    MTS_TRY(chat_template_render(ctx, t, prompt, tools, true, &text));
    MTS_TRY(tokenizer_encode_plain(ctx, tok, text.text, &alone));
    for (int64_t i = 0;
         i < row->tokens.length && i < alone.length && row->tokens.ids[i] == alone.ids[i]; i++)
        row->learned[i] = false;
cleanup:
    tokenizer_free_encoding(&alone);
    jinja_output_deinit(&text);
    return st;
}

/* *all: the messages; *prompt: those before the completion. */
static mts_status read_cells(mts_ctx *ctx, const chat_cells *cells, json_t **all, json_t **prompt,
                             json_t **tools)
{
    mts_status st = MTS_OK;
    *all = json_array();
    MTS_CHECK(*all != NULL, MTS_ERR_MEMORY, no_memory);
    MTS_TRY(read_messages(ctx, cells->completion == NULL ? "messages" : "prompt", cells->messages,
                          *all));
    *prompt = json_copy(*all);
    MTS_CHECK(*prompt != NULL, MTS_ERR_MEMORY, no_memory);
    if (cells->completion != NULL)
        MTS_TRY(read_messages(ctx, "completion", cells->completion, *all));
    MTS_TRY(read_tools(ctx, cells->tools, tools));
cleanup:
    return st;
}

mts_status chat_row_encode(mts_ctx *ctx, const chat_template *t, const tokenizer *tok,
                           const chat_cells *cells, chat_loss loss, chat_row *out)
{
    mts_status st = MTS_OK;
    json_t *all = NULL, *prompt = NULL, *tools = NULL;
    jinja_output text = {0};
    *out = (chat_row){0};
    MTS_TRY(read_cells(ctx, cells, &all, &prompt, &tools));
    MTS_CHECK(!loss.assistant_only || has_assistant(all), MTS_ERR_ARGUMENT,
              "expected a message of the assistant's, of which --assistant_only_loss learns, found "
              "none");
    MTS_TRY(chat_template_render(ctx, t, all, tools, false, &text));
    MTS_TRY(tokenizer_encode_plain(ctx, tok, text.text, &out->tokens));
    MTS_TRY(mem_calloc(ctx, &out->learned, (size_t)out->tokens.length, sizeof(bool), "tokens"));
    memset(out->learned, 1, (size_t)out->tokens.length * sizeof(bool));
    if (loss.assistant_only) {
        MTS_TRY(chat_template_find_turns(ctx, t, all, tools, &text));
        MTS_CHECK(text.span_count > 0, MTS_ERR_ARGUMENT,
                  "the chat template marks nothing that the assistant says");
        learn_spans(out, &text);
    }
    if (loss.completion_only && cells->completion != NULL)
        MTS_TRY(learn_completion(ctx, t, tok, prompt, tools, out));
cleanup:
    jinja_output_deinit(&text);
    json_decref(all);
    json_decref(prompt);
    json_decref(tools);
    if (st != MTS_OK)
        chat_row_deinit(out);
    return st;
}

void chat_row_deinit(chat_row *row)
{
    tokenizer_free_encoding(&row->tokens);
    mem_free(row->learned);
    *row = (chat_row){0};
}
