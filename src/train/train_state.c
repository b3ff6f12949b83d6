/* The state of training as a JSON file.  See train_state.h. */
#include "train/train_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/rng.h"

static const char file_name[] = "trainer_state.json";

enum { SIGNATURE_BYTES = 1280 };

/* The largest file that is read: some 200 bytes of log_history for each log line. */
#define FILE_BYTES ((size_t)4 << 30)

/* A checksum of the training rows. */
static uint32_t hash_rows(const encoded_dataset *rows)
{
    uint64_t h = (uint64_t)rows->n;
    for (int64_t i = 0; i < rows->offsets[rows->n]; i++)
        h = rng_splitmix64(h ^ (uint32_t)rows->ids[i]);
    for (int64_t i = 0; i < rows->n; i++) {
        uint32_t bits;
        memcpy(&bits, &rows->labels[i], sizeof bits);
        h = rng_splitmix64(h ^ bits);
    }
    return (uint32_t)(h >> 32);
}

/* What two runs must share for one to continue the other. */
static void make_signature(const run *r, char text[SIGNATURE_BYTES])
{
    const mts_options *o = r->o;
    const num_format *f = &r->format;
    char best[RUN_METRIC_KEY_BYTES];
    run_best_metric_key(r, best);
    snprintf(text, SIGNATURE_BYTES,
             "rows=%" PRId64 " tokens=%" PRId64 " checksum=%08" PRIx32 " batch=%" PRId64 "x%" PRId64
             " steps=%" PRId64 " grouped=%d seed=%" PRId64 "/%" PRId64
             " optim=%s lr=%a wd=%a betas=%a/%a eps=%a momentum=%a clip=%a schedule=%s "
             "warmup=%a/%" PRId64
             " format=%d w%d a%d g%d p%d n%d rounding=%d group=%d dropout=%a/%a/%a best=%s",
             r->train.n, r->train.offsets[r->train.n], hash_rows(&r->train),
             o->per_device_train_batch_size, o->gradient_accumulation_steps, r->total_steps,
             o->group_by_length, o->seed, o->data_seed, o->optim, o->learning_rate, o->weight_decay,
             o->adam_beta1, o->adam_beta2, o->adam_epsilon, o->sgd_momentum, o->max_grad_norm,
             o->lr_scheduler_type, o->warmup_ratio, o->warmup_steps, (int)f->kind, f->weight_bits,
             f->activation_bits, f->gradient_bits, f->attention_bits, f->norm_bits, f->rounding,
             (int)f->group, (double)r->model->dropout.hidden, (double)r->model->dropout.attention,
             (double)r->model->dropout.classifier, best);
}

static mts_status put_exact(mts_ctx *ctx, json_t *object, const char *key, double value)
{
    char text[48];
    snprintf(text, sizeof text, "%a", value);
    return json_util_set(ctx, object, key, json_string(text));
}

/* The object stateful_callbacks.mantissa. */
static mts_status make_exact(const run *r, json_t *own)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const train_state *s = &r->state;
    char signature[SIGNATURE_BYTES];
    make_signature(r, signature);
    MTS_TRY(json_util_set(ctx, own, "run", json_string(signature)));
    MTS_TRY(json_util_set(ctx, own, "micro_step", json_integer(s->micro_step)));
    MTS_TRY(json_util_set(ctx, own, "loss_count", json_integer(s->loss_count)));
    MTS_TRY(put_exact(ctx, own, "loss_sum", s->loss_sum));
    MTS_TRY(put_exact(ctx, own, "total_loss", s->total_loss));
    if (s->has_best)
        MTS_TRY(put_exact(ctx, own, "best_metric", s->best_metric));
    if (s->evaluation_due)
        MTS_TRY(json_util_set(ctx, own, "evaluation_due", json_true()));
cleanup:
    return st;
}

mts_status train_state_save(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const train_state *s = &r->state;
    char *path = NULL;
    json_t *root = json_object(), *own = json_object(), *callbacks = json_object();
    const double epoch =
        (double)s->global_step / (double)(r->steps_per_epoch > 0 ? r->steps_per_epoch : 1);
    MTS_CHECK(root != NULL && own != NULL && callbacks != NULL, MTS_ERR_MEMORY, "out of memory: %s",
              file_name);
    MTS_TRY(make_exact(r, own));
    MTS_TRY(json_util_set(ctx, root, "global_step", json_integer(s->global_step)));
    MTS_TRY(json_util_set(ctx, root, "max_steps", json_integer(r->total_steps)));
    MTS_TRY(json_util_set(ctx, root, "epoch", json_real(epoch)));
    MTS_TRY(json_util_set(ctx, root, "num_train_epochs", json_real(r->o->num_train_epochs)));
    MTS_TRY(json_util_set(ctx, root, "train_batch_size",
                          json_integer(r->o->per_device_train_batch_size)));
    MTS_TRY(json_util_set(ctx, root, "logging_steps", json_integer(r->o->logging_steps)));
    MTS_TRY(json_util_set(ctx, root, "best_metric",
                          s->has_best ? json_real(s->best_metric) : json_null()));
    MTS_TRY(
        json_util_set(ctx, root, "best_model_checkpoint",
                      s->best_checkpoint == NULL ? json_null() : json_string(s->best_checkpoint)));
    MTS_TRY(json_util_set(ctx, root, "log_history", json_incref(s->log_history)));
    MTS_TRY(json_util_set(ctx, callbacks, "mantissa", json_incref(own)));
    MTS_TRY(json_util_set(ctx, root, "stateful_callbacks", json_incref(callbacks)));
    MTS_TRY(path_join(ctx, &path, dir, file_name));
    MTS_TRY(json_util_save(ctx, root, path));
cleanup:
    json_decref(callbacks);
    json_decref(own);
    json_decref(root);
    mem_free(path);
    return st;
}

static mts_status get_exact(mts_ctx *ctx, const char *file, const json_t *own, const char *key,
                            double *value)
{
    mts_status st = MTS_OK;
    const char *text = NULL;
    char *end = NULL;
    MTS_TRY(json_util_require(ctx, file, own, key));
    MTS_TRY(json_util_string(ctx, file, own, key, &text));
    *value = strtod(text, &end);
    MTS_CHECK(*text != '\0' && *end == '\0' && isfinite(*value), MTS_ERR_BAD_FILE,
              "%s: mantissa.%s: expected a hexadecimal number", file, key);
cleanup:
    return st;
}

/* Two signatures differ: name the first item that does. */
static mts_status check_signature(const run *r, const char *file, const char *found)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char expected[SIGNATURE_BYTES];
    make_signature(r, expected);
    size_t i = 0;
    while (expected[i] != '\0' && expected[i] == found[i])
        i++;
    if (expected[i] == found[i])
        return MTS_OK;
    while (i > 0 && expected[i - 1] != ' ')
        i--;
    MTS_CHECK(false, MTS_ERR_BAD_FILE,
              "%s: the checkpoint is of another run: it has %.*s, this run %.*s", file,
              (int)strcspn(found + i, " "), found + i, (int)strcspn(expected + i, " "),
              expected + i);
cleanup:
    return st;
}

static mts_status load_exact(run *r, const char *file, const json_t *own)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    train_state *s = &r->state;
    const char *signature = "";
    MTS_TRY(json_util_require(ctx, file, own, "run"));
    MTS_TRY(json_util_string(ctx, file, own, "run", &signature));
    MTS_TRY(check_signature(r, file, signature));
    MTS_TRY(json_util_require(ctx, file, own, "micro_step"));
    MTS_TRY(json_util_int(ctx, file, own, "micro_step", 0, INT64_C(1) << 53, &s->micro_step));
    MTS_TRY(json_util_int(ctx, file, own, "loss_count", 0, INT64_C(1) << 53, &s->loss_count));
    MTS_TRY(get_exact(ctx, file, own, "loss_sum", &s->loss_sum));
    MTS_TRY(get_exact(ctx, file, own, "total_loss", &s->total_loss));
    s->has_best = json_object_get(own, "best_metric") != NULL;
    if (s->has_best)
        MTS_TRY(get_exact(ctx, file, own, "best_metric", &s->best_metric));
    s->evaluation_due = json_is_true(json_object_get(own, "evaluation_due"));
cleanup:
    return st;
}

/* The best checkpoint: in output_dir under the name that is stored, for the folder may have been
 * moved; or else at the place that is stored. */
static mts_status find_best(run *r, const char *stored)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    const char *slash = strrchr(stored, '/');
    MTS_TRY(path_join(ctx, &path, r->o->output_dir, slash == NULL ? stored : slash + 1));
    MTS_CHECK(!r->o->load_best_model_at_end || dir_exists(path) || dir_exists(stored),
              MTS_ERR_NOT_FOUND,
              "%s: the best checkpoint so far is neither here nor at %s, and "
              "--load_best_model_at_end asks for it",
              path, stored);
    MTS_TRY(mem_strdup(ctx, &r->state.best_checkpoint, dir_exists(path) ? path : stored));
cleanup:
    mem_free(path);
    return st;
}

mts_status train_state_load(run *r, const char *dir)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    train_state *s = &r->state;
    char *path = NULL;
    const char *best = NULL;
    json_t *root = NULL, *history = NULL;
    const json_t *own = NULL;
    MTS_TRY(path_join(ctx, &path, dir, file_name));
    MTS_TRY(json_util_load_object(ctx, path, FILE_BYTES, &root));
    own = json_object_get(json_object_get(root, "stateful_callbacks"), "mantissa");
    history = json_object_get(root, "log_history");
    MTS_CHECK(json_is_object(own) && json_is_array(history), MTS_ERR_BAD_FILE,
              "%s: expected an object stateful_callbacks.mantissa and an array log_history: was it "
              "written by another program?",
              path);
    MTS_TRY(json_util_require(ctx, path, root, "global_step"));
    MTS_TRY(json_util_int(ctx, path, root, "global_step", 0, r->total_steps, &s->global_step));
    MTS_TRY(load_exact(r, path, own));
    MTS_TRY(json_util_string(ctx, path, root, "best_model_checkpoint", &best));
    if (best != NULL)
        MTS_TRY(find_best(r, best));
    json_decref(s->log_history);
    s->log_history = json_incref(history);
cleanup:
    json_decref(root);
    mem_free(path);
    return st;
}
