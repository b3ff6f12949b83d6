/* Temporary folders of tests.  See test_folder.h. */
#include "support/test_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

enum { ROOT_BYTES = 512, PATH_BYTES = 1024 };

static char root[ROOT_BYTES];

int folder_open(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    const int n = snprintf(root, sizeof root, "%s/mantissa_test_XXXXXX",
                           base == NULL || base[0] == '\0' ? "/tmp" : base);
    return n < 0 || n >= ROOT_BYTES || mkdtemp(root) == NULL;
}

int folder_close(void **state)
{
    mts_ctx ctx = {""};
    (void)state;
    const mts_status st = file_remove_tree(&ctx, root);
    if (st != MTS_OK)
        print_error("%s\n", ctx.error);
    return st != MTS_OK;
}

const char *folder_root(void)
{
    return root;
}

const char *folder_at(const char *name)
{
    static char text[4][PATH_BYTES];
    static int turn;
    turn = (turn + 1) % 4;
    const int n = snprintf(text[turn], sizeof text[turn], "%s/%s", root, name);
    assert_in_range(n, 1, PATH_BYTES - 1);
    return text[turn];
}

void folder_put(const char *name, const void *content, size_t bytes)
{
    const int fd = open(folder_at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, bytes), (ssize_t)bytes);
    assert_int_equal(close(fd), 0);
}

void folder_put_text(const char *name, const char *text)
{
    folder_put(name, text, strlen(text));
}
