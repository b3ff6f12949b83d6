/*
 * tensor/param: parameters as they are declared, and what a frozen one does not have.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "support/test_check.h"
#include "tensor/param.h"

static mts_ctx ctx;

enum { MANY = 300 };

/* Values lie in the order of declaration, gradients likewise, but for those of frozen ones. */
static void test_frozen_has_no_gradient(void **state)
{
    param_list list = {0};
    (void)state;
    param *a = param_declare(&list, PARAM_WEIGHT, 2, 3, "layer.%d.weight", 7);
    param *b = param_declare(&list, PARAM_WEIGHT, 5, 4, "frozen");
    param *c = param_declare(&list, PARAM_BIAS, 0, 6, "bias");
    param_freeze(b);
    param_freeze(NULL); /* what could not be declared */
    assert_int_equal(param_list_trained_elements(&list), 6 + 6);
    assert_ok(param_list_allocate(&ctx, &list, true));
    assert_string_equal(a->name, "layer.7.weight");
    assert_int_equal(list.elements, 6 + 20 + 6);
    assert_ptr_equal(b->value, a->value + 6);
    assert_ptr_equal(c->value, b->value + 20);
    assert_null(b->grad);
    assert_ptr_equal(c->grad, a->grad + 6);
    assert_int_equal(list.trained_count, 2); /* for the optimizer and its checkpoint */
    assert_ptr_equal(list.trained[0], a);
    assert_ptr_equal(list.trained[1], c);
    assert_true(a->decay && !c->decay && !a->vector && c->vector);
    param_list_deinit(&list);
}

/* Without training nothing has a gradient. */
static void test_without_gradients(void **state)
{
    param_list list = {0};
    (void)state;
    param *a = param_declare(&list, PARAM_WEIGHT, 2, 3, "a");
    assert_ok(param_list_allocate(&ctx, &list, false));
    assert_null(a->grad);
    assert_null(list.grad);
    param_list_deinit(&list);
}

/* Whether element i of p is trained, by the definition. */
static bool is_trained(const param *p, int64_t i)
{
    const int64_t k = p->ranks == PARAM_RANKS_ROWS ? i / p->cols : i % p->cols;
    return p->ranks == PARAM_RANKS_NONE || p->end_rank == 0 ||
           (k >= p->first_rank && k < p->end_rank);
}

/* The runs of every piece cover what is trained, rising, and nothing else. */
static void check_runs(const param *p)
{
    const int64_t size = param_size(p);
    for (int64_t begin = 0; begin < size; begin++)
        for (int64_t end = begin + 1; end <= size; end++) {
            bool seen[64] = {false};
            int64_t at = begin, n = 0, last = begin;
            while (param_next_trained(p, end, &at, &n)) {
                assert_true(n > 0 && at >= last && at + n <= end);
                for (int64_t i = at; i < at + n; i++)
                    seen[i] = true;
                last = at + n;
            }
            for (int64_t i = begin; i < end; i++)
                assert_true(seen[i] == is_trained(p, i));
        }
}

static void test_ranks_of_a_step(void **state)
{
    (void)state;
    for (int ranks = PARAM_RANKS_NONE; ranks <= PARAM_RANKS_COLS; ranks++)
        for (int64_t end = 0; end <= 5; end++)
            for (int64_t first = 0; first < end || first == 0; first++) {
                param p = {.rows = ranks == PARAM_RANKS_ROWS ? 5 : 7,
                           .cols = ranks == PARAM_RANKS_ROWS ? 7 : 5,
                           .ranks = (param_ranks)ranks,
                           .first_rank = first,
                           .end_rank = end};
                check_runs(&p);
            }
}

/* Each allocation fails once: told at the end, nothing leaks. */
static void test_failing_memory(void **state)
{
    bool done = false;
    (void)state;
    for (int n = 0; !done; n++) {
        param_list list = {0};
        mem_fail_after(n);
        for (int i = 0; i < MANY; i++)
            param_freeze(param_declare(&list, PARAM_WEIGHT, 1, 2, "p%d", i));
        const mts_status st = param_list_allocate(&ctx, &list, true);
        mem_fail_after(-1);
        done = st == MTS_OK;
        assert_true(done || st == MTS_ERR_MEMORY);
        assert_true(!done || (list.count == MANY && list.trained_count == 0));
        param_list_deinit(&list);
    }
}

/* A kind of storage that notes which matrices, by their rows, are wanted; each is 3 MiB. */
static int64_t wanted[8], wanted_count;

static size_t note_wanted(const stored_matrix *m)
{
    wanted[wanted_count++] = m->rows;
    return 3 << 20;
}

static const stored_class noted = {.want = note_wanted};

static param *declare_streamed(param_list *list, int64_t rows)
{
    param *p = param_declare(list, PARAM_WEIGHT, rows, 2, "w%d", (int)rows);
    p->storage = PARAM_STREAMED;
    p->stored = (stored_matrix){.class = &noted, .rows = rows};
    return p;
}

/* Reading ahead goes the way of the pass, past what is in memory, and not over all of the model. */
static void test_read_ahead(void **state)
{
    param_list list = {0};
    param *p[8];
    (void)state;
    for (int i = 0; i < 8; i++) {
        p[i] = declare_streamed(&list, i + 1);
        (void)param_declare(&list, PARAM_NORM, 0, 9, "norm%d", i);
    }
    param_read_ahead(p[2], 3, false);
    assert_int_equal(wanted_count, 3); /* 8 MiB are less than three of them */
    for (int i = 0; i < 3; i++)
        assert_int_equal(wanted[i], 4 + i);
    wanted_count = 0;
    param_read_ahead(p[2], 3, true);
    assert_int_equal(wanted_count, 2); /* there are no more */
    assert_true(wanted[0] == 2 && wanted[1] == 1);
    wanted_count = 0;
    param_read_ahead(p[7], 8, false);
    param_read_ahead(p[0], 1, true);
    assert_int_equal(wanted_count, 0);
    param_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frozen_has_no_gradient),
        cmocka_unit_test(test_without_gradients),
        cmocka_unit_test(test_failing_memory),
        cmocka_unit_test(test_ranks_of_a_step),
        cmocka_unit_test(test_read_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
