/* Adapters of a model's layers.  See adapted_layer.h. */
#include "models/adapted_layer.h"

#include <math.h>
#include <stdio.h>

/* The modules that are targets become parts; name: the whole name of each. */
static void choose_parts(const adapter_options *o, low_rank *lr, const adapted_layer *layer,
                         char name[][PARAM_NAME_BYTES])
{
    int64_t first = 0;
    for (int i = 0; i < layer->count; first += layer->outs[i++]) {
        snprintf(name[lr->count], PARAM_NAME_BYTES, "%s%s", layer->path, layer->modules[i]);
        if (model_adapts_module(o, name[lr->count]))
            lr->part[lr->count++] = (low_rank_part){.first = first, .out = layer->outs[i]};
    }
}

void adapted_layer_declare(const adapter_options *o, low_rank *lr, const adapted_layer *layer,
                           param_list *list)
{
    const param_part before = list->part;
    char name[LOW_RANK_PARTS + 1][PARAM_NAME_BYTES];
    *lr = (low_rank){.rank = o->rank,
                     .scale = o->scale,
                     .alpha = o->alpha,
                     .rslora = o->rslora,
                     .dropout = o->dropout,
                     .weights = o->weights};
    if (o->rank == 0)
        return;
    choose_parts(o, lr, layer, name);
    list->part = PARAM_ADAPTER;
    for (int p = 0; p < lr->count; p++) {
        param *a =
            param_declare(list, PARAM_WEIGHT, o->rank, layer->in, "%s.lora_A.weight", name[p]);
        lr->part[p].a = a;
        if (a != NULL) {
            a->init_bound = 1.0f / sqrtf((float)layer->in);
            a->ranks = PARAM_RANKS_ROWS;
        }
    }
    for (int p = 0; p < lr->count; p++) {
        param *b = param_declare(list, PARAM_WEIGHT, lr->part[p].out, o->rank, "%s.lora_B.weight",
                                 name[p]);
        lr->part[p].b = b;
        if (b != NULL)
            b->ranks = PARAM_RANKS_COLS;
    }
    list->part = before;
}

void adapted_layer_bind(exec *ex, low_rank *lr, linear *lin, arena *packed, int first_id)
{
    if (lr->count > 0)
        low_rank_bind(ex, lr, lin, packed, first_id);
}
