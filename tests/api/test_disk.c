/*
 * A disk that is full: told before the first step, and where it fills later the trained model is
 * kept.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "support/test_copy.h"
#include "support/run_folder.h"
#include "base/disk_room.h"
#include "train/disk_space.h"

enum { STEPS = 6, TEXT_BYTES = 2048 };

/* What a run told, and what is to be done to its folder after the step `at`. */
typedef struct told {
    char notes[TEXT_BYTES];
    const char *block; /* a file is put here, where a folder would be made; or NULL */
    const char *spoil; /* a folder is put in the place of this file; or NULL */
    int64_t at, steps, checkpoints;
} told;

static bool listen(void *user, const mts_event *e)
{
    told *t = user;
    if (e->kind == MTS_EVENT_NOTE) {
        const size_t n = strlen(t->notes);
        snprintf(t->notes + n, sizeof t->notes - n, "%s\n", e->text);
    }
    t->checkpoints += e->kind == MTS_EVENT_CHECKPOINT;
    if (e->kind != MTS_EVENT_STEP || ++t->steps != t->at)
        return true;
    if (t->block != NULL) {
        FILE *file = fopen(t->block, "wb");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    if (t->spoil != NULL) {
        assert_int_equal(unlink(t->spoil), 0);
        assert_int_equal(file_make_dirs(ctx, t->spoil), MTS_OK);
    }
    return true;
}

static mts_options six_steps(const char *output_dir)
{
    mts_options o = run_folder_options();
    o.max_steps = STEPS;
    o.save_steps = 2;
    o.do_eval = 0;
    o.output_dir = output_dir;
    return o;
}

static mts_status train(const mts_options *o, told *t)
{
    const mts_callbacks callbacks = {listen, t};
    *t = (told){.at = t->at, .block = t->block, .spoil = t->spoil};
    return mts_train(ctx, o, &callbacks, NULL);
}

static void expect(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, text);
}

static void test_need(void **state)
{
    const disk_need none = {.model = 100, .checkpoint = 300};
    const disk_need one = {.model = 100, .checkpoint = 300, .checkpoints = 1, .at_once = 1};
    const disk_need many = {.model = 100, .checkpoint = 300, .checkpoints = 9, .at_once = 9};
    (void)state;
    assert_int_equal(disk_space_least(&none), 100);
    assert_int_equal(disk_space_whole(&none), 100);
    assert_int_equal(disk_space_least(&one), 400);
    assert_int_equal(disk_space_whole(&one), 400);
    assert_int_equal(disk_space_least(&many), 700);
    assert_int_equal(disk_space_whole(&many), 2800);
}

/* The bytes of all files in the folder. */
static uint64_t folder_bytes(const char *dir)
{
    uint64_t bytes = 0;
    file_list list;
    assert_int_equal(file_list_dir(ctx, dir, &list), MTS_OK);
    for (size_t i = 0; i < list.count; i++) {
        char path[RUN_PATH_BYTES + 256];
        snprintf(path, sizeof path, "%s/%s", dir, list.names[i]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fseek(file, 0, SEEK_END), 0);
        bytes += (uint64_t)ftell(file);
        fclose(file);
    }
    file_list_deinit(&list);
    return bytes;
}

/* The smallest room that a run starts with, found by asking; it is what the run then writes, but
 * for the small files. */
static int64_t smallest_room(const mts_options *o)
{
    int64_t low = 0, high = INT64_C(1) << 30;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        told t = {0};
        disk_room_pretend(middle);
        mts_options one = *o;
        one.max_steps = 1;
        const mts_status st = train(&one, &t);
        if (st == MTS_OK)
            high = middle;
        else
            low = middle + 1;
        assert_true(st == MTS_OK || (st == MTS_ERR_IO && t.steps == 0));
    }
    disk_room_pretend(-1);
    return low;
}

static void test_room_is_what_is_written(void **state)
{
    static const char *const optimizers[] = {"adamw", "adamw_8bit", "sgd", "sgd_int16"};
    const run_path out = run_folder_path("room"), last = run_folder_path("room/checkpoint-1");
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        told t = {0};
        mts_options o = six_steps(out.text);
        o.optim = optimizers[i];
        o.overwrite_output_dir = true;
        o.max_steps = 1;
        assert_int_equal(train(&o, &t), MTS_OK);
        const int64_t checkpoint = (int64_t)folder_bytes(last.text);
        assert_int_equal(file_remove_tree(ctx, out.text), MTS_OK);
        o.save_strategy = "no";
        const int64_t alone = smallest_room(&o);
        const int64_t weights = (int64_t)folder_bytes(out.text);
        assert_int_equal(file_remove_tree(ctx, out.text), MTS_OK);
        o.save_strategy = "steps";
        disk_room_pretend(alone + checkpoint - (INT64_C(64) << 10));
        assert_int_equal(train(&o, &t), MTS_ERR_IO); /* without the margin for small files */
        expect(mts_error_text(ctx), " of the model and a checkpoint: make room");
        disk_room_pretend(alone + checkpoint + (INT64_C(1) << 20));
        assert_int_equal(train(&o, &t), MTS_OK);
        disk_room_pretend(-1);
        assert_true(alone >= weights && alone < weights + (INT64_C(2) << 20));
        assert_int_equal(file_remove_tree(ctx, out.text), MTS_OK);
    }
}

/* Nothing was begun, and what was there is as before; with fewer checkpoints it fits. */
static void test_refused_before_the_first_step(void **state)
{
    const run_path out = run_folder_path("out"), kept = run_folder_path("out/model.safetensors");
    const run_path copy = run_folder_path("copy");
    mts_options o = six_steps(out.text);
    told t = {0};
    (void)state;
    assert_int_equal(train(&o, &t), MTS_OK);
    assert_int_equal(t.checkpoints, 3);
    assert_int_equal(test_copy_file(ctx, kept.text, copy.text), MTS_OK);
    o.overwrite_output_dir = true;
    o.save_strategy = "no";
    o.seed = 7;
    disk_room_pretend(0);
    const run_path other = run_folder_path("other");
    o.output_dir = other.text;
    assert_int_equal(train(&o, &t), MTS_ERR_IO);
    expect(mts_error_text(ctx), "the disk has room for 0 MB, less than the ");
    assert_int_equal(t.steps, 0);
    o.output_dir = out.text; /* its checkpoints are removed first, and are room enough */
    assert_int_equal(train(&o, &t), MTS_OK);
    assert_false(run_folder_same(kept.text, copy.text));
    assert_int_equal(test_copy_file(ctx, kept.text, copy.text), MTS_OK);
    o.seed = 8; /* now there are none */
    assert_int_equal(train(&o, &t), MTS_ERR_IO);
    assert_true(run_folder_same(kept.text, copy.text));

    o.save_strategy = "steps";
    o.save_steps = 1;
    disk_room_pretend(INT64_C(5) << 20); /* of seven folders of more than 1 MB not all */
    assert_int_equal(train(&o, &t), MTS_OK);
    expect(t.notes, "the model and 6 checkpoints will need ");
    expect(t.notes, "give --save_total_limit");
    disk_room_pretend(INT64_C(64) << 20);
    assert_int_equal(train(&o, &t), MTS_OK);
    assert_null(strstr(t.notes, "--save_total_limit"));
    disk_room_pretend(-1);
}

/* The folder of which an error's text says that the model is there. */
static run_path find_rescued(const char *text)
{
    static const char before[] = "does not take the trained model, it is in ";
    const char *begin = strstr(text, before);
    if (begin == NULL)
        fail_msg("no folder is named: %s", text);
    begin += strlen(before);
    const char *end = strstr(begin, " instead: ");
    assert_non_null(end);
    run_path path;
    snprintf(path.text, sizeof path.text, "%.*s", (int)(end - begin), begin);
    return path;
}

/* The last write fails: the model is below /tmp, with all that belongs to it. */
static void test_the_trained_model_is_kept(void **state)
{
    const run_path plain = run_folder_path("plain"), out = run_folder_path("blocked");
    const run_path block = run_folder_path("blocked/tmp-checkpoint-%d-%d", STEPS, (int)getpid());
    mts_options o = six_steps(plain.text);
    told t = {0};
    (void)state;
    o.save_strategy = "no";
    assert_int_equal(train(&o, &t), MTS_OK);
    o.output_dir = out.text;
    t = (told){.at = STEPS, .block = block.text};
    assert_true(train(&o, &t) != MTS_OK);
    assert_int_equal(t.steps, STEPS);
    const run_path kept = find_rescued(mts_error_text(ctx));
    run_folder_assert_same(plain.text, kept.text, "model.safetensors");
    run_folder_assert_same(plain.text, kept.text, "config.json");
    run_folder_assert_same(plain.text, kept.text, "vocab.txt");
    assert_int_equal(file_remove_tree(ctx, kept.text), MTS_OK);
}

/* A log that cannot be written is told once, and the training goes on. */
static void test_the_log_ends_alone(void **state)
{
    const run_path plain = run_folder_path("logged"), out = run_folder_path("spoilt");
    const run_path log = run_folder_path("spoilt/metrics.jsonl");
    mts_options o = six_steps(plain.text);
    told t = {0};
    (void)state;
    assert_int_equal(train(&o, &t), MTS_OK);
    o.output_dir = out.text;
    t = (told){.at = 2, .spoil = log.text};
    assert_int_equal(train(&o, &t), MTS_OK);
    const char *note = strstr(t.notes, "training goes on without it");
    assert_non_null(note);
    assert_null(strstr(note + 1, "training goes on without it"));
    run_folder_assert_same(plain.text, out.text, "model.safetensors");
}

/* The last checkpoint fails, the model does not. */
static void test_the_last_checkpoint(void **state)
{
    const run_path plain = run_folder_path("whole"), out = run_folder_path("lacking");
    const run_path block = run_folder_path("lacking/checkpoint-%d", STEPS);
    mts_options o = six_steps(plain.text);
    told t = {0};
    (void)state;
    assert_int_equal(train(&o, &t), MTS_OK);
    o.output_dir = out.text;
    t = (told){.at = STEPS, .block = block.text};
    assert_int_equal(train(&o, &t), MTS_OK);
    expect(t.notes, "no checkpoint of the last step: ");
    assert_int_equal(t.checkpoints, 2);
    run_folder_assert_same(plain.text, out.text, "model.safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_need),
        cmocka_unit_test(test_room_is_what_is_written),
        cmocka_unit_test(test_refused_before_the_first_step),
        cmocka_unit_test(test_the_trained_model_is_kept),
        cmocka_unit_test(test_the_log_ends_alone),
        cmocka_unit_test(test_the_last_checkpoint),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
