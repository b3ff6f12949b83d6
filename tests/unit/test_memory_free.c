/* What memory is free: the system's word, and limits of control groups of both versions. */
#include "support/test_folder.h"

#include <stdio.h>

#include "base/file.h"
#include "base/memory_free.h"

static mts_ctx ctx;

/* A file of the system that is made up, below folder_at(root). */
static void put(const char *root, const char *dir, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder_at(root), dir);
    assert_ok(file_make_dirs(&ctx, path));
    const size_t n = strlen(path);
    snprintf(path + n, sizeof path - n, "/%s", name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static uint64_t free_of(const char *root)
{
    return memory_free_below(folder_at(root));
}

static void system_only(void **state)
{
    (void)state;
    assert_true(free_of("none") == UINT64_MAX);
    put("plain", "proc", "meminfo", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n");
    assert_int_equal(free_of("plain"), 5000 * 1024);
    put("plain", "proc/self", "cgroup", "0::/\nnonsense\n::\n");
    assert_int_equal(free_of("plain"), 5000 * 1024);
    put("old", "proc", "meminfo", "MemTotal: 9000 kB\n"); /* a system that does not say it */
    assert_true(free_of("old") == UINT64_MAX);
}

/* The group's own limit, or a smaller one above it; pages of files that can go are free. */
static void version_2(void **state)
{
    (void)state;
    put("two", "proc", "meminfo", "MemAvailable: 5000 kB\n");
    put("two", "proc/self", "cgroup", "0::/a/b\n");
    put("two", "sys/fs/cgroup/a/b", "memory.max", "max\n");
    put("two", "sys/fs/cgroup/a/b", "memory.current", "100000\n");
    assert_int_equal(free_of("two"), 5000 * 1024);
    put("two", "sys/fs/cgroup/a/b", "memory.max", "4000000\n");
    assert_int_equal(free_of("two"), 3900000);
    put("two", "sys/fs/cgroup/a/b", "memory.stat", "anon 1\ninactive_file 60000\n");
    assert_int_equal(free_of("two"), 3960000);
    put("two", "sys/fs/cgroup/a", "memory.max", "3000000\n");
    put("two", "sys/fs/cgroup/a", "memory.current", "3500000\n");
    assert_int_equal(free_of("two"), 0);
}

/* In a container the path may be one of the host: the mount's own files count. */
static void version_1(void **state)
{
    (void)state;
    put("one", "proc", "meminfo", "MemAvailable: 5000 kB\n");
    put("one", "proc/self", "cgroup", "4:memory:/host/path\n0::/\n");
    put("one", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "2000000\n");
    put("one", "sys/fs/cgroup/memory", "memory.usage_in_bytes", "500000\n");
    put("one", "sys/fs/cgroup/memory", "memory.stat",
        "inactive_file 9\ntotal_inactive_file 1000\n");
    assert_int_equal(free_of("one"), 1501000);
}

static void here(void **state)
{
    char text[MEMORY_TEXT_BYTES];
    (void)state;
    const uint64_t now = memory_free_bytes();
    memory_free_pretend(12345);
    assert_int_equal(memory_free_bytes(), 12345);
    memory_free_pretend(-1);
    assert_true(now > 0 && memory_free_bytes() != 12345);
    assert_string_equal(memory_text(text, 1234567), "1.23 MB");
    assert_string_equal(memory_text(text, UINT64_C(12345678901)), "12.3 GB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(system_only), cmocka_unit_test(version_2),
                                       cmocka_unit_test(version_1), cmocka_unit_test(here)};
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
