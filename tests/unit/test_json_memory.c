/*
 * base/json_memory: each allocation of jansson fails in turn, which is told as lack of memory and
 * never as a damaged file or another value; and the host program's functions are left alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_memory.h"
#include "base/json_util.h"
#include "base/memory.h"

static mts_ctx ctx;

static void *host_malloc(size_t bytes)
{
    return malloc(bytes);
}

static void host_free(void *p)
{
    free(p);
}

static bool is_hosts(void)
{
    json_malloc_t take = NULL;
    json_free_t give = NULL;
    json_get_alloc_funcs(&take, &give);
    return take == host_malloc && give == host_free;
}

/* In a process of its own: functions that were set before the first context stay. */
static void host_before(void **state)
{
    (void)state;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mts_ctx *own = NULL;
        json_t *json = NULL;
        json_set_alloc_funcs(host_malloc, host_free);
        const bool good = mts_ctx_create(&own) == MTS_OK &&
                          json_util_parse(own, "text", "[1]", 3, &json) == MTS_OK && is_hosts();
        json_decref(json);
        mts_ctx_destroy(own);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* What was made before the first context can be freed after it, and so on: free is still free. */
static void compatible(void **state)
{
    (void)state;
    json_malloc_t take = NULL;
    json_free_t give = NULL;
    json_t *early = json_pack("{s:[i]}", "key", 1);
    char *text = json_dumps(early, 0);
    mts_ctx *own = NULL;
    assert_int_equal(mts_ctx_create(&own), MTS_OK);
    json_get_alloc_funcs(&take, &give);
    assert_true(take != malloc && give == free);
    json_decref(early);
    free(text);
    void *p = take(100);
    assert_non_null(p);
    free(p);
    mts_ctx_destroy(own);
}

static void parse_without_memory(const char *text, int64_t at_least)
{
    json_t *whole = NULL, *json = NULL;
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    assert_int_equal(json_util_parse(&ctx, "f", text, strlen(text), &whole), MTS_OK);
    for (; st != MTS_OK; n++) {
        json_memory_fail_after(n);
        st = json_util_parse(&ctx, "f", text, strlen(text), &json);
        const bool failed = json_memory_fail_after(-1) > n;
        if (st != (failed ? MTS_ERR_MEMORY : MTS_OK))
            fail_msg("allocation %d: %s: %s", (int)n, mts_status_name(st), ctx.error);
        assert_true(failed ? json == NULL : json_equal(json, whole));
    }
    assert_true(n > at_least);
    json_decref(whole);
    json_decref(json);
}

/* The lexer's buffer has 16 bytes at first and is doubled: within a string, at the quote that ends
 * it, within a number, at the byte behind it. */
static void parsing_without_memory(void **state)
{
    (void)state;
    parse_without_memory("{\"a_name_of_twenty_eight_chars\": [1, 2.5, \"x\", null], "
                         "\"more\": {\"a\": true}}",
                         15);
    parse_without_memory("[\"14 characters.\"]", 4);
    parse_without_memory("[\"20 characters ......\", \"30 characters ................\"]", 6);
    parse_without_memory("[12345678901234567, 1]", 4);
    parse_without_memory("[123456789012345, 1]", 4);
    parse_without_memory("[0.1234567890123, 1]", 4);
}

/* 0.1 takes 15 digits, unless reading them back fails. */
static void printing_without_memory(void **state)
{
    (void)state;
    json_t *json = json_pack("[f, f]", 0.1, 2.5);
    char *text = NULL;
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    for (; st != MTS_OK; n++) {
        json_memory_fail_after(n);
        st = json_util_dump(&ctx, json, 0, false, &text);
        assert_int_equal(st, json_memory_fail_after(-1) > n ? MTS_ERR_MEMORY : MTS_OK);
    }
    assert_string_equal(text, "[0.1, 2.5]");
    assert_true(n > 2);
    mem_free(text);
    json_decref(json);
}

static void host_after(void **state)
{
    (void)state;
    json_t *json = NULL;
    json_set_alloc_funcs(host_malloc, host_free);
    assert_int_equal(json_util_parse(&ctx, "f", "[1]", 3, &json), MTS_OK);
    assert_true(is_hosts());
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_before),
        cmocka_unit_test(compatible),
        cmocka_unit_test(parsing_without_memory),
        cmocka_unit_test(printing_without_memory),
        cmocka_unit_test(host_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
