/*
 * vocab.txt -> wordpiece_spec: one token a line, the line number from 0 is its id.
 *
 * A byte order mark, CR LF line ends, a last line without line end and blank lines at the end of
 * the file are tolerated.  Whitespace at the end of a line does not belong to the token, as in
 * Hugging Face's tokenizers (a line of nothing but whitespace keeps it: no word can match it).
 * Other blank lines, duplicates, and malformed UTF-8 are errors; of duplicates Hugging Face keeps
 * the last, which leaves an id that nothing is ever encoded to, so it is a sign of a damaged file.
 */
#include "text/wordpiece_spec.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/bert_unicode.h"

/* Bytes of line[n] without the whitespace at its end; n if it is whitespace throughout. */
static size_t trim_end(const char *line, size_t n)
{
    size_t kept = 0;
    int32_t code;
    for (size_t i = 0; i < n;) {
        i += utf8_decode(line + i, n - i, &code);
        if (!bert_unicode_is_whitespace(code))
            kept = i;
    }
    return kept > 0 ? kept : n;
}

mts_status vocab_txt_read(mts_ctx *ctx, const char *path, wordpiece_spec *spec)
{
    mts_status st = MTS_OK;
    char *content = NULL;
    size_t bytes = 0, at = 0;
    int64_t id = 0;

    MTS_TRY(file_read_all(ctx, path, TOKENIZER_FILE_BYTES_MAX, &content, &bytes));
    if (bytes >= 3 && memcmp(content, "\xEF\xBB\xBF", 3) == 0)
        at = 3;
    while (bytes > at && (content[bytes - 1] == '\n' || content[bytes - 1] == '\r'))
        bytes--;
    MTS_CHECK(bytes > at, MTS_ERR_BAD_FILE, "%s: the vocabulary is empty", path);
    for (; at < bytes; id++) {
        const char *line = content + at;
        const char *end = memchr(line, '\n', bytes - at);
        size_t n = end != NULL ? (size_t)(end - line) : bytes - at;
        at += n + 1;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        st = vocab_put(ctx, &spec->vocabulary, id, line, trim_end(line, n), true);
        if (st != MTS_OK) {
            status_prefix(ctx, "%s:%lld", path, (long long)id + 1);
            goto cleanup;
        }
    }
cleanup:
    mem_free(content);
    return st;
}
