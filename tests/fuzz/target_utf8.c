/* base/utf8: every function agrees with the others on any bytes. */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/utf8.h"

/* Decode all; true if nothing was malformed.  What is well-formed is encoded to the same bytes. */
static bool decode_all(const char *text, size_t size, size_t *bad_at)
{
    bool valid = true;
    for (size_t at = 0; at < size;) {
        int32_t code = -1;
        char back[UTF8_MAX_BYTES];
        const size_t used = utf8_decode(text + at, size - at, &code);
        FUZZ_REQUIRE(used >= 1 && used <= UTF8_MAX_BYTES && used <= size - at);
        FUZZ_REQUIRE(code >= 0 && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF));
        const size_t n = utf8_encode(code, back);
        const bool same = n == used && memcmp(back, text + at, n) == 0;
        FUZZ_REQUIRE(same || code == UTF8_REPLACEMENT);
        if (!same && valid)
            *bad_at = at;
        valid = valid && same;
        at += used;
    }
    return valid;
}

static void require_quote(const char *text, size_t room)
{
    char out[UTF8_QUOTE_BYTES + 1];
    memset(out, 'x', sizeof out);
    FUZZ_REQUIRE(utf8_quote(out, room, text) == out);
    FUZZ_REQUIRE(memchr(out, '\0', room) != NULL && out[room] == 'x');
    FUZZ_REQUIRE(utf8_is_valid(out, strlen(out), NULL));
    for (const char *c = out; *c != '\0'; c++)
        FUZZ_REQUIRE((unsigned char)*c >= ' ' && *c != 127);
    if (strlen(text) > room - 4)
        FUZZ_REQUIRE(strcmp(out + strlen(out) - 3, "...") == 0);
    else
        FUZZ_REQUIRE(strlen(out) == strlen(text));
}

static bool run(const uint8_t *data, size_t size)
{
    size_t first = size, found = 0;
    const bool valid = decode_all((const char *)data, size, &first);
    FUZZ_REQUIRE(utf8_is_valid((const char *)data, size, &found) == valid);
    FUZZ_REQUIRE(utf8_is_valid((const char *)data, size, NULL) == valid);
    FUZZ_REQUIRE(valid || found == first);
    char *text = fuzz_text((fuzz_bytes){(const char *)data, size});
    for (size_t room = 5; room <= UTF8_QUOTE_BYTES; room += room < 12 ? 1 : 26)
        require_quote(text, room);
    free(text);
    return valid;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x91\x8d\n"),
    FUZZ_BYTES("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf"
               "\xbf"),
    FUZZ_BYTES("a text of more than sixty-four bytes, in which \xe4\xb8\xad stands near the cut "
               "\xe4\xb8\xad\xe4\xb8\xad"),
};

static const char *const words[] = {"\xc0\x80",     "\xc1",         "\xe0\x9f\xbf", "\xed\xa0\x80",
                                    "\xf0\x8f\xbf", "\xf4\x90\x80", "\xf8",         "\xff",
                                    "\x80",         "\xbf",         "\xef\xbf\xbd", "\xe4\xb8",
                                    "\xf0\x9f\x91", "\x7f",         "\x1f",         NULL};

const fuzz_target fuzz_target_utf8 = {
    .name = "utf8",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
