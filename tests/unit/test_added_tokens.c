/*
 * text/added_tokens: matches are those of trying every pattern at every place, and take a time that
 * does not grow with the number of patterns.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/rng.h"
#include "text/added_tokens.h"

enum { PATTERNS_MAX = 40, LENGTH_MAX = 6, TEXT = 60, ROUNDS = 3000, MANY = 16000, LINE = 20000 };

typedef struct plain_pattern {
    bert_char chars[LENGTH_MAX];
    int64_t count;
    int32_t id;
} plain_pattern;

static mts_ctx ctx;
static uint32_t draws;

static int32_t draw(uint32_t below)
{
    return (int32_t)(rng_draw(rng_make_key(7, 0, 0, RNG_INIT), draws++) % below);
}

/* Few letters, so that patterns share beginnings, and text has many matches. */
static void draw_chars(bert_char *chars, int64_t n, uint32_t letters)
{
    for (int64_t i = 0; i < n; i++)
        chars[i] = (bert_char){.code = 'a' + draw(letters)};
}

static bool fits(const plain_pattern *p, const bert_char *chars, int64_t count)
{
    if (p->count > count)
        return false;
    for (int64_t i = 0; i < p->count; i++)
        if (p->chars[i].code != chars[i].code)
            return false;
    return true;
}

/* By definition: the longest pattern at `at`, of equal ones that with the smallest id, or NULL. */
static const plain_pattern *longest(const plain_pattern *p, int n, const bert_char *text,
                                    int64_t at)
{
    const plain_pattern *best = NULL;
    for (int i = 0; i < n; i++)
        if (fits(&p[i], text + at, TEXT - at) &&
            (best == NULL || p[i].count > best->count ||
             (p[i].count == best->count && p[i].id < best->id)))
            best = &p[i];
    return best;
}

static void check_text(const added_set *set, const plain_pattern *p, int n, const bert_char *text)
{
    added_cursor cursor = {0, 0};
    for (int64_t at = 0; at < TEXT;) {
        const plain_pattern *expected = longest(p, n, text, at);
        if (expected == NULL) {
            at++;
            continue;
        }
        const added_match match = added_set_next(set, text, TEXT, &cursor);
        assert_int_equal(match.begin, at);
        assert_int_equal(match.end, at + expected->count);
        assert_int_equal(match.id, expected->id);
        at = match.end;
    }
    assert_int_equal(added_set_next(set, text, TEXT, &cursor).id, -1);
}

static void matches_by_definition(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        added_set set = {0};
        plain_pattern p[PATTERNS_MAX];
        bert_char text[TEXT];
        const int n = 1 + draw(PATTERNS_MAX);
        const uint32_t letters = 1 + (uint32_t)draw(5);
        for (int i = 0; i < n; i++) {
            p[i].count = 1 + draw(LENGTH_MAX);
            p[i].id = 1000 - i;
            draw_chars(p[i].chars, p[i].count, letters);
            assert_int_equal(
                added_set_add(&ctx, &set, p[i].chars, p[i].count, p[i].id, false, false), MTS_OK);
        }
        added_set_finish(&set);
        draw_chars(text, TEXT, letters + 1);
        check_text(&set, p, n, text);
        added_set_deinit(&set);
    }
}

/* Seconds to look through a line of "a"; patterns "a...b" and "a<i>", `many` of them. */
static double look_through(int many)
{
    static bert_char line[LINE], pattern[8];
    struct timespec start, end;
    added_set set = {0};
    added_cursor cursor = {0, 0};
    for (int i = 0; i < LINE; i++)
        line[i] = (bert_char){.code = 'a'};
    for (int i = 0; i < 8; i++)
        pattern[i] = (bert_char){.code = 'a'};
    for (int i = 0; i < many; i++) {
        pattern[1 + i % 7] = (bert_char){.code = 'b' + i};
        assert_int_equal(added_set_add(&ctx, &set, pattern, 8, i, false, false), MTS_OK);
        pattern[1 + i % 7] = (bert_char){.code = 'a'};
    }
    added_set_finish(&set);
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_int_equal(added_set_next(&set, line, LINE, &cursor).id, -1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    added_set_deinit(&set);
    return (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
}

static void many_patterns(void **state)
{
    (void)state;
    const double few = look_through(16), all = look_through(MANY);
    if (all > 30 * few + 0.1)
        fail_msg("%.3f s with 16 patterns, %.3f s with %d", few, all, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_by_definition),
        cmocka_unit_test(many_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
