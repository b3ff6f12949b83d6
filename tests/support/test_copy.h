/*
 * Copies of files, by the reader and the writer of base/file.h.
 */
#ifndef MTS_TESTS_SUPPORT_TEST_COPY_H
#define MTS_TESTS_SUPPORT_TEST_COPY_H

#include "base/status.h"

/* to has the content of from.  Status of file_reader_open and file_writer_open; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status test_copy_file(mts_ctx *ctx, const char *from, const char *to);

#endif
