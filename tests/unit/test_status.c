/*
 * Error texts: what does not fit is cut off between two characters, in every place and at every
 * length; prefixes; control characters.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "base/utf8.h"

enum { ROOM = sizeof((mts_ctx *)0)->error };

/* n letters and then characters of 1 to 4 bytes, far more than fit. */
static const char *long_text(size_t n)
{
    static const char *const characters[] = {"x", "\u00e9", "\u4e2d", "\U0001f44d"};
    static char text[3 * ROOM + 8];
    memset(text, 'a', n);
    text[n] = '\0';
    for (size_t i = 0; strlen(text) < 2 * ROOM; i++)
        strcat(text, characters[i % 4]);
    return text;
}

/* The text is the start of `whole`, is UTF-8, and no further character would have fitted. */
static void check_cut(const mts_ctx *ctx, const char *whole)
{
    const size_t n = strlen(ctx->error);
    assert_true(n < ROOM && n >= ROOM - UTF8_MAX_BYTES);
    assert_true(utf8_is_valid(ctx->error, n, NULL));
    assert_memory_equal(ctx->error, whole, n);
    int32_t code;
    const size_t next = utf8_decode(whole + n, strlen(whole + n), &code);
    assert_true(n + next > ROOM - 1);
}

static void test_long_texts(void **state)
{
    (void)state;
    for (size_t n = 0; n < 24; n++) {
        mts_ctx ctx = {""};
        assert_int_equal(status_set(&ctx, MTS_ERR_IO, "%s", long_text(n)), MTS_ERR_IO);
        check_cut(&ctx, long_text(n));
    }
}

static void test_long_prefixes(void **state)
{
    (void)state;
    static char whole[4 * ROOM];
    for (size_t n = 0; n < 24; n++) {
        mts_ctx ctx = {""};
        status_set(&ctx, MTS_ERR_IO, "%.*s", ROOM - 30, long_text(0));
        ctx.error[utf8_whole(ctx.error, strlen(ctx.error))] = '\0';
        snprintf(whole, sizeof whole, "%.*s: %s", (int)(60 + n), long_text(100), ctx.error);
        status_prefix(&ctx, "%.*s", (int)(60 + n), long_text(100));
        check_cut(&ctx, whole);
    }
    mts_ctx ctx = {"text"};
    status_prefix(&ctx, "%s", long_text(0)); /* no room beside it */
    assert_string_equal(ctx.error, "text");
}

static void test_short_texts(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    assert_int_equal(status_set(&ctx, MTS_ERR_BAD_FILE, "caf\u00e9\n%d\x7f", 7), MTS_ERR_BAD_FILE);
    assert_string_equal(ctx.error, "caf\u00e9?7?");
    status_prefix(&ctx, "line\t%d", 3);
    assert_string_equal(ctx.error, "line?3: caf\u00e9?7?");
    assert_int_equal(status_set(NULL, MTS_ERR_IO, "x"), MTS_ERR_IO);
    status_prefix(NULL, "x");
    /* exactly full: nothing is cut; half a character, there before or left by a width, is '?' */
    char full[ROOM];
    memset(full, 'a', ROOM - 1);
    full[ROOM - 1] = '\0';
    full[ROOM - 2] = '\xc3';
    status_set(&ctx, MTS_ERR_IO, "%s", full);
    full[ROOM - 2] = '?';
    assert_string_equal(ctx.error, full);
    status_set(&ctx, MTS_ERR_IO, "%.5s: %s", "a\u4e2d\u4e2d", "\xff\u00e9");
    assert_string_equal(ctx.error, "a\u4e2d?: ?\u00e9");
}

static void test_whole_characters(void **state)
{
    (void)state;
    static const char text[] = "a\u00e9\u4e2d\U0001f44d";
    static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
    for (size_t n = 0; n < sizeof whole / sizeof whole[0]; n++)
        assert_int_equal(utf8_whole(text, n), whole[n]);
    /* no character at all: stray bytes stay */
    assert_int_equal(utf8_whole("\x80\x80", 2), 2);
    assert_int_equal(utf8_whole("\x80\x80\x80\x80\x80", 5), 5);
    assert_int_equal(utf8_whole("a\x80\x80", 3), 3);
    assert_int_equal(utf8_whole("a\xff", 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_long_prefixes),
        cmocka_unit_test(test_short_texts),
        cmocka_unit_test(test_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
