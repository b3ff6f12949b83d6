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
#include "base/utf8.h"
#include "options/options.h"
#include "train/evaluate.h"
#include "train/settings.h"

static const char file_name[] = "trainer_state.json";

/* The largest file that is read: some 200 bytes of log_history for each log line. */
#define FILE_BYTES ((size_t)4 << 30)

#define STEPS_MAX (INT64_C(1) << 53)

/* With its end, so that "a", "bc" are not "ab", "c". */
static uint64_t hash_text(uint64_t h, const char *text)
{
    for (size_t i = 0; i <= strlen(text); i++)
        h = rng_splitmix64(h ^ (unsigned char)text[i]);
    return h;
}

/* A checksum of the training rows, and of what their classes are called. */
static uint32_t hash_rows(const run *r)
{
    const encoded_dataset *rows = &r->data.train;
    const model_config *cfg = &r->net->cfg;
    const bool named = rows->targets.kind != TARGET_SCORE && rows->targets.kind != TARGET_SPAN;
    uint64_t h = (uint64_t)rows->n;
    for (int64_t i = 0; i < rows->offsets[rows->n]; i++)
        h = rng_splitmix64(h ^ (uint32_t)rows->ids[i] ^ ((uint64_t)rows->type_ids[i] << 32));
    for (int64_t i = 0; i < rows->n; i++) {
        const int64_t first = rows->offsets[i], end = rows->offsets[i + 1];
        h = targets_hash_row(&rows->targets, i, first, end - first, h);
        h = rng_splitmix64(h ^ (uint64_t)end);
    }
    for (int64_t i = 0; i < cfg->num_labels && named; i++)
        h = hash_text(h, cfg->labels[i]);
    return (uint32_t)(h >> 32);
}

static mts_status put_data(const run *r, json_t *items)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char checksum[16];
    snprintf(checksum, sizeof checksum, "%08" PRIx32, hash_rows(r));
    MTS_TRY(json_util_set(ctx, items, "train_samples", json_integer(r->data.train.n)));
    MTS_TRY(json_util_set(ctx, items, "train_tokens",
                          json_integer(r->data.train.offsets[r->data.train.n])));
    MTS_TRY(json_util_set(ctx, items, "train_checksum", json_string(checksum)));
cleanup:
    return st;
}

/* *out: what two runs must share for one to continue the other, by the names of the options; those
 * of the data begin with "train_". */
static mts_status make_items(const run *r, json_t **out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char best[EVALUATE_KEY_BYTES];
    mts_options effective = settings_effective(r->o, &r->net->cfg);
    json_t *items = json_object();
    MTS_CHECK(items != NULL, MTS_ERR_MEMORY, "out of memory: %s", file_name);
    evaluate_best_key(r, best);
    effective.metric_for_best_model = best;
    MTS_TRY(put_data(r, items));
    MTS_TRY(options_put_json(ctx, &effective, OPTION_RESUMED, false, items));
    *out = json_incref(items);
cleanup:
    json_decref(items);
    return st;
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
    json_t *items = NULL;
    MTS_TRY(make_items(r, &items));
    MTS_TRY(json_util_set(ctx, own, "run", json_incref(items)));
    MTS_TRY(json_util_set(ctx, own, "micro_step", json_integer(s->micro_step)));
    MTS_TRY(json_util_set(ctx, own, "loss_count", json_integer(s->loss_count)));
    MTS_TRY(put_exact(ctx, own, "loss_sum", s->loss_sum));
    MTS_TRY(put_exact(ctx, own, "total_loss", s->total_loss));
    if (s->has_best)
        MTS_TRY(put_exact(ctx, own, "best_metric", s->best_metric));
    if (s->evaluation_due)
        MTS_TRY(json_util_set(ctx, own, "evaluation_due", json_true()));
cleanup:
    json_decref(items);
    return st;
}

/* *out: the best checkpoint for transformers, which reads it as a path; by its name alone where the
 * path is not UTF-8 and thus no JSON string. */
static mts_status make_best(const run *r, json_t **out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *path = r->state.best_checkpoint;
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    *out = path == NULL ? json_null() : json_string(path);
    if (*out == NULL)
        *out = json_string(slash == NULL ? path : slash + 1);
    MTS_CHECK(*out != NULL, MTS_ERR_MEMORY, "out of memory: %s", file_name);
cleanup:
    return st;
}

/* Where the run stands. */
static mts_status put_progress(const run *r, json_t *root)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const train_state *s = &r->state;
    json_t *best = NULL;
    MTS_TRY(make_best(r, &best));
    MTS_TRY(json_util_set(ctx, root, "global_step", json_integer(s->global_step)));
    MTS_TRY(json_util_set(ctx, root, "epoch", json_real(run_epoch(r))));
    MTS_TRY(json_util_set(ctx, root, "best_metric",
                          s->has_best ? json_real(s->best_metric) : json_null()));
    MTS_TRY(json_util_set(ctx, root, "best_global_step",
                          s->has_best ? json_integer(s->best_step) : json_null()));
    MTS_TRY(json_util_set(ctx, root, "best_model_checkpoint", json_incref(best)));
    MTS_TRY(json_util_set(ctx, root, "log_history", json_incref(s->log_history)));
cleanup:
    json_decref(best);
    return st;
}

/* What the run goes by, and transformers' fields for what is not done here: their defaults. */
static mts_status put_plan(const run *r, json_t *root)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    MTS_TRY(json_util_set(ctx, root, "max_steps", json_integer(r->steps.total)));
    MTS_TRY(json_util_set(ctx, root, "num_train_epochs", json_real(o->num_train_epochs)));
    MTS_TRY(
        json_util_set(ctx, root, "train_batch_size", json_integer(o->per_device_train_batch_size)));
    MTS_TRY(json_util_set(ctx, root, "logging_steps", json_integer(r->steps.logging)));
    MTS_TRY(json_util_set(ctx, root, "eval_steps", json_integer(r->steps.eval)));
    MTS_TRY(json_util_set(ctx, root, "save_steps", json_integer(r->steps.save)));
    MTS_TRY(json_util_set(ctx, root, "num_input_tokens_seen", json_integer(0)));
    MTS_TRY(json_util_set(ctx, root, "total_flos", json_real(0.0)));
    MTS_TRY(json_util_set(ctx, root, "is_hyper_param_search", json_false()));
    MTS_TRY(json_util_set(ctx, root, "is_local_process_zero", json_true()));
    MTS_TRY(json_util_set(ctx, root, "is_world_process_zero", json_true()));
    MTS_TRY(json_util_set(ctx, root, "trial_name", json_null()));
    MTS_TRY(json_util_set(ctx, root, "trial_params", json_null()));
cleanup:
    return st;
}

mts_status train_state_save(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    json_t *root = json_object(), *own = json_object(), *callbacks = json_object();
    MTS_CHECK(root != NULL && own != NULL && callbacks != NULL, MTS_ERR_MEMORY, "out of memory: %s",
              file_name);
    MTS_TRY(make_exact(r, own));
    MTS_TRY(put_progress(r, root));
    MTS_TRY(put_plan(r, root));
    MTS_TRY(json_util_set(ctx, callbacks, "mantissa", json_incref(own)));
    MTS_TRY(early_stopping_put(r, callbacks));
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

/* A value of an item for an error text: a string as it is, anything else as JSON. */
static mts_status quote_value(mts_ctx *ctx, const json_t *value, char out[UTF8_QUOTE_BYTES])
{
    mts_status st = MTS_OK;
    char *text = NULL;
    if (json_is_array(value) || json_is_object(value))
        utf8_quote(out, UTF8_QUOTE_BYTES, json_util_type_name(value));
    else if (value == NULL || json_is_string(value))
        utf8_quote(out, UTF8_QUOTE_BYTES, value == NULL ? "nothing" : json_string_value(value));
    else {
        json_t *list = json_pack("[O]", value);
        MTS_CHECK(list != NULL, MTS_ERR_MEMORY, "out of memory: %s", file_name);
        st = json_util_dump(ctx, list, 0, false, &text);
        json_decref(list);
        if (st == MTS_OK) {
            text[strlen(text) - 1] = '\0';
            utf8_quote(out, UTF8_QUOTE_BYTES, text + 1);
        }
    }
cleanup:
    mem_free(text);
    return st;
}

/* The same value; of numbers whatever the type: 0 and 0.0. */
static bool is_same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* The item `key` has these values in the checkpoint and in this run; NULL: there is none. */
static mts_status check_item(mts_ctx *ctx, const char *file, const char *key, const json_t *found,
                             const json_t *expected)
{
    mts_status st = MTS_OK;
    char theirs[UTF8_QUOTE_BYTES], ours[UTF8_QUOTE_BYTES], name[UTF8_QUOTE_BYTES];
    const bool data = strncmp(key, "train_", 6) == 0 && mts_option_find(key) == NULL;
    if (is_same_value(found, expected))
        return MTS_OK;
    MTS_TRY(quote_value(ctx, found, theirs));
    MTS_TRY(quote_value(ctx, expected, ours));
    MTS_CHECK(false, MTS_ERR_BAD_FILE,
              "%s: the checkpoint is of another run: it has %s%s %s, this run %s", file,
              data ? "other training data, " : "--", utf8_quote(name, sizeof name, key), theirs,
              ours);
cleanup:
    return st;
}

/* Two runs that one continues the other must share every item. */
static mts_status check_items(const run *r, const char *file, json_t *found)
{
    mts_status st = MTS_OK;
    json_t *expected = NULL, *value;
    const char *key;
    MTS_TRY(make_items(r, &expected));
    json_object_foreach(expected, key, value)
        MTS_TRY(check_item(r->ctx, file, key, json_object_get(found, key), value));
    json_object_foreach(found, key, value)
        MTS_TRY(check_item(r->ctx, file, key, value, json_object_get(expected, key)));
cleanup:
    json_decref(expected);
    return st;
}

/* The counters must be what one run leaves; the optimizer's own is checked where it is read. */
static mts_status check_counters(const run *r, const char *file)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const train_state *s = &r->state;
    const int64_t micro_steps =
        s->global_step / r->steps.per_epoch * r->steps.batches_per_epoch +
        s->global_step % r->steps.per_epoch * r->o->gradient_accumulation_steps;
    MTS_CHECK(s->micro_step == micro_steps, MTS_ERR_BAD_FILE,
              "%s: mantissa.micro_step: expected %lld batches in %lld steps, found %lld", file,
              (long long)micro_steps, (long long)s->global_step, (long long)s->micro_step);
    MTS_CHECK(s->loss_count <= s->global_step, MTS_ERR_BAD_FILE,
              "%s: mantissa.loss_count: expected at most %lld, the steps done, found %lld", file,
              (long long)s->global_step, (long long)s->loss_count);
cleanup:
    return st;
}

/* The end may be another one than the run had that wrote the checkpoint. */
static mts_status check_end(run *r, const char *file, const json_t *root)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    int64_t planned = r->steps.total;
    MTS_CHECK(r->state.global_step <= r->steps.total, MTS_ERR_BAD_FILE,
              "%s: the checkpoint is of step %lld, this run has %lld steps: give more of "
              "--num_train_epochs or --max_steps, or an earlier checkpoint",
              file, (long long)r->state.global_step, (long long)r->steps.total);
    MTS_TRY(json_util_int(ctx, file, root, "max_steps", 0, STEPS_MAX, &planned));
    if (planned != r->steps.total)
        run_note(
            r,
            "the checkpoint's run had %lld steps, this one has %lld: from here on the learning "
            "rate follows the schedule of %lld",
            (long long)planned, (long long)r->steps.total, (long long)r->steps.total);
cleanup:
    return st;
}

static mts_status load_exact(run *r, const char *file, const json_t *own)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    train_state *s = &r->state;
    json_t *items = json_object_get(own, "run");
    MTS_CHECK(json_is_object(items), MTS_ERR_BAD_FILE,
              "%s: mantissa.run: expected an object, found %s", file, json_util_type_name(items));
    MTS_TRY(check_items(r, file, items));
    MTS_TRY(json_util_require(ctx, file, own, "micro_step"));
    MTS_TRY(json_util_int(ctx, file, own, "micro_step", 0, STEPS_MAX, &s->micro_step));
    MTS_TRY(json_util_int(ctx, file, own, "loss_count", 0, STEPS_MAX, &s->loss_count));
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
 * moved; or else at the place that is stored.  Where the run begins anew, output_dir holds those of
 * another run. */
static mts_status find_best(run *r, const char *stored)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    const char *slash = strrchr(stored, '/');
    bool here = false;
    MTS_TRY(path_join(ctx, &path, r->o->output_dir, slash == NULL ? stored : slash + 1));
    here = !r->origin.starts_fresh && dir_exists(path);
    MTS_CHECK(!r->o->load_best_model_at_end || here || dir_exists(stored), MTS_ERR_NOT_FOUND,
              "%s: the best checkpoint so far is neither here nor at %s, and "
              "--load_best_model_at_end asks for it",
              path, stored);
    MTS_TRY(mem_strdup(ctx, &r->state.best_checkpoint, here ? path : stored));
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
    MTS_TRY(json_util_int(ctx, path, root, "global_step", 0, STEPS_MAX, &s->global_step));
    MTS_TRY(load_exact(r, path, own));
    MTS_TRY(early_stopping_load(r, path, json_object_get(root, "stateful_callbacks")));
    MTS_TRY(check_end(r, path, root));
    MTS_TRY(check_counters(r, path));
    MTS_TRY(json_util_int(ctx, path, root, "best_global_step", 0, s->global_step, &s->best_step));
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
