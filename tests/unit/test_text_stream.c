/*
 * The text of tokens as they come (text/text_stream.h): whole characters only, every byte once,
 * nothing of the prompt, no special tokens, and none that the tokenizer does not have.
 */
#include "support/test_check.h"

#include "base/utf8.h"
#include "support/byte_tokenizer.h"
#include "support/test_folder.h"
#include "text/text_stream.h"

static mts_ctx ctx;

/* Give ids one by one behind the first `prompt`; all[]: the pieces joined. */
static void stream(const tokenizer *tok, const int32_t *ids, int64_t prompt, int64_t n, char *all,
                   size_t room)
{
    text_stream s;
    size_t used = 0;
    const char *piece;
    size_t bytes;
    assert_ok(text_stream_begin(&ctx, &s, tok, ids, prompt));
    for (int64_t i = prompt + 1; i <= n + 1; i++) {
        const bool last = i == n + 1;
        assert_ok(text_stream_next(&ctx, &s, ids, last ? n : i, last, &piece, &bytes));
        assert_true(utf8_is_valid(piece, bytes, NULL));
        assert_true(used + bytes < room);
        memcpy(all + used, piece, bytes);
        used += bytes;
    }
    all[used] = '\0';
    assert_int_equal(s.given - s.begin, used);
    assert_memory_equal(s.text + s.begin, all, used);
    text_stream_deinit(&s);
}

static void check(const tokenizer *tok, const char *prompt, const char *text, const char *expected)
{
    int32_t ids[128];
    char all[512];
    const size_t p = strlen(prompt), n = strlen(text);
    for (size_t i = 0; i < p + n; i++)
        ids[i] = (unsigned char)(i < p ? prompt[i] : text[i - p]);
    stream(tok, ids, (int64_t)p, (int64_t)(p + n), all, sizeof all);
    assert_string_equal(all, expected);
}

static void pieces(void **state)
{
    const char *dir = folder_root();
    tokenizer *tok = NULL;
    char all[64];
    const int32_t special[] = {'a', BYTE_TOKENIZER_END, 'b', BYTE_TOKENIZER_SIZE,
                               BYTE_TOKENIZER_AB};
    (void)state;
    assert_ok(byte_tokenizer_write(&ctx, dir));
    assert_ok(tokenizer_open(&ctx, dir, &tok));
    check(tok, "Hi", " there", " there");
    check(tok, "", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!",
          "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!");
    check(tok, "\xc3\xa9", "\xc3\xa9", "\xc3\xa9");
    /* what is no character stays U+FFFD, in the middle and at the end */
    check(tok, "x",
          "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b");
    check(tok, "x", "a\xe2\x82", "a\xef\xbf\xbd");
    check(tok, "x", "a\xe2\x82\xe2\x82\xac", "a\xef\xbf\xbd\xe2\x82\xac");
    /* the prompt ends inside a character, which the text completes: never half of one */
    check(tok, "a\xe2\x82", "\xac.", ".");
    stream(tok, special, 1, 5, all, sizeof all);
    assert_string_equal(all, "bab");
    tokenizer_close(tok);
}

/* Nothing is given out while a character is not complete. */
static void holds_back(void **state)
{
    const char *dir = folder_root();
    tokenizer *tok = NULL;
    text_stream s;
    const int32_t ids[] = {'a', 0xf0, 0x9f, 0x98, 0x80};
    const char *piece;
    size_t bytes;
    (void)state;
    assert_ok(byte_tokenizer_write(&ctx, dir));
    assert_ok(tokenizer_open(&ctx, dir, &tok));
    assert_ok(text_stream_begin(&ctx, &s, tok, ids, 0));
    for (int64_t n = 1; n <= 5; n++) {
        assert_ok(text_stream_next(&ctx, &s, ids, n, false, &piece, &bytes));
        assert_int_equal(bytes, n == 1 ? 1 : n == 5 ? 4 : 0);
    }
    assert_memory_equal(piece, "\xf0\x9f\x98\x80", 4);
    text_stream_deinit(&s);
    tokenizer_close(tok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pieces), cmocka_unit_test(holds_back)};
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
