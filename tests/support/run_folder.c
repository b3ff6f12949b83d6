/* Folders of test runs.  See run_folder.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/run_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/tiny_task.h"

#define FILE_LIMIT ((size_t)1 << 26)

mts_ctx *ctx;
static run_path root, model, train, dev;

void run_folder_require(mts_status st)
{
    if (st != MTS_OK)
        fail_msg("%s: %s", mts_status_name(st), mts_error_text(ctx));
}

run_path run_folder_path(const char *name, ...)
{
    run_path path = root;
    const size_t n = strlen(path.text);
    va_list args;
    va_start(args, name);
    path.text[n] = '/';
    const int added = vsnprintf(path.text + n + 1, sizeof path.text - n - 1, name, args);
    va_end(args);
    assert_true(added >= 0 && (size_t)added < sizeof path.text - n - 1);
    return path;
}

int run_folder_open(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    if (mts_ctx_create(&ctx) != MTS_OK)
        return -1;
    snprintf(root.text, sizeof root.text, "%s/mantissa-run.XXXXXX", base == NULL ? "." : base);
    assert_non_null(mkdtemp(root.text));
    run_folder_require(tiny_task_write(ctx, root.text));
    model = run_folder_path("model");
    train = run_folder_path("train.tsv");
    dev = run_folder_path("dev.tsv");
    return 0;
}

int run_folder_close(void **state)
{
    (void)state;
    run_folder_require(file_remove_tree(ctx, root.text));
    mts_ctx_destroy(ctx);
    return 0;
}

mts_options run_folder_options(void)
{
    mts_options o;
    mts_options_default(&o);
    o.model_name_or_path = model.text;
    o.train_file = train.text;
    o.validation_file = dev.text;
    o.max_seq_length = 24;
    o.per_device_train_batch_size = 4;
    o.learning_rate = 1e-3;
    o.logging_steps = 1;
    o.num_threads = 1;
    return o;
}

bool run_folder_same(const char *a, const char *b)
{
    char *text_a = NULL, *text_b = NULL;
    size_t bytes_a = 0, bytes_b = 0;
    const bool read = file_read_all(ctx, a, FILE_LIMIT, &text_a, &bytes_a) == MTS_OK &&
                      file_read_all(ctx, b, FILE_LIMIT, &text_b, &bytes_b) == MTS_OK;
    const bool same = read && bytes_a == bytes_b && memcmp(text_a, text_b, bytes_a) == 0;
    mem_free(text_a);
    mem_free(text_b);
    return same;
}

void run_folder_assert_same(const char *dir_a, const char *dir_b, const char *name)
{
    char *a = NULL, *b = NULL;
    run_folder_require(path_join(ctx, &a, dir_a, name));
    run_folder_require(path_join(ctx, &b, dir_b, name));
    if (!run_folder_same(a, b))
        fail_msg("%s and %s: expected the same bytes", a, b);
    mem_free(a);
    mem_free(b);
}

void run_folder_assert_checkpoint(const char *dir_a, const char *dir_b)
{
    run_folder_assert_same(dir_a, dir_b, "model.safetensors");
    run_folder_assert_same(dir_a, dir_b, "optimizer.safetensors");
    run_folder_assert_same(dir_a, dir_b, "config.json");
    run_folder_assert_same(dir_a, dir_b, "vocab.txt");
}

int run_folder_count(const char *dir, const char *prefix)
{
    file_list list = {0};
    int count = 0;
    if (dir_exists(dir))
        run_folder_require(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++)
        count += strncmp(list.names[i], prefix, strlen(prefix)) == 0;
    file_list_deinit(&list);
    return count;
}
