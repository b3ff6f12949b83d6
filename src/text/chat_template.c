/* Dialogues to texts and ids.  See chat_template.h. */
#include "text/chat_template.h"

#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "text/jinja.h"
#include "text/tokenizer_class.h"

#define TEMPLATE_BYTES_MAX ((size_t)4 << 20)
#define CHAT_TEMPLATE_FILE "chat_template.jinja"

struct chat_template {
    const tokenizer *tok; /* borrowed */
    jinja *program;
};

/* *out: the text of the template in the file at path, or in chat_template.jinja of the folder
 * there; *name: that file. */
static mts_status read_file(mts_ctx *ctx, const char *path, char **out, size_t *bytes, char **name)
{
    mts_status st = MTS_OK;
    char *inside = NULL;
    MTS_TRY(path_join(ctx, &inside, path, CHAT_TEMPLATE_FILE));
    MTS_TRY(mem_strdup(ctx, name, file_exists(inside) ? inside : path));
    MTS_TRY(file_read_all(ctx, *name, TEMPLATE_BYTES_MAX, out, bytes));
    MTS_CHECK(memchr(*out, '\0', *bytes) == NULL, MTS_ERR_BAD_FILE,
              "%s: expected text, found a NUL byte", *name);
cleanup:
    mem_free(inside);
    return st;
}

mts_status tokenizer_set_chat_template(mts_ctx *ctx, tokenizer *tok, const char *path,
                                       tokenizer_files *files)
{
    mts_status st = MTS_OK;
    char *text = NULL, *name = NULL;
    size_t bytes = 0;
    jinja *program = NULL;
    MTS_TRY(read_file(ctx, path, &text, &bytes, &name));
    MTS_TRY(jinja_compile(ctx, name, text, bytes, &program));
    if (files != NULL)
        MTS_TRY(tokenizer_files_put_text(ctx, files, CHAT_TEMPLATE_FILE, text));
    mem_free(tok->chat.text);
    mem_free(tok->chat.name);
    tok->chat.text = text;
    tok->chat.name = name;
    text = name = NULL;
cleanup:
    jinja_free(program);
    mem_free(text);
    mem_free(name);
    return st;
}

mts_status tokenizer_set_chat_date(mts_ctx *ctx, tokenizer *tok, const char *date)
{
    mts_status st = MTS_OK;
    MTS_CHECK(jinja_parse_date(date, &tok->chat.date), MTS_ERR_ARGUMENT,
              "expected a date as 2024-07-26, found '%.40s'", date);
cleanup:
    return st;
}

mts_status chat_template_open(mts_ctx *ctx, const tokenizer *tok, const char *path,
                              chat_template **out)
{
    mts_status st = MTS_OK;
    chat_template *t = NULL;
    char *text = NULL, *name = NULL;
    size_t bytes = 0;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "chat template"));
    t->tok = tok;
    if (path != NULL) {
        MTS_TRY(read_file(ctx, path, &text, &bytes, &name));
        MTS_TRY(jinja_compile(ctx, name, text, bytes, &t->program));
    } else {
        MTS_CHECK(tok->chat.text != NULL, MTS_ERR_NOT_FOUND,
                  "the model has no chat template: expected chat_template.jinja, or chat_template "
                  "in tokenizer_config.json; --chat_template_path names another file");
        MTS_TRY(jinja_compile(ctx, tok->chat.name, tok->chat.text, strlen(tok->chat.text),
                              &t->program));
    }
    *out = t;
    t = NULL;
cleanup:
    chat_template_close(t);
    mem_free(text);
    mem_free(name);
    return st;
}

void chat_template_close(chat_template *t)
{
    if (t == NULL)
        return;
    jinja_free(t->program);
    mem_free(t);
}

bool chat_template_marks(const chat_template *t)
{
    return jinja_marks_generation(t->program);
}

/* A message as transformers hands it to a template: without what is null, and with the reasoning
 * under the names that templates know. */
static mts_status plain_message(mts_ctx *ctx, const json_t *message, json_t *list)
{
    static const char *const reasoning[] = {"reasoning_content", "thinking", "reasoning"};
    mts_status st = MTS_OK;
    json_t *copy = json_object(), *value = NULL;
    const char *key = NULL;
    MTS_CHECK(copy != NULL && json_array_append_new(list, copy) == 0, MTS_ERR_MEMORY,
              "out of memory: messages");
    json_object_foreach((json_t *)(uintptr_t)message, key, value)
    {
        if (!json_is_null(value))
            MTS_TRY(json_util_set(ctx, copy, key, json_incref(value)));
    }
    for (int i = 0; i < 3; i++) {
        value = json_object_get(copy, reasoning[i]);
        if (value == NULL)
            continue;
        if (json_object_get(copy, "thinking") == NULL)
            MTS_TRY(json_util_set(ctx, copy, "thinking", json_incref(value)));
        MTS_TRY(json_util_set(ctx, copy, "reasoning_content", json_incref(value)));
        break;
    }
cleanup:
    return st;
}

mts_status chat_template_render(mts_ctx *ctx, const chat_template *t, const json_t *messages,
                                const json_t *tools, bool prompt, jinja_output *out)
{
    mts_status st = MTS_OK;
    json_t *variables = json_object(), *list = json_array(), *message = NULL;
    size_t i;
    *out = (jinja_output){0};
    MTS_CHECK(variables != NULL && list != NULL, MTS_ERR_MEMORY, "out of memory: chat template");
    MTS_CHECK(json_array_size(messages) > 0, MTS_ERR_ARGUMENT,
              "expected at least one message, found none");
    json_array_foreach(messages, i, message) MTS_TRY(plain_message(ctx, message, list));
    MTS_CHECK(json_object_update(variables, t->tok->chat.specials) == 0, MTS_ERR_MEMORY,
              "out of memory: chat template");
    MTS_TRY(json_util_set(ctx, variables, "messages", json_incref(list)));
    MTS_TRY(json_util_set(ctx, variables, "tools",
                          tools == NULL ? json_null() : json_incref((json_t *)(uintptr_t)tools)));
    MTS_TRY(json_util_set(ctx, variables, "documents", json_null()));
    MTS_TRY(json_util_set(ctx, variables, "add_generation_prompt", json_boolean(prompt)));
    MTS_TRY(jinja_render(ctx, t->program, variables,
                         t->tok->chat.date.year > 0 ? &t->tok->chat.date : NULL, out));
cleanup:
    json_decref(variables);
    json_decref(list);
    return st;
}

mts_status chat_template_encode(mts_ctx *ctx, const chat_template *t, const chat_message *messages,
                                int64_t count, bool prompt, mts_encoding *out)
{
    mts_status st = MTS_OK;
    json_t *list = json_array(), *text = NULL;
    jinja_output rendered = {0};
    *out = (mts_encoding){0};
    MTS_CHECK(list != NULL, MTS_ERR_MEMORY, "out of memory: messages");
    for (int64_t i = 0; i < count; i++) {
        json_t *message = json_object();
        MTS_CHECK(message != NULL && json_array_append_new(list, message) == 0, MTS_ERR_MEMORY,
                  "out of memory: messages");
        MTS_TRY(json_util_new_string(ctx, "role", messages[i].role, &text));
        MTS_TRY(json_util_set(ctx, message, "role", text));
        MTS_TRY(json_util_new_string(ctx, "content", messages[i].content, &text));
        MTS_TRY(json_util_set(ctx, message, "content", text));
    }
    MTS_TRY(chat_template_render(ctx, t, list, NULL, prompt, &rendered));
    MTS_TRY(tokenizer_encode_plain(ctx, t->tok, rendered.text, out));
cleanup:
    jinja_output_deinit(&rendered);
    json_decref(list);
    return st;
}
