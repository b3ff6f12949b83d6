/* What of a model's file is mapped.  See network_files.h. */
#include "network/network_files.h"

#include "layers/arithmetic.h"
#include "network/weight_file.h"
#include "tensor/stored_nf4.h"

/* Whether every pass reads the matrix where it is in the file; others are read once, to be packed,
 * and forgotten. */
static bool is_read_in_passes(const network *net, const param *p)
{
    const bool packed = net->ex.arithmetic->linear->weight_set != NULL;
    return p->storage == PARAM_STREAMED || p->role == PARAM_TABLE || !packed;
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
    if (is_read_in_passes(net, p))
        plan->mapped_in_use += s.mapped;
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
    if (largest > plan->mapped_in_use)
        plan->mapped_in_use = largest;
cleanup:
    weight_file_close(&file);
    return st;
}
