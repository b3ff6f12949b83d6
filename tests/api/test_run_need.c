/* A run that does not fit into memory is refused before it takes any, and told what would fit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory_free.h"
#include "support/run_folder.h"

static run_path out_dir;

static mts_options options_here(void)
{
    mts_options o = run_folder_options();
    out_dir = run_folder_path("out");
    o.output_dir = out_dir.text;
    o.overwrite_output_dir = true;
    o.max_steps = 1;
    o.do_eval = 0;
    o.save_strategy = "no";
    return o;
}

/* Train with so much memory; *text: the error's, "" if there was none. */
static mts_status train_with(mts_options *o, int64_t bytes, char text[1024])
{
    char *metrics = NULL;
    memory_free_pretend(bytes);
    const mts_status st = mts_train(ctx, o, NULL, &metrics);
    memory_free_pretend(-1);
    snprintf(text, 1024, "%s", st == MTS_OK ? "" : mts_error_text(ctx));
    mts_string_free(metrics);
    return st;
}

/* The plan of info, in bytes. */
static int64_t planned(const mts_options *o)
{
    char *text = NULL;
    run_folder_require(mts_model_describe(ctx, o, &text));
    json_t *root = json_loads(text, 0, NULL);
    const json_t *memory = json_object_get(root, "training_memory");
    const int64_t bytes = json_integer_value(json_object_get(memory, "total_bytes"));
    assert_true(bytes > 0);
    json_decref(root);
    mts_string_free(text);
    return bytes;
}

static void expect(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected \"%s\" in: %s", part, text);
}

/* A run goes with what its plan says, and not with less. */
static void plan_is_the_limit(void **state)
{
    mts_options o = options_here();
    char text[1024];
    (void)state;
    const int64_t plan = planned(&o);
    const mts_status st = train_with(&o, plan + plan / 50, text); /* the task's labels */
    if (st != MTS_OK)
        fail_msg("%s; the plan is %lld bytes", text, (long long)plan);
    assert_int_equal(train_with(&o, 1000, text), MTS_ERR_MEMORY);
    expect(text, "the run needs at least ");
    expect(text, "no option makes it fit");
    expect(text, "0.001 MB are free");
    o.skip_memory_check = true;
    assert_int_equal(train_with(&o, 1000, text), MTS_OK);
}

/* Everything that is named fits, with the memory that is told. */
static void ways_that_fit(void **state)
{
    mts_options o = options_here();
    char text[1024];
    (void)state;
    o.per_device_train_batch_size = 64;
    int64_t low = 1000, high = planned(&o) * 2;
    while (high - low > 2000) { /* what the run needs */
        const int64_t middle = (low + high) / 2;
        if (train_with(&o, middle, text) == MTS_OK)
            high = middle;
        else
            low = middle;
    }
    assert_int_equal(train_with(&o, low, text), MTS_ERR_MEMORY);
    expect(text, "it would fit with --gradient_checkpointing true (");
    expect(text, "--per_device_train_batch_size 32 (");
    expect(text, "--optim adamw_8bit (");
    expect(text, "--method lora (");
    expect(text, "--skip_memory_check true goes on anyway");
    if (strstr(text, "base_bits") != NULL)
        fail_msg("without an adapter: %s", text);
    o.gradient_checkpointing = true;
    assert_int_equal(train_with(&o, low, text), MTS_OK);
    o.gradient_checkpointing = false;
    o.per_device_train_batch_size = 32;
    assert_int_equal(train_with(&o, low, text), MTS_OK);
}

/* Where none is enough by itself they are told together. */
static void ways_together(void **state)
{
    mts_options o = options_here(), small = o;
    char text[1024];
    (void)state;
    small.gradient_checkpointing = true;
    small.per_device_train_batch_size = 1;
    small.optim = "adamw_8bit";
    small.method = "lora";
    const int64_t enough = planned(&small) * 11 / 10;
    assert_int_equal(train_with(&o, enough, text), MTS_ERR_MEMORY);
    expect(text, "with ");
    expect(text, "--method lora");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plan_is_the_limit),
                                       cmocka_unit_test(ways_that_fit),
                                       cmocka_unit_test(ways_together)};
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
