/*
 * For tests/cli:
 *   make_tiny_task FOLDER             the tiny model and its data (support/tiny_task.h)
 *   make_tiny_task --decoder FOLDER   a tiny language model (support/tiny_decoder.h)
 *   make_tiny_task --relatives FOLDER models of the same shape and other types
 */
#include "support/tiny_task.h"

#include <stdio.h>
#include <string.h>

#include "support/tiny_decoder.h"

int main(int argc, char **argv)
{
    mts_ctx *ctx = NULL;
    const bool decoder = argc == 3 && strcmp(argv[1], "--decoder") == 0;
    const bool relatives = argc == 3 && strcmp(argv[1], "--relatives") == 0;
    if (argc != 2 && !decoder && !relatives) {
        fprintf(stderr, "usage: make_tiny_task [--decoder | --relatives] FOLDER\n");
        return 2;
    }
    mts_status st = mts_ctx_create(&ctx);
    if (st == MTS_OK)
        st = decoder     ? tiny_decoder_write(ctx, argv[2])
             : relatives ? tiny_task_write_relatives(ctx, argv[2])
                         : tiny_task_write(ctx, argv[1]);
    if (st != MTS_OK)
        fprintf(stderr, "make_tiny_task: %s\n", mts_error_text(ctx));
    mts_ctx_destroy(ctx);
    return st == MTS_OK ? 0 : 1;
}
