/*
 * The context of the public header: create, destroy, error text; and freeing of its strings.
 *
 * Path: every program -> mts_ctx_create -> ... -> mts_ctx_destroy.
 */
#include "base/json_memory.h"
#include "base/memory.h"
#include "base/status.h"

mts_status mts_ctx_create(mts_ctx **out)
{
    if (out == NULL)
        return MTS_ERR_ARGUMENT;
    *out = NULL;
    json_memory_watch();
    return mem_calloc(NULL, out, 1, sizeof **out, "context");
}

void mts_ctx_destroy(mts_ctx *ctx)
{
    mem_free(ctx);
}

const char *mts_error_text(const mts_ctx *ctx)
{
    return ctx == NULL ? "" : ctx->error;
}

void mts_string_free(char *text)
{
    mem_free(text);
}
