/*
 * train/train_state: a trainer_state.json is refused, or its counters are those of one run, and it
 * is read again as it is written.  The run is prepared once; the input is the file.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/tiny_task.h"
#include "train/run.h"
#include "train/train_state.h"

enum { FILE_BYTES = 8192 };

static run the_run;
static mts_options options;
static char model_dir[4200], train_file[4200], output_dir[4200], seed[FILE_BYTES];

static void close_run(void)
{
    run_deinit(&the_run);
}

/* A run of the tiny task, not begun yet. */
static void open_run(void)
{
    const char *folder = fuzz_folder();
    if (the_run.ctx != NULL)
        return;
    FUZZ_REQUIRE(tiny_task_write(&fuzz_ctx, folder) == MTS_OK);
    snprintf(model_dir, sizeof model_dir, "%s/model", folder);
    snprintf(train_file, sizeof train_file, "%s/train.tsv", folder);
    snprintf(output_dir, sizeof output_dir, "%s/out", folder);
    mts_options_default(&options);
    options.model_name_or_path = model_dir;
    options.train_file = train_file;
    options.output_dir = output_dir;
    options.max_seq_length = 24;
    options.per_device_train_batch_size = 4;
    options.num_threads = 1;
    const mts_status st =
        run_prepare(&the_run, &fuzz_ctx, &options, NULL, (run_purpose){.train = true});
    if (st != MTS_OK)
        fprintf(stderr, "%s\n", fuzz_ctx.error);
    FUZZ_REQUIRE(st == MTS_OK);
    FUZZ_REQUIRE(atexit(close_run) == 0);
}

static void forget(train_state *s)
{
    mem_free(s->best_checkpoint);
    s->best_checkpoint = NULL;
}

static bool try_file(const uint8_t *data, size_t size)
{
    static const mts_status allowed[] = {MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED, MTS_ERR_NOT_FOUND,
                                         MTS_OK};
    open_run();
    train_state *s = &the_run.state;
    fuzz_put("trainer_state.json", data, size);
    const mts_status st = train_state_load(&the_run, fuzz_folder());
    if (st == MTS_OK) {
        const int64_t step = s->global_step, micro_step = s->micro_step;
        const double total = s->total_loss;
        FUZZ_REQUIRE(step >= 0 && step <= the_run.total_steps && micro_step >= step);
        FUZZ_REQUIRE(s->loss_count >= 0 && s->loss_count <= step && s->best_step <= step);
        FUZZ_REQUIRE(train_state_save(&the_run, fuzz_folder()) == MTS_OK);
        forget(s);
        FUZZ_REQUIRE(train_state_load(&the_run, fuzz_folder()) == MTS_OK);
        FUZZ_REQUIRE(s->global_step == step && s->micro_step == micro_step);
        FUZZ_REQUIRE(s->total_loss == total);
    } else {
        fuzz_require_error(st, allowed);
    }
    forget(s);
    return st == MTS_OK;
}

/* The state of that run after one epoch and five steps. */
static size_t make_seeds(fuzz_bytes *out, size_t room)
{
    char path[4300];
    char *text = NULL;
    size_t bytes = 0;
    open_run();
    train_state *s = &the_run.state;
    FUZZ_REQUIRE(room >= 1);
    s->global_step = the_run.steps_per_epoch + 5;
    s->micro_step = the_run.batches_per_epoch + 5;
    s->loss_count = 5;
    s->loss_sum = 4.25;
    s->total_loss = 17.5;
    s->has_best = true;
    s->best_metric = 0.75;
    s->best_step = the_run.steps_per_epoch;
    FUZZ_REQUIRE(mem_strdup(&fuzz_ctx, &s->best_checkpoint, "out/checkpoint-15") == MTS_OK);
    FUZZ_REQUIRE(train_state_save(&the_run, fuzz_folder()) == MTS_OK);
    forget(s);
    snprintf(path, sizeof path, "%s/trainer_state.json", fuzz_folder());
    FUZZ_REQUIRE(file_read_all(&fuzz_ctx, path, sizeof seed, &text, &bytes) == MTS_OK);
    memcpy(seed, text, bytes);
    mem_free(text);
    out[0] = (fuzz_bytes){seed, bytes - 1}; /* without the last line end */
    return 1;
}

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "0",
                                    "-1",
                                    "20",
                                    "9007199254740992",
                                    "9223372036854775807",
                                    "1e400",
                                    "null",
                                    "true",
                                    "\"0x1p+0\"",
                                    "\"0x1p-1080\"",
                                    "\"nan\"",
                                    "\"inf\"",
                                    "\"1e5\"",
                                    "\"best_metric\":",
                                    "\"evaluation_due\":true",
                                    "\"log_history\":[{}]",
                                    "..",
                                    "/",
                                    "\\u0000",
                                    "\xff",
                                    NULL};

const fuzz_target fuzz_target_train_state = {
    .name = "train_state",
    .run = try_file,
    .make_seeds = make_seeds,
    .whole = true,
    .words = words,
};
