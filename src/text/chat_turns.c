/* Which part of a dialogue's text the assistant says.  See chat_template.h. */
#include <jansson.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "text/chat_template.h"

/* A content that is unlike any other, to see what a template puts behind one. */
#define PROBE "\xE2\x90\x9F"

typedef struct turn_finder {
    const chat_template *t;
    const json_t *messages, *tools; /* of the whole dialogue */
    const jinja_output *whole;
} turn_finder;

/* *out: the first n messages, in a new list. */
static mts_status first_messages(mts_ctx *ctx, const json_t *messages, size_t n, json_t **out)
{
    mts_status st = MTS_OK;
    *out = json_array();
    for (size_t i = 0; i < n; i++)
        MTS_CHECK(*out != NULL && json_array_append(*out, json_array_get(messages, i)) == 0,
                  MTS_ERR_MEMORY, "out of memory: messages");
    MTS_CHECK(*out != NULL, MTS_ERR_MEMORY, "out of memory: messages");
cleanup:
    return st;
}

/* *out: the text of the first n messages; probe: the content of the last one is PROBE. */
static mts_status render_first(mts_ctx *ctx, const turn_finder *f, size_t n, bool prompt,
                               bool probe, jinja_output *out)
{
    mts_status st = MTS_OK;
    json_t *list = NULL, *last = NULL;
    MTS_TRY(first_messages(ctx, f->messages, n, &list));
    if (probe) {
        last = json_copy(json_array_get(list, n - 1));
        MTS_CHECK(last != NULL && json_array_set(list, n - 1, last) == 0, MTS_ERR_MEMORY,
                  "out of memory: messages");
        MTS_TRY(json_util_set(ctx, last, "content", json_string(PROBE)));
    }
    MTS_TRY(chat_template_render(ctx, f->t, list, f->tools, prompt, out));
cleanup:
    json_decref(last);
    json_decref(list);
    return st;
}

static bool begins(const jinja_output *text, const jinja_output *with)
{
    return with->bytes <= text->bytes && memcmp(text->text, with->text, with->bytes) == 0;
}

/* *bytes: of what the template puts behind the content of a turn. */
static mts_status find_ending(mts_ctx *ctx, const turn_finder *f, size_t turn, size_t *bytes)
{
    mts_status st = MTS_OK;
    jinja_output probed = {0};
    const char *found = NULL;
    MTS_TRY(render_first(ctx, f, turn + 1, false, true, &probed));
    for (const char *at = probed.text; (at = strstr(at, PROBE)) != NULL; at += strlen(PROBE))
        found = at + strlen(PROBE);
    *bytes = found == NULL ? probed.bytes : probed.bytes - (size_t)(found - probed.text);
cleanup:
    jinja_output_deinit(&probed);
    return st;
}

/*
 * The turn is rendered otherwise where it is not the last one: the longest end of its own rendering
 * that stands behind the prompt in the whole text.  *bytes: of that; 0: there is none.
 */
static mts_status match_end(mts_ctx *ctx, const turn_finder *f, size_t turn, size_t begin,
                            const jinja_output *alone, size_t *bytes)
{
    mts_status st = MTS_OK;
    size_t ending = 0;
    *bytes = 0;
    MTS_TRY(find_ending(ctx, f, turn, &ending));
    for (size_t at = begin; at < alone->bytes && alone->bytes - at >= ending; at++) {
        const size_t n = alone->bytes - at;
        if (n <= f->whole->bytes - begin &&
            memcmp(alone->text + at, f->whole->text + begin, n) == 0) {
            *bytes = n;
            break;
        }
    }
cleanup:
    return st;
}

static mts_status find_turn(mts_ctx *ctx, const turn_finder *f, size_t turn, jinja_span *out)
{
    mts_status st = MTS_OK;
    jinja_output prompt = {0}, alone = {0};
    size_t bytes = 0;
    MTS_CHECK(turn > 0, MTS_ERR_UNSUPPORTED,
              "messages[0] is the assistant's: what it says is not known without a message before "
              "it, or a chat template with {%% generation %%}");
    MTS_TRY(render_first(ctx, f, turn, true, false, &prompt));
    MTS_TRY(render_first(ctx, f, turn + 1, false, false, &alone));
    if (begins(f->whole, &prompt) && begins(f->whole, &alone) && alone.bytes > prompt.bytes)
        bytes = alone.bytes - prompt.bytes;
    else if (begins(f->whole, &prompt) && begins(&alone, &prompt))
        MTS_TRY(match_end(ctx, f, turn, prompt.bytes, &alone, &bytes));
    MTS_CHECK(bytes > 0, MTS_ERR_UNSUPPORTED,
              "messages[%zu]: the chat template writes what comes before it otherwise where more "
              "messages follow: which part the assistant says needs a template with "
              "{%% generation %%} (--chat_template_path)",
              turn);
    *out = (jinja_span){prompt.bytes, prompt.bytes + bytes};
cleanup:
    jinja_output_deinit(&prompt);
    jinja_output_deinit(&alone);
    return st;
}

mts_status chat_template_find_turns(mts_ctx *ctx, const chat_template *t, const json_t *messages,
                                    const json_t *tools, jinja_output *out)
{
    mts_status st = MTS_OK;
    const turn_finder f = {t, messages, tools, out};
    const size_t count = json_array_size(messages);
    if (chat_template_marks(t))
        return MTS_OK;
    mem_free(out->spans);
    out->spans = NULL;
    out->span_count = 0;
    MTS_TRY(mem_calloc(ctx, &out->spans, count, sizeof *out->spans, "turns"));
    for (size_t i = 0; i < count; i++) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
        if (role != NULL && strcmp(role, "assistant") == 0)
            MTS_TRY(find_turn(ctx, &f, i, &out->spans[out->span_count++]));
    }
cleanup:
    return st;
}
