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

struct chat_template {
    const tokenizer *tok; /* borrowed */
    jinja *program;
};

mts_status chat_template_open(mts_ctx *ctx, const tokenizer *tok, const char *path,
                              chat_template **out)
{
    mts_status st = MTS_OK;
    chat_template *t = NULL;
    char *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "chat template"));
    t->tok = tok;
    if (path != NULL) {
        MTS_TRY(file_read_all(ctx, path, TEMPLATE_BYTES_MAX, &text, &bytes));
        MTS_TRY(jinja_compile(ctx, path, text, bytes, &t->program));
    } else {
        MTS_CHECK(
            tok->chat.text != NULL, MTS_ERR_NOT_FOUND,
            "the model has no chat template: expected chat_template.jinja, or "
            "chat_template in tokenizer_config.json; --chat_template_path names another file");
        MTS_TRY(jinja_compile(ctx, tok->chat.name, tok->chat.text, strlen(tok->chat.text),
                              &t->program));
    }
    *out = t;
    t = NULL;
cleanup:
    chat_template_close(t);
    mem_free(text);
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

mts_status chat_template_render(mts_ctx *ctx, const chat_template *t, const json_t *messages,
                                const json_t *tools, bool prompt, jinja_output *out)
{
    mts_status st = MTS_OK;
    json_t *variables = json_object();
    *out = (jinja_output){0};
    MTS_CHECK(variables != NULL, MTS_ERR_MEMORY, "out of memory: chat template");
    MTS_CHECK(json_array_size(messages) > 0, MTS_ERR_ARGUMENT,
              "expected at least one message, found none");
    if (json_object_update(variables, t->tok->chat.specials) != 0)
        MTS_CHECK(false, MTS_ERR_MEMORY, "out of memory: chat template");
    MTS_TRY(json_util_set(ctx, variables, "messages", json_incref((json_t *)(uintptr_t)messages)));
    MTS_TRY(json_util_set(ctx, variables, "tools",
                          tools == NULL ? json_null() : json_incref((json_t *)(uintptr_t)tools)));
    MTS_TRY(json_util_set(ctx, variables, "documents", json_null()));
    MTS_TRY(json_util_set(ctx, variables, "add_generation_prompt", json_boolean(prompt)));
    MTS_TRY(jinja_render(ctx, t->program, variables, out));
cleanup:
    json_decref(variables);
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
