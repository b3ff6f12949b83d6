/* Cutting parameters into pieces.  See param_pieces.h. */
#include "optim/param_pieces.h"

mts_status param_pieces_init(mts_ctx *ctx, param_pieces *pieces, param *const *params,
                             int64_t count, int64_t size)
{
    mts_status st = MTS_OK;
    int64_t total = 0;
    *pieces = (param_pieces){0};
    for (int64_t p = 0; p < count; p++)
        total += (param_size(params[p]) + size - 1) / size;
    MTS_TRY(mem_calloc(ctx, &pieces->items, (size_t)total, sizeof(param_piece), "optimizer plan"));
    for (int64_t p = 0; p < count; p++) {
        const int64_t n = param_size(params[p]);
        for (int64_t begin = 0; begin < n; begin += size) {
            pieces->items[pieces->count++] = (param_piece){
                .param = p,
                .begin = begin,
                .n = n - begin < size ? n - begin : size,
                .offset = pieces->elements + begin,
            };
        }
        pieces->elements += n;
    }
cleanup:
    return st;
}

void param_pieces_deinit(param_pieces *pieces)
{
    mem_free(pieces->items);
    *pieces = (param_pieces){0};
}
