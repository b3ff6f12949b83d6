/* What a run needs.  See run_need.h. */
#include "train/run_need.h"

#include <stdio.h>
#include <string.h>

#include "base/memory_free.h"
#include "optim/optimizer.h"
#include "options/options.h"
#include "train/run_network.h"
#include "train/settings.h"

/* The optimizer's state for the trained ones of a declared list, and the sizes of the files. */
static void add_params(const run_shape *shape, const param_list *params, run_need *out)
{
    const optimizer_options options = settings_optimizer(shape->o);
    optimizer_sizes sizes = {0};
    for (int64_t i = 0; i < params->count; i++) {
        const int64_t n = param_size(params->items[i]);
        if (!params->items[i]->trained)
            continue;
        optimizer_sizes_add(&sizes, options.class, n);
        out->file += (uint64_t)n * sizeof(float);
    }
    if (shape->training)
        out->optimizer = optimizer_bytes(&options, &sizes);
}

mts_status run_need_make(mts_ctx *ctx, const run_shape *shape, run_need *out)
{
    mts_status st = MTS_OK;
    peft_config adapter = {0};
    param_list params = {0};
    network_options wanted;
    const char *prefix;
    *out = (run_need){0};
    MTS_TRY(run_adapter_config(ctx, shape->o, shape->training, &adapter));
    wanted = run_network_options(shape->o, shape->cfg, shape->head, &adapter, shape->training);
    wanted.limits = shape->limits;
    MTS_TRY(network_plan_make(ctx, shape->cfg, &wanted, shape->dir, &out->net));
    MTS_TRY(network_declare_for(ctx, shape->cfg, &wanted, &params, &prefix));
    add_params(shape, &params, out);
    out->memory = out->net.parameters + out->net.gradients + out->net.packed_weights +
                  out->net.activations + out->net.scratch + out->optimizer;
cleanup:
    param_list_deinit(&params);
    peft_config_deinit(&adapter);
    return st;
}

/* ------------------------------------------------------------------------ what would fit ----- */

enum { TEXT_BYTES = 64, LIST_BYTES = 480 };

/* A run that needs less. */
typedef struct smaller {
    mts_options o;
    run_shape shape;
    char text[TEXT_BYTES]; /* the option */
} smaller;

/* Each makes s smaller, with s->text; false: the run is so already, or cannot be. */

static bool recompute(smaller *s)
{
    if (s->o.gradient_checkpointing || !s->shape.training)
        return false;
    s->o.gradient_checkpointing = true;
    snprintf(s->text, TEXT_BYTES, "--gradient_checkpointing true");
    return true;
}

static bool eight_bits(smaller *s)
{
    if (strcmp(s->o.optim, "adamw") != 0 || !s->shape.training || s->o.adam_epsilon < 1e-30)
        return false;
    s->o.optim = "adamw_8bit";
    snprintf(s->text, TEXT_BYTES, "--optim adamw_8bit");
    return true;
}

static bool four_bits(smaller *s)
{
    const bool adapter = strcmp(s->o.method, "full") != 0 && s->shape.training;
    if (!adapter || !options_can_stream(&s->o) || options_has_4bit_base(&s->o))
        return false;
    s->o.base_bits = "4";
    snprintf(s->text, TEXT_BYTES, "--base_bits 4");
    return true;
}

static bool adapter(smaller *s)
{
    const model_class *class = model_class_of_config(s->shape.cfg);
    if (!s->shape.training || !class->adapts || strcmp(s->o.method, "full") != 0)
        return false;
    s->o.method = "lora";
    snprintf(s->text, TEXT_BYTES, "--method lora");
    return true;
}

static void half(int64_t *rows, int64_t *tokens)
{
    *tokens = (*tokens * (*rows / 2) + *rows - 1) / *rows;
    *rows /= 2;
}

static bool fewer_rows(smaller *s)
{
    network_limits *l = &s->shape.limits;
    if (l->train_rows < 2 || s->o.per_device_train_batch_size < 2)
        return false;
    half(&l->train_rows, &l->train_tokens);
    s->o.per_device_train_batch_size /= 2;
    snprintf(s->text, TEXT_BYTES, "--per_device_train_batch_size %lld",
             (long long)s->o.per_device_train_batch_size);
    return true;
}

static bool fewer_eval_rows(smaller *s)
{
    network_limits *l = &s->shape.limits;
    if (l->eval_rows < 2 || s->o.per_device_eval_batch_size < 2)
        return false;
    half(&l->eval_rows, &l->eval_tokens);
    s->o.per_device_eval_batch_size /= 2;
    snprintf(s->text, TEXT_BYTES, "--per_device_eval_batch_size %lld",
             (long long)s->o.per_device_eval_batch_size);
    return true;
}

static bool shorter(smaller *s)
{
    network_limits *l = &s->shape.limits;
    const int64_t length = l->max_length / 2;
    if (length < 16)
        return false;
    l->train_tokens = (l->train_tokens + 1) / 2;
    l->eval_tokens = (l->eval_tokens + 1) / 2;
    l->max_length = length;
    s->o.max_seq_length = length;
    snprintf(s->text, TEXT_BYTES, "--max_seq_length %lld", (long long)length);
    return true;
}

/* In the order of the text; those that leave the result as it is come first. */
static const struct {
    bool (*make)(smaller *s);
    bool again; /* makes it smaller each time */
} ways[] = {{recompute, false}, {fewer_rows, true}, {fewer_eval_rows, true}, {eight_bits, false},
            {four_bits, false}, {adapter, false},   {shorter, true}};

enum { WAYS = sizeof ways / sizeof ways[0] };

static void begin(smaller *s, const run_shape *shape)
{
    *s = (smaller){.o = *shape->o, .shape = *shape};
    s->shape.o = &s->o;
}

/* *memory: what s needs; SIZE_MAX where there is no such run. */
static mts_status memory_of(mts_ctx *ctx, smaller *s, size_t *memory)
{
    run_need need;
    const mts_status st = run_need_make(ctx, &s->shape, &need);
    *memory = st == MTS_OK ? need.memory : SIZE_MAX;
    if (st == MTS_ERR_MEMORY)
        return st;
    ctx->error[0] = '\0';
    return MTS_OK;
}

static void append(char *list, const char *text)
{
    const size_t used = strlen(list);
    snprintf(list + used, LIST_BYTES - used, "%s%s", used == 0 ? "" : ", ", text);
}

/* list: each way that fits by itself, with what the run needs then. */
static mts_status list_single(mts_ctx *ctx, const run_shape *shape, uint64_t room, char *list)
{
    mts_status st = MTS_OK;
    char entry[TEXT_BYTES + MEMORY_TEXT_BYTES + 16], size[MEMORY_TEXT_BYTES];
    for (size_t w = 0; w < WAYS; w++) {
        smaller s;
        size_t memory = SIZE_MAX;
        begin(&s, shape);
        while (memory > room && ways[w].make(&s)) {
            MTS_TRY(memory_of(ctx, &s, &memory));
            if (!ways[w].again)
                break;
        }
        if (memory > room)
            continue;
        snprintf(entry, sizeof entry, "%s (%s)", s.text, memory_text(size, memory));
        append(list, entry);
    }
cleanup:
    return st;
}

/* list: ways that fit together, from the first on, as few as that takes; *memory: what the run
 * needs with them. */
static mts_status list_joint(mts_ctx *ctx, const run_shape *shape, uint64_t room, char *list,
                             size_t *memory)
{
    mts_status st = MTS_OK;
    smaller s;
    begin(&s, shape);
    *memory = SIZE_MAX;
    for (size_t w = 0; w<WAYS && * memory> room; w++) {
        bool made = false;
        while (*memory > room && ways[w].make(&s)) {
            made = true;
            MTS_TRY(memory_of(ctx, &s, memory));
            if (!ways[w].again)
                break;
        }
        if (made)
            append(list, s.text);
    }
cleanup:
    return st;
}

mts_status run_need_check(mts_ctx *ctx, const run_shape *shape, bool whole)
{
    mts_status st = MTS_OK;
    const uint64_t room = memory_free_bytes();
    char list[LIST_BYTES] = "", needs[MEMORY_TEXT_BYTES], has[MEMORY_TEXT_BYTES];
    char joint[MEMORY_TEXT_BYTES];
    const char *least = whole ? "" : "at least ";
    run_need need;
    size_t memory;
    if (shape->o->skip_memory_check || room == UINT64_MAX)
        return MTS_OK;
    MTS_TRY(run_need_make(ctx, shape, &need));
    if (need.memory <= room)
        return MTS_OK;
    memory_text(needs, need.memory);
    memory_text(has, room);
    MTS_TRY(list_single(ctx, shape, room, list));
    MTS_CHECK(list[0] == '\0', MTS_ERR_MEMORY,
              "the run needs %s%s of memory, %s are free: it would fit with %s; "
              "--skip_memory_check true goes on anyway",
              least, needs, has, list);
    MTS_TRY(list_joint(ctx, shape, room, list, &memory));
    MTS_CHECK(memory > room, MTS_ERR_MEMORY,
              "the run needs %s%s of memory, %s are free: it would fit with all of %s (%s); "
              "--skip_memory_check true goes on anyway",
              least, needs, has, list, memory_text(joint, memory));
    MTS_CHECK(false, MTS_ERR_MEMORY,
              "the run needs %s%s of memory, %s are free, and no option makes it fit; "
              "--skip_memory_check true goes on anyway",
              least, needs, has);
cleanup:
    return st;
}
