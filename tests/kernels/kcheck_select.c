/*
 * Choosing a family of kernels: MANTISSA_KERNEL forces exactly the one it names, or fails and says
 * why; without it the best possible one is taken.  As a choice is kept for the life of a process,
 * each case runs in a child process.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu/cpu_features.h"
#include "kernels/kernels.h"
#if defined(__x86_64__)
#include "support/amx_emulator.h"
#endif

typedef struct answer {
    mts_status status;
    char family[32]; /* "" on failure */
    char error[512];
} answer;

/* kernels_select in this process, under MANTISSA_KERNEL = value (NULL: not set). */
static answer select_here(const char *value)
{
    answer a = {MTS_OK, "", ""};
    struct mts_ctx ctx = {{0}};
    const gemm_family *family = NULL;
    if (value != NULL)
        setenv("MANTISSA_KERNEL", value, 1);
    else
        unsetenv("MANTISSA_KERNEL");
    a.status = kernels_select(&ctx, &family);
    if (a.status == MTS_OK)
        snprintf(a.family, sizeof a.family, "%s", family->name);
    snprintf(a.error, sizeof a.error, "%.*s", (int)sizeof a.error - 1, ctx.error);
    return a;
}

/* The answer of `ask(value)`, computed in a child process. */
static answer in_child(answer (*ask)(const char *), const char *value)
{
    answer a;
    int ends[2], status = -1;
    memset(&a, 0, sizeof a);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        answer mine = ask(value);
        _exit(write(ends[1], &mine, sizeof mine) == (ssize_t)sizeof mine ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &a, sizeof a), sizeof a);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return a;
}

static void forced_is_active_or_says_why(void **state)
{
    int count = 0;
    const gemm_family *const *families = kernels_families(&count);
    (void)state;
    for (int i = 0; i < count; i++) {
        uint32_t missing = families[i]->features & ~cpu_features();
        answer a = in_child(select_here, families[i]->name);
        if (missing == 0) {
            assert_int_equal(a.status, MTS_OK);
            assert_string_equal(a.family, families[i]->name);
        } else {
            char text[128];
            cpu_features_describe(missing, text, sizeof text);
            assert_int_equal(a.status, MTS_ERR_UNSUPPORTED);
            assert_string_equal(a.family, "");
            assert_non_null(strstr(a.error, families[i]->name));
            assert_non_null(strstr(a.error, text));
        }
    }
}

static void unknown_name_fails(void **state)
{
    static const char *const names[] = {"avx9", "REF", "ref ", " ", "amx,ref"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        answer a = in_child(select_here, names[i]);
        assert_int_equal(a.status, MTS_ERR_ARGUMENT);
        assert_non_null(strstr(a.error, names[i]));
        assert_non_null(strstr(a.error, "ref"));
    }
}

static void best_without_a_name(void **state)
{
    int count = 0;
    const gemm_family *const *families = kernels_families(&count);
    const char *best = NULL;
    (void)state;
    for (int i = 0; i < count; i++)
        if ((families[i]->features & ~cpu_features()) == 0)
            best = families[i]->name;
    assert_string_equal(in_child(select_here, NULL).family, best);
    assert_string_equal(in_child(select_here, "").family, best);
}

static answer select_twice(const char *value)
{
    answer first = select_here(value), second = select_here("no-such-family");
    if (second.status != MTS_OK || strcmp(first.family, second.family) != 0)
        first.status = MTS_ERR_NUMERIC;
    return first;
}

static void choice_is_kept(void **state)
{
    (void)state;
    answer a = in_child(select_twice, "ref");
    assert_int_equal(a.status, MTS_OK);
    assert_string_equal(a.family, "ref");
}

static answer select_in_threads(const char *value)
{
    enum { THREADS = 4 };
    const gemm_family *found[THREADS] = {NULL};
    setenv("MANTISSA_KERNEL", value, 1);
#pragma omp parallel for num_threads(THREADS)
    for (int i = 0; i < THREADS; i++) {
        struct mts_ctx ctx = {{0}};
        if (kernels_select(&ctx, &found[i]) != MTS_OK)
            found[i] = NULL;
    }
    answer a = {MTS_OK, "", ""};
    for (int i = 0; i < THREADS; i++)
        if (found[i] == NULL || found[i] != found[0])
            a.status = MTS_ERR_NUMERIC;
    return a;
}

static void threads_agree(void **state)
{
    (void)state;
    assert_int_equal(in_child(select_in_threads, "").status, MTS_OK);
    assert_int_equal(in_child(select_in_threads, "ref").status, MTS_OK);
}

static void features_are_described(void **state)
{
    char text[128], cut[6];
    (void)state;
    cpu_features_describe(0, text, sizeof text);
    assert_string_equal(text, "none");
    cpu_features_describe(CPU_AVX2 | CPU_AMX_INT8, text, sizeof text);
    assert_string_equal(text, "avx2 amx_int8");
    cpu_features_describe(UINT32_MAX, text, sizeof text);
    assert_true(strlen(text) + 1 < sizeof text);
    cpu_features_describe(CPU_AVX2 | CPU_AMX_INT8, cut, sizeof cut);
    assert_string_equal(cut, "avx2 ");
    assert_int_equal(cpu_features(), cpu_features());
}

#if defined(__x86_64__)
static answer select_emulated(const char *value)
{
    if (amx_emulator_install())
        return select_here(value);
    return (answer){MTS_ERR_UNSUPPORTED, "", "no emulator"};
}

static void emulator_makes_amx_possible(void **state)
{
    (void)state;
    if ((gemm_family_amx.features & ~(cpu_features() | CPU_AMX_INT8)) != 0)
        skip();
    assert_string_equal(in_child(select_emulated, NULL).family, "amx");
    assert_string_equal(in_child(select_emulated, "amx").family, "amx");
    assert_string_equal(in_child(select_emulated, "ref").family, "ref");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forced_is_active_or_says_why),
        cmocka_unit_test(unknown_name_fails),
        cmocka_unit_test(best_without_a_name),
        cmocka_unit_test(choice_is_kept),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(features_are_described),
#if defined(__x86_64__)
        cmocka_unit_test(emulator_makes_amx_possible),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
