/* What a run needs, as JSON.  See describe_need.h. */
#include "api/describe_need.h"

#include <math.h>
#include <sys/stat.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/memory_free.h"
#include "train/model_tokenizer.h"

mts_status describe_put_bytes(mts_ctx *ctx, json_t *object, const char *key, uint64_t bytes)
{
    return json_util_set(ctx, object, key, json_integer((json_int_t)bytes));
}

mts_status describe_need_memory(mts_ctx *ctx, const run_need *need, json_t *out)
{
    mts_status st = MTS_OK;
    const network_plan *n = &need->net;
    MTS_TRY(describe_put_bytes(ctx, out, "parameters_bytes", n->parameters - n->adapters));
    if (n->adapters > 0)
        MTS_TRY(describe_put_bytes(ctx, out, "adapters_bytes", n->adapters));
    MTS_TRY(describe_put_bytes(ctx, out, "gradients_bytes", n->gradients));
    MTS_TRY(describe_put_bytes(ctx, out, "optimizer_state_bytes", need->optimizer));
    MTS_TRY(describe_put_bytes(ctx, out, "packed_weights_bytes", n->packed_weights));
    MTS_TRY(describe_put_bytes(ctx, out, "activations_bytes", n->activations));
    MTS_TRY(describe_put_bytes(ctx, out, "scratch_bytes", n->scratch));
    MTS_TRY(describe_put_bytes(ctx, out, "total_bytes", need->memory));
cleanup:
    return st;
}

/* Tokens of a text of so many bytes as a run keeps them, roughly: one of four bytes, with an id, a
 * type and a target. */
static uint64_t data_bytes(const mts_options *o)
{
    struct stat info;
    if (o->train_file == NULL || stat(o->train_file, &info) != 0)
        return 0;
    return (uint64_t)info.st_size / 4 * 3 * sizeof(int32_t);
}

/* Resident memory beside the plan's: this program has the same code and tokenizer as the run. */
static mts_status describe_resident(mts_ctx *ctx, const run_shape *shape, const run_need *need,
                                    json_t *out)
{
    mts_status st = MTS_OK;
    tokenizer *tok = NULL;
    const uint64_t data = data_bytes(shape->o);
    uint64_t program = 0;
    MTS_TRY(model_tokenizer_open(ctx, shape->dir, &tok, NULL));
    mem_trim();
    program = memory_resident_bytes();
    MTS_TRY(describe_put_bytes(ctx, out, "program_and_tokenizer_bytes", program));
    if (data > 0)
        MTS_TRY(describe_put_bytes(ctx, out, "training_data_bytes", data));
    MTS_TRY(describe_put_bytes(ctx, out, "mapped_files_bytes", need->net.mapped));
    MTS_TRY(describe_put_bytes(ctx, out, "mapped_files_in_use_bytes", need->net.mapped_in_use));
    MTS_TRY(describe_put_bytes(ctx, out, "peak_bytes",
                               need->memory + program + data + need->net.mapped_in_use));
cleanup:
    tokenizer_close(tok);
    return st;
}

static mts_status describe_disk(mts_ctx *ctx, const run_need *need, json_t *out)
{
    mts_status st = MTS_OK;
    MTS_TRY(describe_put_bytes(ctx, out, "final_model_bytes", need->file));
    MTS_TRY(describe_put_bytes(ctx, out, "each_checkpoint_bytes", need->file + need->optimizer));
cleanup:
    return st;
}

/* Multiplications in units of 10^9, three digits behind the point. */
static json_t *gmac(double macs)
{
    return json_real(round(macs / 1e6) / 1e3);
}

static mts_status describe_work(mts_ctx *ctx, const run_shape *shape, const run_need *need,
                                json_t *out)
{
    static const char *const names[WORK_PARTS] = {"forward_gmac",          "input_gradients_gmac",
                                                  "weight_gradients_gmac", "attention_gmac",
                                                  "adapters_gmac",         "head_gmac"};
    mts_status st = MTS_OK;
    const double batches = (double)shape->o->gradient_accumulation_steps;
    double total = 0.0;
    for (int i = 0; i < WORK_PARTS; i++) {
        const double macs = need->net.work[i] * batches;
        total += macs;
        if (macs > 0.0)
            MTS_TRY(json_util_set(ctx, out, names[i], gmac(macs)));
    }
    MTS_TRY(json_util_set(ctx, out, "total_gmac", gmac(total)));
cleanup:
    return st;
}

mts_status describe_need(mts_ctx *ctx, const run_shape *shape, const run_need *need, json_t *root)
{
    mts_status st = MTS_OK;
    json_t *resident = json_object(), *disk = json_object(), *work = json_object();
    MTS_CHECK(resident != NULL && disk != NULL && work != NULL, MTS_ERR_MEMORY,
              "out of memory: description");
    MTS_TRY(describe_resident(ctx, shape, need, resident));
    MTS_TRY(json_util_set(ctx, root, "resident_memory", json_incref(resident)));
    MTS_TRY(describe_disk(ctx, need, disk));
    MTS_TRY(json_util_set(ctx, root, "training_files", json_incref(disk)));
    MTS_TRY(describe_work(ctx, shape, need, work));
    MTS_TRY(json_util_set(ctx, root, "work_of_a_step", json_incref(work)));
cleanup:
    json_decref(resident);
    json_decref(disk);
    json_decref(work);
    return st;
}
