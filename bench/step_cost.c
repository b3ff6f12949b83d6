/* Operations and bytes of a training step.  See step_cost.h. */
#include "step_cost.h"

#include <assert.h>

#include "tensor/gemm.h"

/* Index of the unit that an exact kernel or a float format multiplies with; -1: not known. */
static int unit_of(const exec *ex, const gemm_plan *plan)
{
    int count;
    const peak_unit *first = peak_units(&count);
    assert(count <= STEP_COST_UNITS);
    if (ex->format.kind == FORMAT_DFP) {
        const peak_unit *unit = peak_unit_of(plan->kernel);
        return unit == NULL ? -1 : (int)(unit - first);
    }
    /* the library decides: its vectors in fp32; in bf16 there may be others */
    for (int u = 0; u < count && ex->format.kind == FORMAT_FP32; u++)
        if (first[u].isa == NULL && first[u].elem_bytes == 4)
            return u;
    return -1;
}

static void add_product(step_cost *cost, const exec *ex, int bits_a, int bits_b, double operations)
{
    gemm_plan plan = {.pieces = {1, 1}};
    if (ex->format.kind == FORMAT_DFP)
        plan = gemm_plan_make(ex->family, bits_a, bits_b, ex->format.group == GROUP_BLOCK);
    const int unit = unit_of(ex, &plan);
    cost->operations += operations;
    cost->known = cost->known && unit >= 0;
    if (unit >= 0)
        cost->unit_operations[unit] += operations * plan.pieces[0] * plan.pieces[1];
}

/* Y = X W^T (`forwards` times), dX = G W, dW = G^T X */
static void add_linear(step_cost *cost, const exec *ex, int64_t rows, const linear *lin,
                       int forwards)
{
    const num_format *f = &ex->format;
    const double operations = 2.0 * (double)rows * (double)lin->out * (double)lin->in;
    add_product(cost, ex, f->activation_bits, f->weight_bits, forwards * operations);
    add_product(cost, ex, f->gradient_bits, f->weight_bits, operations);
    add_product(cost, ex, f->gradient_bits, f->activation_bits, operations);
}

static double optimizer_state_bytes(const optimizer *opt)
{
    static const double sizes[] = {[OPTIMIZER_F32] = 4, [OPTIMIZER_F64] = 8, [OPTIMIZER_U8] = 1,
                                   [OPTIMIZER_I16] = 2, [OPTIMIZER_I32] = 4, [OPTIMIZER_I64] = 8};
    double bytes = 0.0;
    for (int i = 0; i < optimizer_state_count(opt); i++) {
        const optimizer_state s = optimizer_state_at(opt, i);
        bytes += sizes[s.dtype] * (double)s.count;
    }
    return bytes;
}

step_cost step_cost_make(const network *net, const optimizer *opt, int64_t rows, int64_t length)
{
    /* S = Q K^T and O = P V; in the backward S again, dP, dV, dQ, dK */
    enum { FORWARD = 2, BACKWARD = 5 };
    step_cost cost = {.known = true};
    const exec *ex = &net->ex;
    const bert *body = (const bert *)net->body;
    const first_token *top = (const first_token *)net->head;
    const int again = net->options.model.recompute ? 1 : 0;
    const double pairs = (double)rows * (double)length * (double)length;
    const double parameters = (double)net->params.elements;
    for (int64_t l = 0; l < net->cfg.num_hidden_layers; l++) {
        const bert_layer *layer = &body->layers[l];
        const int bits = ex->format.attention_bits;
        add_linear(&cost, ex, rows * length, &layer->qkv, 1 + again);
        add_linear(&cost, ex, rows * length, &layer->out, 1 + again);
        add_linear(&cost, ex, rows * length, &layer->up, 1 + again);
        add_linear(&cost, ex, rows * length, &layer->down, 1);
        add_product(&cost, ex, bits, bits,
                    (FORWARD * (1 + again) + BACKWARD) * 2.0 * pairs *
                        (double)net->cfg.hidden_size);
    }
    add_linear(&cost, ex, rows, &top->transform.dense, 1);
    add_linear(&cost, ex, rows, &top->out, 1);
    cost.kept_bytes = 2.0 * (double)(net->kept.bytes + net->packed.bytes);
    cost.update_bytes =
        2.0 * (2.0 * sizeof(float) * parameters + optimizer_state_bytes(opt)); /* W, gradient */
    return cost;
}

step_bound step_cost_bound(const step_cost *cost, const step_rates *rates)
{
    step_bound bound = {0};
    bool known = cost->known;
    for (int u = 0; u < STEP_COST_UNITS; u++) {
        if (cost->unit_operations[u] == 0.0)
            continue;
        if (rates->unit[u] > 0.0)
            bound.products_s += cost->unit_operations[u] / rates->unit[u];
        else
            known = false;
    }
    if (!known)
        bound.products_s = 0.0;
    const double kept = cost->kept_bytes / rates->memory;
    const double update = cost->update_bytes / rates->memory;
    bound.memory_s = kept + update;
    bound.roofline_s = (bound.products_s > kept ? bound.products_s : kept) + update;
    return bound;
}
