/* Where a step is: told for each layer of forward and backward, in order, and changing nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "support/run_folder.h"

enum { STEPS = 2, BATCHES = 2 };

typedef struct told {
    int64_t events, forward, head, backward, steps; /* of each kind */
    int64_t done;                                   /* of the step, so far */
    int64_t layers;
} told;

static bool listen(void *user, const mts_event *e)
{
    told *t = user;
    if (e->kind == MTS_EVENT_STEP) {
        t->steps++;
        t->done = 0;
    }
    if (e->kind != MTS_EVENT_WITHIN_STEP)
        return true;
    const int64_t in_batch = e->done - (e->batch - 1) * (e->total / BATCHES);
    t->layers = e->layers;
    assert_int_equal(e->step, t->steps + 1);
    assert_int_equal(e->steps, STEPS);
    assert_int_equal(e->batches, BATCHES);
    assert_true(e->batch >= 1 && e->batch <= BATCHES);
    assert_true(e->seconds_left >= 0);
    assert_true(e->done >= t->done && e->done < e->total);
    assert_true(t->events == 0 || e->done > t->done || e->done == 0);
    if (strcmp(e->text, "forward") == 0)
        assert_int_equal(e->layer, in_batch + 1);
    else if (strcmp(e->text, "head") == 0)
        assert_int_equal(e->layer, 0);
    else
        assert_int_equal(e->layer, e->layers - (in_batch - e->layers - 1) / 2);
    t->forward += strcmp(e->text, "forward") == 0;
    t->head += strcmp(e->text, "head") == 0;
    t->backward += strcmp(e->text, "backward") == 0;
    t->done = e->done;
    t->events++;
    return true;
}

static mts_options two_steps(const char *output_dir)
{
    mts_options o = run_folder_options();
    o.max_steps = STEPS;
    o.gradient_accumulation_steps = BATCHES;
    o.eval_strategy = "steps"; /* evaluation has no such events */
    o.eval_steps = 1;
    o.output_dir = output_dir;
    return o;
}

static void every_layer(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        const run_path out = run_folder_path("watched%d", again);
        mts_options o = two_steps(out.text);
        told t = {0};
        const mts_callbacks callbacks = {listen, &t};
        char *metrics = NULL;
        o.gradient_checkpointing = again == 1;
        run_folder_require(mts_train(ctx, &o, &callbacks, &metrics));
        mts_string_free(metrics);
        assert_int_equal(t.steps, STEPS);
        assert_true(t.layers > 1);
        assert_int_equal(t.forward, STEPS * BATCHES * t.layers);
        assert_int_equal(t.backward, STEPS * BATCHES * t.layers);
        assert_int_equal(t.head, STEPS * BATCHES);
    }
}

static void same_bytes(void **state)
{
    const run_path out = run_folder_path("alone"), watched = run_folder_path("watched0");
    const mts_options o = two_steps(out.text);
    char *metrics = NULL;
    (void)state;
    run_folder_require(mts_train(ctx, &o, NULL, &metrics));
    mts_string_free(metrics);
    run_folder_assert_same(out.text, watched.text, "model.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_layer), cmocka_unit_test(same_bytes)};
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
