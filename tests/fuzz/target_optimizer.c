/*
 * optim: the arrays of a checkpoint's optimizer.safetensors, whatever numbers are in them, are
 * refused, or the optimizer can go on with them (the sanitizers watch it).
 * Input: the first byte chooses the optimizer (w, 8, s, i), then the bytes of each array with a
 * length in front; an array is filled with them again and again.
 */
#include "fuzz/fuzz_target.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "optim/optimizer.h"
#include "optim/optimizer_adamw.h"
#include "support/test_params.h"

enum { KINDS = 4, SEED_BYTES = 4096 };

static const char letters[KINDS + 1] = "w8si";
static const char *const names[KINDS] = {"adamw", "adamw_8bit", "sgd", "sgd_int16"};

static test_params make_params(int kind)
{
    test_params t = {0};
    test_params_add(&t, 3, 5, true);
    test_params_add(&t, 1, 5, false);
    if (letters[kind] == '8')
        test_params_add(&t, 2, ADAMW_8BIT_MIN / 2, true);
    test_params_fill(t.value, t.elements, 0.5f, 1);
    test_params_fill(t.grad, t.elements, 0.5f, 2);
    return t;
}

static optimizer *make_optimizer(int kind, const test_params *t)
{
    const optimizer_options options = {.class = optimizer_class_find(names[kind]),
                                       .beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .epsilon = 1e-8,
                                       .momentum = 0.9,
                                       .weight_decay = 0.01};
    optimizer *opt = NULL;
    FUZZ_REQUIRE(optimizer_create(&fuzz_ctx, &options, t->items, t->count, &opt) == MTS_OK);
    return opt;
}

static void fill(const optimizer_state *state, fuzz_bytes bytes)
{
    const size_t room = (size_t)state->count * optimizer_dtype_bytes(state->dtype);
    for (size_t at = 0; bytes.size > 0 && at < room; at += bytes.size)
        memcpy((char *)state->data + at, bytes.data,
               bytes.size < room - at ? bytes.size : room - at);
}

static void step(optimizer *opt, const test_params *t)
{
    int count;
    exec ex = test_params_exec(test_params_kernels(&count)[0], 1, 1);
    optimizer_step(&ex, opt, t->items, t->count, 1e-3, 1.0f);
}

static bool run(const uint8_t *data, size_t size)
{
    fuzz_bytes rest = {(const char *)data + 1, size - 1};
    if (size < 1)
        return false;
    const char *letter = memchr(letters, data[0], KINDS);
    const int kind = letter == NULL ? data[0] % KINDS : (int)(letter - letters);
    test_params t = make_params(kind);
    optimizer *opt = make_optimizer(kind, &t);
    for (int i = 0; i < optimizer_state_count(opt); i++) {
        const optimizer_state state = optimizer_state_at(opt, i);
        fill(&state, fuzz_take_counted(&rest));
    }
    const mts_status st = optimizer_restored(&fuzz_ctx, opt, t.items, t.count);
    if (st == MTS_OK)
        step(opt, &t);
    else
        fuzz_require_refusal(st);
    optimizer_destroy(opt);
    test_params_free(&t);
    return st == MTS_OK;
}

/* The state after two steps; of long arrays the beginning. */
static size_t make_seeds(fuzz_bytes *out, size_t room)
{
    static char seeds[KINDS][SEED_BYTES];
    FUZZ_REQUIRE(room >= KINDS);
    for (int kind = 0; kind < KINDS; kind++) {
        size_t used = 0;
        test_params t = make_params(kind);
        optimizer *opt = make_optimizer(kind, &t);
        step(opt, &t);
        step(opt, &t);
        seeds[kind][used++] = letters[kind];
        for (int i = 0; i < optimizer_state_count(opt); i++) {
            const optimizer_state state = optimizer_state_at(opt, i);
            size_t bytes = (size_t)state.count * optimizer_dtype_bytes(state.dtype);
            bytes = bytes < 128 ? bytes : 128;
            FUZZ_REQUIRE(used + 2 + bytes <= SEED_BYTES);
            seeds[kind][used++] = (char)bytes;
            seeds[kind][used++] = 0;
            memcpy(seeds[kind] + used, state.data, bytes);
            used += bytes;
        }
        out[kind] = (fuzz_bytes){seeds[kind], used};
        optimizer_destroy(opt);
        test_params_free(&t);
    }
    return KINDS;
}

static const char *const words[] = {"w",        "8",    "s",        "i",        "\xff\xff\xff\xff",
                                    "\x7f\x80", "\x80", "\xff\x7f", "\xc0\x7f", "\x80\x7f",
                                    "\x7f",     NULL};

const fuzz_target fuzz_target_optimizer = {
    .name = "optimizer",
    .run = run,
    .make_seeds = make_seeds,
    .words = words,
};
