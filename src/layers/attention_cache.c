/* Kept keys and values.  See attention_cache.h; attention_extend is in attention.c. */
#include "layers/attention_cache.h"

#include <string.h>

/* Floats of a head's keys, or values. */
static int64_t head_floats(const attention_cache *c)
{
    return c->room * c->head_dim;
}

mts_status attention_cache_grow(mts_ctx *ctx, attention_cache *c, int64_t room)
{
    mts_status st = MTS_OK;
    attention_cache wide = *c;
    const int64_t blocks = c->layers * 2 * c->kv_heads;
    wide.numbers = NULL;
    wide.room = room;
    if (c->numbers != NULL && room <= c->room)
        return MTS_OK;
    MTS_TRY(mem_calloc(ctx, &wide.numbers, (size_t)(blocks * head_floats(&wide)), sizeof(float),
                       "keys and values"));
    for (int64_t b = 0; b < blocks && c->used > 0; b++)
        memcpy(wide.numbers + b * head_floats(&wide), c->numbers + b * head_floats(c),
               (size_t)(c->used * c->head_dim) * sizeof(float));
    mem_free(c->numbers);
    *c = wide;
cleanup:
    return st;
}

void attention_cache_deinit(attention_cache *c)
{
    mem_free(c->numbers);
    *c = (attention_cache){0};
}

float *attention_cache_rows(const attention_cache *c, int64_t layer, bool value, int64_t kv_head)
{
    if (c->numbers == NULL)
        return NULL;
    return c->numbers + ((layer * 2 + value) * c->kv_heads + kv_head) * head_floats(c);
}
