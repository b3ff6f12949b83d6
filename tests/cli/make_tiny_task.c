/* make_tiny_task FOLDER: the tiny model and its data (support/tiny_task.h), for tests/cli. */
#include "support/tiny_task.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    mts_ctx *ctx = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: make_tiny_task FOLDER\n");
        return 2;
    }
    mts_status st = mts_ctx_create(&ctx);
    if (st == MTS_OK)
        st = tiny_task_write(ctx, argv[1]);
    if (st != MTS_OK)
        fprintf(stderr, "make_tiny_task: %s\n", mts_error_text(ctx));
    mts_ctx_destroy(ctx);
    return st == MTS_OK ? 0 : 1;
}
