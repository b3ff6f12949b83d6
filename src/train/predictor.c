/* Predicting with a fine-tuned folder.  See predictor.h. */
#include "train/predictor.h"

#include "network/network_io.h"
#include "network/network_outliers.h"
#include "options/options.h"
#include "train/adapter_folder.h"
#include "train/label_options.h"
#include "train/model_tokenizer.h"
#include "train/outlier_lists.h"
#include "train/run_network.h"
#include "train/settings.h"

static mts_status create_model(predictor *p, const mts_options *o, model_config *cfg)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    network_options options = {
        .head = head_class_of_config(cfg),
        .format = settings_format(o),
        .threads = p->threads,
        .limits = {.eval_rows = p->batch_size,
                   .eval_tokens = p->batch_size * p->max_seq_length,
                   .max_length = p->max_seq_length},
    };
    const batch_plan plan = {.max_rows = options.limits.eval_rows,
                             .max_tokens = options.limits.eval_tokens,
                             .max_len = options.limits.max_length};
    /* an adapter's folder has the outputs */
    const head_source source = p->adapter.rank > 0 ? HEAD_IF_THERE : HEAD_NEEDED;
    network_load_report report;
    bool listed = false;
    MTS_TRY(settings_check_rows(ctx, p->tokenizer, p->max_seq_length, cfg, o->model_name_or_path));
    MTS_CHECK(options.head->needs != HEAD_NEEDS_WORDS, MTS_ERR_UNSUPPORTED,
              "%s: a language model gives no labels or answers to predict", o->model_name_or_path);
    MTS_TRY(settings_check_tokens(ctx, options.limits.eval_tokens, "eval"));
    MTS_TRY(label_options_check(ctx, o, options.head));
    run_network_adapter(o, &p->adapter, &options);
    MTS_TRY(network_check_weights(ctx, cfg, options.head, o->model_name_or_path, source));
    MTS_TRY(network_create(ctx, cfg, &options, &p->net));
    MTS_TRY(network_load(ctx, p->net, o->model_name_or_path, source, &report));
    if (p->adapter.rank > 0)
        MTS_TRY(network_load_adapter(ctx, p->net, o->adapter_name_or_path, HEAD_NEEDED, NULL));
    network_use_ranks(p->net, o->rank, 0);
    MTS_TRY(
        outlier_lists_take(ctx, p->net, o->model_name_or_path, o->adapter_name_or_path, &listed));
    p->calibrate = network_has_outliers(p->net) && !listed;
    MTS_TRY(batch_init(ctx, &p->batch, &plan));
cleanup:
    return st;
}

/* The adapter, if one is used. */
static mts_status open_adapter(predictor *p, const mts_options *o)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    const char *dir = o->adapter_name_or_path;
    MTS_TRY(adapter_folder_check_model(ctx, o->model_name_or_path));
    MTS_CHECK(dir != NULL || o->rank == 0, MTS_ERR_ARGUMENT,
              "option --rank needs --adapter_name_or_path");
    MTS_CHECK(dir != NULL || !options_has_4bit_base(o), MTS_ERR_ARGUMENT,
              "--base_bits 4 needs --adapter_name_or_path");
    if (dir == NULL)
        return MTS_OK;
    MTS_TRY(peft_config_load(ctx, dir, &p->adapter));
    MTS_CHECK(o->rank <= p->adapter.rank, MTS_ERR_ARGUMENT,
              "option --rank: %s has %lld ranks, found %lld", dir, (long long)p->adapter.rank,
              (long long)o->rank);
cleanup:
    return st;
}

mts_status predictor_open(mts_ctx *ctx, const mts_options *given, predictor **out)
{
    mts_status st = MTS_OK;
    predictor *p = NULL;
    model_config cfg = {0};
    mts_options own = *given;
    const mts_options *o = &own;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &p, 1, sizeof *p, "predictor"));
    p->ctx = ctx;
    p->batch_size = o->per_device_eval_batch_size;
    p->threads = settings_threads(o);
    MTS_TRY(open_adapter(p, o));
    MTS_TRY(adapter_folder_load_config(ctx, o->model_name_or_path, o->adapter_name_or_path, &cfg));
    settings_complete(&own, &cfg);
    p->max_seq_length = settings_max_length(o, &cfg, head_class_of_config(&cfg)->name);
    MTS_TRY(model_tokenizer_open(ctx, o->model_name_or_path, &p->tokenizer, NULL));
    if (o->do_lower_case >= 0)
        MTS_TRY(tokenizer_set_lower_case(ctx, p->tokenizer, o->do_lower_case == 1));
    mem_trim();
    MTS_TRY(create_model(p, o, &cfg));
    *out = p;
    p = NULL;
cleanup:
    model_config_deinit(&cfg);
    predictor_close(p);
    return st;
}

void predictor_close(predictor *p)
{
    if (p == NULL)
        return;
    tokenizer_close(p->tokenizer);
    network_destroy(p->net);
    peft_config_deinit(&p->adapter);
    batch_deinit(&p->batch);
    mem_free(p);
}

mts_status predictor_run_rows(predictor *p, const encoded_dataset *rows, float *outputs)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    sampler order = {0};
    const outlier_source source = {.rows = rows, .batch_size = p->batch_size};
    if (p->calibrate)
        MTS_TRY(outlier_lists_prepare(ctx, p->net, &p->batch, &source, &p->calibrate));
    p->calibrate = false;
    MTS_TRY(sampler_init(ctx, &order, rows, SAMPLER_SEQUENTIAL, p->batch_size, 0));
    for (int64_t i = 0; i < sampler_batch_count(&order); i++) {
        int64_t count;
        const int64_t *index = sampler_batch(&order, i, &count);
        batch_fill(&p->batch, rows, index, count);
        const model_input in = {
            .seq = {p->batch.n, p->batch.total_tokens, p->batch.max_len, p->batch.offsets},
            .ids = p->batch.ids,
            .type_ids = p->batch.type_ids,
            .positions = p->batch.positions,
        };
        (void)network_predict(p->net, &in, NULL, outputs);
        MTS_TRY(network_check(ctx, p->net));
        outputs += network_outputs(p->net, &in);
    }
cleanup:
    sampler_deinit(&order);
    return st;
}

mts_status predictor_run_texts(predictor *p, const char *const *text_a, const char *const *text_b,
                               int64_t n, float *outputs)
{
    mts_status st = MTS_OK;
    encoded_dataset rows = {0};
    if (n == 0)
        return MTS_OK;
    MTS_TRY(encoded_dataset_build(p->ctx, &rows, (text_rows){n, text_a, text_b}, p->tokenizer,
                                  p->max_seq_length, p->threads, NULL, NULL));
    p->cut_rows += rows.cut;
    MTS_TRY(predictor_run_rows(p, &rows, outputs));
cleanup:
    encoded_dataset_deinit(&rows);
    return st;
}
