/* Collecting rows with targets.  See row_builder.h. */
#include "tasks/row_builder.h"

#include <string.h>

#include "base/memory.h"

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

static mts_status reserve(row_builder *b, int64_t tokens)
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

mts_status row_builder_init(mts_ctx *ctx, row_builder *b, encoded_dataset *out, int64_t max_length)
{
    *b = (row_builder){.ctx = ctx, .rows = out, .max_length = max_length};
    *out = (encoded_dataset){0};
    return reserve(b, 0);
}

void row_builder_deinit(row_builder *b)
{
    mem_free(b->target);
    b->target = NULL;
}

mts_status row_builder_add(row_builder *b, const int32_t *ids, const bool *learned, int64_t n)
{
    mts_status st = MTS_OK;
    encoded_dataset *e = b->rows;
    const int64_t kept = n < b->max_length ? n : b->max_length;
    int64_t wanted_count = 0;
    for (int64_t i = 1; i < kept; i++)
        wanted_count += learned == NULL || learned[i];
    if (wanted_count == 0) {
        b->left_out++;
        return MTS_OK;
    }
    MTS_TRY(reserve(b, kept));
    for (int64_t i = 0; i < kept; i++) {
        const bool wanted = i + 1 < kept && (learned == NULL || learned[i + 1]);
        e->ids[b->tokens + i] = ids[i];
        b->target[b->tokens + i] = wanted ? ids[i + 1] : TARGET_IGNORED;
    }
    b->tokens += kept;
    e->n++;
    e->cut += kept < n;
    e->offsets[e->n] = b->tokens;
    e->max_len = kept > e->max_len ? kept : e->max_len;
cleanup:
    return st;
}

mts_status row_builder_finish(row_builder *b, const char *path)
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
