/* What of a model's file is mapped.  See network_files.h. */
#include "network/network_files.h"

#include "layers/arithmetic.h"
#include "network/weight_file.h"
#include "tensor/stored_nf4.h"

enum { PAGES_OF_A_TOUCH = 1 << 16 }; /* bytes: the system maps the pages around one, too */

/*
 * What of the matrix in its file is in memory at a time, beside the largest matrix.  Products that
 * read a streamed one, and packing, forget it; so do look-ups, which touch a row for each token.
 * Floats are not packed: every pass reads all of them.
 */
static size_t in_use(const network *net, const param *p, size_t bytes)
{
    const bool packed = net->ex.arithmetic->linear->weight_set != NULL;
    const network_limits *l = &net->options.limits;
    const int64_t tokens = l->train_tokens > l->eval_tokens ? l->train_tokens : l->eval_tokens;
    const size_t row = bytes / (size_t)p->rows + PAGES_OF_A_TOUCH;
    if (!packed)
        return bytes;
    if (p->role != PARAM_TABLE)
        return 0;
    return row * (size_t)tokens < bytes ? row * (size_t)tokens : bytes;
}

static void add_param(const network *net, const param *p, const weight_file *file,
                      const weight_tensor *t, network_plan *plan, size_t *largest)
{
    const weight_storage s = weight_file_storage(file, t);
    const bool made = network_quantises(net, p); /* in memory, and then the file is left */
    if (s.quantised && made)
        plan->parameters -= stored_nf4_bytes(p->rows, p->cols);
    plan->parameters += s.memory;
    *largest = s.mapped > *largest ? s.mapped : *largest;
    if (made && !s.quantised)
        return;
    plan->mapped += s.mapped;
    plan->mapped_in_use += in_use(net, p, s.mapped);
}

static bool any_stored(const param_list *params)
{
    for (int64_t i = 0; i < params->count; i++)
        if (params->items[i]->storage != PARAM_IN_MEMORY)
            return true;
    return false;
}

mts_status network_plan_files(mts_ctx *ctx, const network *net, const char *dir, network_plan *plan)
{
    mts_status st = MTS_OK;
    weight_file file = {0};
    size_t largest = 0; /* loading reads all of a matrix, to check it */
    if (!any_stored(&net->params))
        return MTS_OK;
    MTS_TRY(weight_file_open(ctx, dir, &file));
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        weight_tensor t;
        if (p->storage != PARAM_IN_MEMORY &&
            weight_file_find(&file, p->name, net->body->class->prefix, &t))
            add_param(net, p, &file, &t, plan, &largest);
    }
    plan->mapped_in_use += largest;
cleanup:
    weight_file_close(&file);
    return st;
}
