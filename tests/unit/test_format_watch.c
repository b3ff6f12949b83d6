/*
 * Statistics of number formats: against a plain computation, and as a network gathers them.
 *
 *   sums      every group, several widths, both roundings, multipliers, strides, pieces of the rows
 *   numbers   an example by hand; matrices for which a number has no value
 *   network   the same from 1 and 3 threads and with activations computed again; nothing that
 *             trains changes; the weight is seen though an evaluation has packed it; each bit is
 *             worth 6.02 dB; all layers, by name; outliers
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "network/network_formats.h"
#include "support/test_model.h"

static mts_ctx ctx;

/* ---------------------------------------------------------------------------------- sums ---- */

enum { ROWS = 150, COLS = 133, LD = COLS + 3, SLOTS = (ROWS + 31) / 32 };

/* A matrix, its multipliers and where it is noted. */
typedef struct watch_case {
    exec ex;
    format_watch watch;
    format_record record;
    format_sums slot[SLOTS];
    float x[ROWS * LD], row_mul[ROWS], col_mul[COLS];
    char q[2 * ROWS * COLS];
    float scale[ROWS * COLS];
    qmatrix m;
    map_args args;
} watch_case;

static double power_of(test_random *r)
{
    return ldexp(1.0, (int)test_random_below(r, 9) - 4);
}

static void case_init(test_random *r, watch_case *c, int bits, group_kind group, bool stochastic)
{
    const num_format format = test_format_dfp(bits, group, stochastic);
    *c = (watch_case){.m = {ROWS, COLS, bits, group, c->q, c->scale}};
    test_exec_init(&c->ex, &format, 3);
    assert_int_equal(arena_init(&ctx, &c->ex.scratch, 1 << 16, "scratch"), MTS_OK);
    c->ex.watch = &c->watch;
    c->record = (format_record){.slot = c->slot, .slots = SLOTS};
    for (int64_t i = 0; i < ROWS * LD; i++) {
        const bool is_zero = test_random_below(r, 8) == 0;
        c->x[i] = is_zero ? 0.0f : (float)(test_random_normal(r) * power_of(r));
    }
    for (int64_t i = 0; i < ROWS; i++)
        c->row_mul[i] = (float)power_of(r);
    for (int64_t j = 0; j < COLS; j++)
        c->col_mul[j] = test_random_below(r, 8) == 0 ? 0.0f : (float)power_of(r);
    c->args = (map_args){.key = rng_make_key(1, 2, 3, RNG_ROUND_WEIGHT),
                         .row_mul = group == GROUP_COLUMN ? c->row_mul : NULL,
                         .col_mul = group == GROUP_ROW ? c->col_mul : NULL,
                         .stochastic = stochastic,
                         .what = "it",
                         .where = "the test",
                         .record = &c->record};
}

static void case_deinit(watch_case *c)
{
    test_exec_deinit(&c->ex);
}

static int64_t scale_index(const qmatrix *m, int64_t i, int64_t j)
{
    const int64_t of_group[] = {[GROUP_TENSOR] = 0,
                                [GROUP_ROW] = i,
                                [GROUP_COLUMN] = j,
                                [GROUP_BLOCK] = i / 64 * ((COLS + 63) / 64) + j / 64};
    return of_group[m->group];
}

/* The definitions of format_watch.h, element by element. */
static format_sums plain_sums(const watch_case *c)
{
    const map_args *a = &c->args;
    const int32_t limit = (1 << (c->m.bits - 1)) - 1;
    long double signal = 0.0L, noise = 0.0L;
    format_sums s = {.elements = ROWS * COLS};
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < COLS; j++) {
            const double row = a->row_mul == NULL ? 1.0 : (double)a->row_mul[i];
            const double col = a->col_mul == NULL ? 1.0 : (double)a->col_mul[j];
            const double x = (double)c->x[i * LD + j] * row * col;
            const int64_t at = i * COLS + j;
            const int32_t q =
                c->m.bits <= 8 ? ((const int8_t *)c->m.q)[at] : ((const int16_t *)c->m.q)[at];
            const double error = x - q * (double)c->m.scale[scale_index(&c->m, i, j)];
            if (x == 0.0)
                continue;
            s.nonzero++;
            s.zero += q == 0;
            s.saturated += q == limit || q == -limit;
            for (int32_t rest = q < 0 ? -q : q; rest > 0; rest /= 2)
                s.digits++;
            signal += (long double)x * (long double)x;
            noise += (long double)error * (long double)error;
        }
    s.signal = (double)signal;
    s.noise = (double)noise;
    return s;
}

static format_sums all_slots(const watch_case *c)
{
    format_sums all = {0};
    for (int64_t s = 0; s < SLOTS; s++) {
        const format_sums *one = &c->slot[s];
        all.elements += one->elements;
        all.nonzero += one->nonzero;
        all.saturated += one->saturated;
        all.zero += one->zero;
        all.digits += one->digits;
        all.signal += one->signal;
        all.noise += one->noise;
    }
    return all;
}

static void assert_sums(const watch_case *c)
{
    const format_sums found = all_slots(c), expected = plain_sums(c);
    assert_int_equal(found.elements, expected.elements);
    assert_int_equal(found.nonzero, expected.nonzero);
    assert_int_equal(found.saturated, expected.saturated);
    assert_int_equal(found.zero, expected.zero);
    assert_int_equal(found.digits, expected.digits);
    assert_true(fabs(found.signal - expected.signal) <= 1e-12 * expected.signal);
    assert_true(fabs(found.noise - expected.noise) <= 1e-12 * expected.noise);
    assert_true(expected.zero > 0 && expected.nonzero < ROWS * COLS);
}

/* Map rows [begin, end) as a part of the whole. */
static void map_rows(watch_case *c, int64_t begin, int64_t end)
{
    qmatrix part = c->m.group == GROUP_COLUMN ? c->m : qmatrix_rows(&c->m, begin, end);
    c->args.first_row = begin;
    qmatrix_map(&c->ex, &part, c->x + begin * LD, LD, &c->args);
    c->args.first_row = 0;
}

static void sums_of_every_group(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_COLUMN, GROUP_BLOCK};
    static const int widths[] = {4, 7, 8, 9};
    static watch_case c;
    static format_sums whole[SLOTS];
    test_random r = test_random_make("sums");
    (void)state;
    int saturated = 0;
    for (int g = 0; g < 4; g++)
        for (int k = 0; k < 8; k++) {
            case_init(&r, &c, widths[k / 2], groups[g], k % 2 == 1);
            map_rows(&c, 0, ROWS);
            assert_sums(&c);
            saturated += all_slots(&c).saturated > 0;
            memcpy(whole, c.slot, sizeof whole);
            /* by pieces, one of them twice: the same bits */
            memset(c.slot, 0, sizeof c.slot);
            if (groups[g] == GROUP_ROW || groups[g] == GROUP_BLOCK) {
                map_rows(&c, 128, ROWS);
                map_rows(&c, 0, 128);
                map_rows(&c, 64, 128);
                assert_memory_equal(whole, c.slot, sizeof whole);
            }
            /* not watched */
            memset(c.slot, 0, sizeof c.slot);
            c.ex.watch = NULL;
            map_rows(&c, 0, ROWS);
            assert_int_equal(all_slots(&c).elements, 0);
            case_deinit(&c);
        }
    assert_true(saturated >= 16); /* of 32 */
}

/* ------------------------------------------------------------------------------- numbers ---- */

/* Four bits, limit 7, unit 1: mantissas 0, 0, 1, 4, 7, -7 of 0, 0.25, 1.25, 4, 7.875, -7. */
static void example(void **state)
{
    static const float x[] = {0.0f, 0.25f, 1.25f, 4.0f, 7.875f, -7.0f};
    const num_format format = test_format_dfp(4, GROUP_TENSOR, false);
    format_watch watch = {0};
    format_sums slot = {0};
    const format_record record = {.slot = &slot, .slots = 1};
    const map_args args = {.what = "it", .where = "the test", .record = &record};
    int8_t q[6];
    float scale;
    qmatrix m = {1, 6, 4, GROUP_TENSOR, q, &scale};
    exec ex;
    (void)state;
    test_exec_init(&ex, &format, 1);
    ex.watch = &watch;
    qmatrix_map(&ex, &m, x, 6, &args);
    const format_quality found = format_quality_of(&slot);
    const double signal = 0.0625 + 1.5625 + 16.0 + 62.015625 + 49.0;
    const double noise = 0.0625 + 0.0625 + 0.765625;
    assert_true(found.saturated == 2.0 / 5.0);
    assert_true(found.zero == 1.0 / 5.0);
    assert_true(found.effective_bits == 1.0 + (0 + 1 + 3 + 3 + 3) / 5.0);
    assert_true(fabs(found.snr_db - 10.0 * log10(signal / noise)) < 1e-12);
}

static void no_value(void **state)
{
    const format_sums zeros = {.elements = 9};
    const format_sums exact = {.elements = 9, .nonzero = 3, .digits = 6, .signal = 2.0};
    format_quality q = format_quality_of(&zeros);
    (void)state;
    assert_true(isnan(q.saturated) && isnan(q.zero) && isnan(q.effective_bits) && isnan(q.snr_db));
    q = format_quality_of(&exact);
    assert_true(q.saturated == 0.0 && q.zero == 0.0 && q.effective_bits == 3.0 && isnan(q.snr_db));
}

/* ------------------------------------------------------------------------------- network ---- */

enum { LAYERS = 2, LINEAR_LAYERS = 4 * LAYERS + 2 };

/* Several pieces of rows (128 tokens), layers whose weights have several slots. */
static const test_shape shape = {.width = 48,
                                 .intermediate = 80,
                                 .layers = LAYERS,
                                 .sequences = 8,
                                 .lengths = {16, 16, 16, 16, 16, 16, 16, 16},
                                 .watch_formats = true};
static const dropout_rates dropout = {0.1f, 0.1f, 0.1f, 0.0f};

/* All totals of a network. */
typedef struct totals {
    format_sums of[LINEAR_LAYERS][WATCHED_MATRICES];
} totals;

static totals take_totals(const network *net)
{
    totals t = {0};
    int n = 0;
    for (const layer_watch *l = net->watch->first; l != NULL; l = l->next, n++) {
        assert_true(n < LINEAR_LAYERS);
        for (int k = 0; k < WATCHED_MATRICES; k++)
            t.of[n][k] = l->record[k].total;
    }
    assert_int_equal(n, LINEAR_LAYERS);
    return t;
}

/* Two batches, the gradients of both, after an evaluation that has packed the weights; grads NULL:
 * not wanted. */
static totals learn(const test_shape *s, const num_format *format, int threads, bool watch,
                    float **grads)
{
    test_bert t;
    test_bert_init(&t, s, format, threads, &dropout);
    test_set_outliers(&t.net->ex, 5);
    test_bert_evaluate(&t);
    network_watch_formats(t.net, watch);
    for (int batch = 0; batch < 2; batch++) {
        t.pass = (network_pass){.accumulate = batch > 0, .step = (uint64_t)batch};
        (void)network_learn(t.net, &t.pass, &t.in, &t.targets, 0.5f);
    }
    network_watch_formats(t.net, false);
    test_bert_evaluate(&t); /* not watched any more */
    const totals all = t.net->watch == NULL ? (totals){0} : take_totals(t.net);
    if (grads != NULL) {
        *grads = test_floats(t.net->params.elements);
        memcpy(*grads, t.net->params.grad, (size_t)t.net->params.elements * sizeof **grads);
    }
    test_bert_deinit(&t);
    return all;
}

static num_format some_format(int index)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK, GROUP_ROW};
    num_format f = test_format_dfp(8, groups[index], false);
    f.rounding = ROUNDING_MIXED;
    f.outlier_bits = index == 3 ? 12 : 0;
    f.outlier_threshold = 5.0f;
    return f;
}

static void threads_and_again(void **state)
{
    (void)state;
    for (int f = 0; f < 4; f++) {
        const num_format format = some_format(f);
        test_shape again = shape;
        again.recompute = true;
        const totals one = learn(&shape, &format, 1, true, NULL);
        const totals three = learn(&shape, &format, 3, true, NULL);
        const totals twice = learn(&again, &format, 2, true, NULL);
        assert_memory_equal(&one, &three, sizeof one);
        assert_memory_equal(&one, &twice, sizeof one);
    }
}

/* Elements of the two batches; the weight once.  In the order of binding. */
static void every_element_once(void **state)
{
    const int64_t tokens = 2 * 128, rows = 2 * 8, d = shape.width, h = shape.intermediate;
    const int64_t in[4] = {d, d, d, h}, out[4] = {3 * d, d, h, d};
    (void)state;
    for (int f = 0; f < 4; f++) {
        const num_format format = some_format(f);
        const totals t = learn(&shape, &format, 2, true, NULL);
        for (int n = 0; n < LINEAR_LAYERS; n++) {
            const bool in_head = n >= 4 * LAYERS, last = n == LINEAR_LAYERS - 1;
            const int64_t i = in_head ? d : in[n % 4], o = last ? 3 : in_head ? d : out[n % 4];
            const int64_t vectors = in_head ? rows : tokens;
            assert_int_equal(t.of[n][WATCHED_INPUT].elements, vectors * i);
            assert_int_equal(t.of[n][WATCHED_WEIGHT].elements, i * o);
            assert_int_equal(t.of[n][WATCHED_GRADIENT_INPUT].elements, vectors * o);
            assert_int_equal(t.of[n][WATCHED_GRADIENT_WEIGHT].elements, vectors * o);
            assert_int_equal(t.of[n][WATCHED_OUTLIERS].elements, f == 3 ? 5 * vectors : 0);
            if (format.group != GROUP_ROW) /* one map for both products */
                assert_memory_equal(&t.of[n][WATCHED_GRADIENT_INPUT],
                                    &t.of[n][WATCHED_GRADIENT_WEIGHT], sizeof(format_sums));
        }
    }
}

/* The gradients are the same bits watched, not watched, and without the means to watch. */
static void nothing_changes(void **state)
{
    (void)state;
    for (int f = 0; f < 4; f++) {
        const num_format format = some_format(f);
        const totals none = {0};
        test_shape plain = shape;
        float *grads[3];
        plain.watch_formats = false;
        (void)learn(&shape, &format, 2, true, &grads[0]);
        const totals off = learn(&shape, &format, 2, false, &grads[1]);
        (void)learn(&plain, &format, 2, true, &grads[2]);
        test_bert t;
        test_bert_init(&t, &plain, &format, 1, NULL);
        const int64_t n = t.net->params.elements;
        test_bert_deinit(&t);
        assert_memory_equal(&off, &none, sizeof off);
        test_assert_same("watched", grads[0], grads[2], n);
        test_assert_same("not watched", grads[1], grads[2], n);
        for (int i = 0; i < 3; i++)
            mem_free(grads[i]);
    }
}

/* Four bits more: 24.08 dB in every matrix of the encoder, and at most four effective bits (fewer,
 * where elements were far below one unit). */
static void bits_are_worth_decibels(void **state)
{
    num_format narrow = some_format(1), wide = test_format_dfp(12, GROUP_ROW, false);
    double sum = 0.0;
    int count = 0;
    (void)state;
    wide.rounding = ROUNDING_MIXED;
    const totals a = learn(&shape, &narrow, 2, true, NULL), b = learn(&shape, &wide, 2, true, NULL);
    for (int n = 0; n < 4 * LAYERS; n++)
        for (int k = 0; k < WATCHED_MATRICES; k++) {
            if (k == WATCHED_OUTLIERS)
                continue;
            const format_quality x = format_quality_of(&a.of[n][k]);
            const format_quality y = format_quality_of(&b.of[n][k]);
            const double more = y.snr_db - x.snr_db;
            const double digits = y.effective_bits - x.effective_bits;
            if (!(fabs(more - 24.08) < 1.5) || !(digits > 2.0 && digits < 4.05))
                fail_msg("layer %d, matrix %d: %.2f dB, %.2f bits", n, k, more, digits);
            assert_true(y.zero < x.zero || x.zero == 0.0);
            sum += more;
            count++;
        }
    printf("  12 bits against 8: %.2f dB more on average\n", sum / count);
    assert_true(fabs(sum / count - 24.08) < 0.3);
}

static double number_at(const json_t *layer, const char *matrix, const char *key)
{
    const json_t *value = json_object_get(json_object_get(layer, matrix), key);
    if (!json_is_number(value))
        fail_msg("no number %s of %s", key, matrix);
    return json_number_value(value);
}

/* What is told: every layer by its name, the matrices that there are, rounded numbers. */
static void described(void **state)
{
    static const char *const names[LINEAR_LAYERS] = {
        "encoder.layer.0.attention.self.query_key_value",
        "encoder.layer.0.attention.output.dense",
        "encoder.layer.0.intermediate.dense",
        "encoder.layer.0.output.dense",
        "encoder.layer.1.attention.self.query_key_value",
        "encoder.layer.1.attention.output.dense",
        "encoder.layer.1.intermediate.dense",
        "encoder.layer.1.output.dense",
        "pooler.dense",
        "classifier"};
    (void)state;
    for (int f = 1; f < 4; f += 2) { /* without outliers, with them */
        const num_format format = some_format(f);
        test_bert t;
        json_t *all = NULL;
        test_bert_init(&t, &shape, &format, 2, NULL);
        test_set_outliers(&t.net->ex, 5);
        network_watch_formats(t.net, true);
        (void)network_learn(t.net, &t.pass, &t.in, &t.targets, 1.0f);
        assert_int_equal(network_describe_formats(&ctx, t.net, &all), MTS_OK);
        assert_int_equal(json_object_size(all), LINEAR_LAYERS);
        const layer_watch *watch = t.net->watch->first;
        for (int n = 0; n < LINEAR_LAYERS; n++, watch = watch->next) {
            const json_t *layer = json_object_get(all, names[n]);
            const format_quality q = format_quality_of(&watch->record[WATCHED_WEIGHT].total);
            assert_int_equal(json_object_size(layer), f == 3 ? 5 : 4);
            assert_true(fabs(number_at(layer, "weight", "snr_db") - q.snr_db) <= 0.5e-4 + 1e-12);
            assert_true(fabs(number_at(layer, "weight", "zero") - q.zero) <= 0.5e-9 + 1e-12);
            assert_true(number_at(layer, "gradient_input", "effective_bits") > 1.0);
            assert_true(number_at(layer, "gradient_weight", "saturated") >= 0.0);
            if (f == 3) {
                assert_true(number_at(layer, "input", "outliers") == 5.0);
                assert_true(number_at(layer, "input_outliers", "snr_db") >
                            number_at(layer, "input", "snr_db") + 15.0);
            } else {
                assert_null(json_object_get(json_object_get(layer, "input"), "outliers"));
            }
        }
        json_decref(all);
        network_watch_formats(t.net, false);
        test_bert_deinit(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_every_group),
        cmocka_unit_test(example),
        cmocka_unit_test(no_value),
        cmocka_unit_test(threads_and_again),
        cmocka_unit_test(every_element_once),
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(bits_are_worth_decibels),
        cmocka_unit_test(described),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
