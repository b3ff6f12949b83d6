/* Copies of files.  See test_copy.h. */
#include "support/test_copy.h"

#include "base/file.h"
#include "base/memory.h"

enum { PIECE_BYTES = 1 << 16 };

mts_status test_copy_file(mts_ctx *ctx, const char *from, const char *to)
{
    mts_status st = MTS_OK;
    file_reader r = {0};
    file_writer *w = NULL;
    uint8_t *piece = NULL;
    MTS_TRY(file_reader_open(ctx, from, &r));
    MTS_TRY(file_writer_open(ctx, to, &w));
    MTS_TRY(mem_calloc(ctx, &piece, PIECE_BYTES, 1, "file buffer"));
    for (size_t done = 0, n; done < r.bytes; done += n) {
        n = r.bytes - done < PIECE_BYTES ? r.bytes - done : PIECE_BYTES;
        MTS_TRY(file_reader_read(ctx, &r, done, piece, n));
        MTS_TRY(file_writer_write(w, piece, n));
    }
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    file_reader_close(&r);
    mem_free(piece);
    return st;
}
