/* Bytes as tokens.  See byte_tokenizer.h. */
#include "support/byte_tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"

enum { ROOM = 1 << 13 };

#define BYTE_LEVEL                                                                                 \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":"      \
    "false}"

static const char head[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":256,\"content\":\"<|end|>\",\"special\":true,"
    "\"normalized\":false,\"lstrip\":false,\"rstrip\":false,\"single_word\":false}],"
    "\"normalizer\":null,\"pre_tokenizer\":" BYTE_LEVEL ",\"post_processor\":null,"
    "\"decoder\":" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
    "\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\",\"fuse_unk\":false,"
    "\"vocab\":{";
static const char tail[] = "\"<|end|>\":256,\"ab\":257},\"merges\":[\"a b\"]}}\n";

mts_status byte_tokenizer_write(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    char text[ROOM], name[UTF8_MAX_BYTES], *path = NULL;
    size_t n = (size_t)snprintf(text, sizeof text, "%s", head);
    file_writer *w = NULL;
    for (int byte = 0; byte < 256; byte++) {
        const size_t bytes = utf8_encode(byte_alphabet_code((unsigned char)byte), name);
        n += (size_t)snprintf(text + n, sizeof text - n, "\"%s%.*s\":%d,",
                              byte == '"' || byte == '\\' ? "\\" : "", (int)bytes, name, byte);
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "%s", tail);
    MTS_TRY(path_join(ctx, &path, dir, "tokenizer.json"));
    MTS_TRY(file_writer_open(ctx, path, &w));
    MTS_TRY(file_writer_write(w, text, n));
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(path);
    return st;
}
