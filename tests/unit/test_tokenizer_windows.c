/*
 * Windows of a pair: which tokens of the second text each has, where it stops, what is refused,
 * threads, memory failure.  gates/check_tokenizer.py compares them with Hugging Face's on SQuAD.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "text/tokenizer.h"
#include "unit/text_folder.h"

/* ids: 0 [UNK] 1 [CLS] 2 [SEP] 3 a 4 b 5 c 6 d 7 e 8 f 9 g */
static const char vocab_text[] = "[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\n";

static tokenizer *tok;
static mts_ctx ctx;

static int open_tokenizer(void **state)
{
    (void)state;
    text_folder folder = text_folder_make();
    text_folder_put(&folder, "vocab.txt", vocab_text);
    const mts_status st = tokenizer_open(&ctx, folder.path, &tok);
    text_folder_remove(&folder);
    return st != MTS_OK;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tokenizer_close(tok);
    return 0;
}

/* The ids of all windows as text: "1 3 2 4 5 2|1 3 2 5 6 2". */
static const char *window_ids(const token_windows *w)
{
    static char text[512];
    size_t n = 0;
    text[0] = '\0';
    for (int64_t k = 0; k < w->count; k++)
        for (int64_t i = 0; i < w->items[k].row.length; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%d",
                                  i > 0   ? " "
                                  : k > 0 ? "|"
                                          : "",
                                  w->items[k].row.ids[i]);
    return text;
}

static void test_steps_and_the_last_window(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int64_t max_length, overlap;
        const char *ids;
    } cases[] = {
        /* everything fits: one window, whatever the overlap */
        {"a", "b c", 6, 0, "1 3 2 4 5 2"},
        {"a", "b c", 6, 100, "1 3 2 4 5 2"},
        {"a", "b c", 384, 128, "1 3 2 4 5 2"},
        {"a", "", 4, 0, "1 3 2 2"},
        {"", "", 3, 0, "1 2 2"},
        /* room for two: steps of two, and of one */
        {"a", "b c d e", 6, 0, "1 3 2 4 5 2|1 3 2 6 7 2"},
        {"a", "b c d e f", 6, 0, "1 3 2 4 5 2|1 3 2 6 7 2|1 3 2 8 2"},
        {"a", "b c d e", 6, 1, "1 3 2 4 5 2|1 3 2 5 6 2|1 3 2 6 7 2"},
        /* room for three, two shared; and one shared, so that the last is shorter */
        {"", "b c d e f", 6, 2, "1 2 4 5 6 2|1 2 5 6 7 2|1 2 6 7 8 2"},
        {"", "b c d e f g", 6, 1, "1 2 4 5 6 2|1 2 6 7 8 2|1 2 8 9 2"},
        {"a a", "b c", 6, 0, "1 3 3 2 4 2|1 3 3 2 5 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        token_windows w;
        assert_int_equal(tokenizer_windows(&ctx, tok, cases[i].a, cases[i].b, cases[i].max_length,
                                           cases[i].overlap, &w),
                         MTS_OK);
        assert_string_equal(window_ids(&w), cases[i].ids);
        for (int64_t k = 0; k < w.count; k++)
            assert_int_equal(w.items[k].row.cut, w.count > 1);
        token_windows_deinit(&w);
    }
}

static void test_places_and_types(void **state)
{
    (void)state;
    static const int32_t types[] = {0, 0, 0, 1, 1, 1};
    static const int32_t begin[2][6] = {{0, 1, 0, 0, 2, 0}, {0, 1, 0, 2, 5, 0}};
    static const int32_t end[2][6] = {{0, 2, 0, 1, 4, 0}, {0, 2, 0, 4, 6, 0}};
    token_windows w;
    assert_int_equal(tokenizer_windows(&ctx, tok, " a", "b \u00e9 d", 6, 1, &w), MTS_OK);
    assert_int_equal(w.count, 2);
    for (int64_t k = 0; k < 2; k++) {
        const token_window *item = &w.items[k];
        assert_int_equal(item->first_b, 3);
        assert_int_equal(item->count_b, 2);
        assert_int_equal(item->skipped_b, k);
        assert_int_equal(item->row.length, 6);
        assert_memory_equal(item->row.type_ids, types, sizeof types);
        assert_memory_equal(item->row.begin, begin[k], sizeof begin[k]);
        assert_memory_equal(item->row.end, end[k], sizeof end[k]);
    }
    token_windows_deinit(&w);
    assert_null(w.items);
    token_windows_deinit(&w);
}

/* Windows of every small size: each token of b is in one, neighbours share `overlap` tokens, only
 * the last reaches the end. */
static void test_every_small_setting(void **state)
{
    (void)state;
    char b[64] = "";
    for (int64_t tokens = 0; tokens < 24; tokens++) {
        for (int64_t room = 1; room < 27; room++) {
            for (int64_t overlap = 0; overlap < room; overlap++) {
                token_windows w;
                assert_int_equal(tokenizer_windows(NULL, tok, "a", b, room + 4, overlap, &w),
                                 MTS_OK);
                for (int64_t k = 0; k < w.count; k++) {
                    const token_window *item = &w.items[k];
                    const int64_t reached = item->skipped_b + item->count_b;
                    assert_int_equal(item->skipped_b, k * (room - overlap));
                    assert_int_equal(item->row.length, item->count_b + 4);
                    assert_true(k < w.count - 1 ? item->count_b == room && reached < tokens
                                                : item->count_b <= room && reached == tokens);
                    for (int64_t i = 0; i < item->count_b; i++)
                        assert_int_equal(item->row.begin[item->first_b + i],
                                         2 * (item->skipped_b + i));
                }
                token_windows_deinit(&w);
            }
        }
        strcat(b, "b ");
    }
}

static void test_no_room(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int64_t max_length, overlap;
        const char *error;
    } cases[] = {
        {"a b c", "a b c", 8, 2, "3 tokens leaves room for 2 of the second; expected more than"},
        {"a b c", "a b c", 8, 3, "expected more than the overlap of 3"},
        {"a b c", "a b c", 6, 0, "3 tokens leaves room for 0 of the second"},
        {"a b c", "a b c", 5, 0, "3 tokens leaves room for 0 of the second"},
        {"a b c", "", 5, 0, "leaves room for 0"},
        {"", "a", 1, 0, "leaves room for 0"},
        {"a", "b c", 5, INT64_MAX, "overlap of 9223372036854775807"},
        {"a", "b", 0, 0, "windows of 0 tokens"},
        {"a", "b", -1, 0, "windows of -1 tokens"},
        {"a", "b", INT64_MIN, 0, "windows of"},
        {"a", "b", 10, -1, "that share -1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        token_windows w;
        assert_int_equal(tokenizer_windows(&ctx, tok, cases[i].a, cases[i].b, cases[i].max_length,
                                           cases[i].overlap, &w),
                         MTS_ERR_ARGUMENT);
        if (strstr(ctx.error, cases[i].error) == NULL)
            fail_msg("expected \"%s\", found \"%s\"", cases[i].error, ctx.error);
        assert_null(w.items);
    }
    token_windows w;
    assert_int_equal(tokenizer_windows(&ctx, tok, "a b c", "a b c", 8, 1, &w), MTS_OK);
    token_windows_deinit(&w);
    assert_int_equal(tokenizer_windows(&ctx, tok, "a", "b", INT64_MAX, INT64_MAX, &w), MTS_OK);
    assert_int_equal(w.count, 1);
    token_windows_deinit(&w);
}

static void test_memory_failure(void **state)
{
    (void)state;
    mts_status st = MTS_ERR_MEMORY;
    token_windows w;
    int64_t failures = 0;
    for (; st == MTS_ERR_MEMORY; failures++) {
        mem_fail_after(failures);
        st = tokenizer_windows(&ctx, tok, "a b", "c d e f g a b c", 8, 1, &w);
        if (st != MTS_OK)
            token_windows_deinit(&w);
    }
    mem_fail_after(-1);
    assert_int_equal(st, MTS_OK);
    assert_true(failures > 8);
    assert_int_equal(w.count, 4);
    token_windows_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_and_the_last_window),
        cmocka_unit_test(test_places_and_types),
        cmocka_unit_test(test_every_small_setting),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
