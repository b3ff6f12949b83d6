/* base/file: what is read is what was written; a write that fails leaves all as it was. */
#include "support/test_copy.h"
#include "support/test_folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static mts_ctx ctx;

static void assert_content(const char *name, const char *content)
{
    char *text = NULL;
    assert_ok(file_read_all(&ctx, folder_at(name), 1 << 20, &text, NULL));
    assert_string_equal(text, content);
    mem_free(text);
}

/* The names in folder/name, separated by spaces. */
static void assert_listing(const char *name, const char *expected)
{
    char text[1024] = "";
    file_list list;
    assert_ok(file_list_dir(&ctx, folder_at(name), &list));
    for (size_t i = 0; i < list.count; i++) {
        strcat(text, i == 0 ? "" : " ");
        strcat(text, list.names[i]);
    }
    assert_string_equal(text, expected);
    file_list_deinit(&list);
}

static void reads_files(void **state)
{
    (void)state;
    file_reader r;
    char part[4] = "";
    char *text = NULL;
    size_t bytes = 0;
    folder_put_text("a", "hello");
    folder_put_text("empty", "");
    assert_ok(file_reader_open(&ctx, folder_at("a"), &r));
    assert_int_equal(r.bytes, 5);
    assert_ok(file_reader_read(&ctx, &r, 1, part, 3));
    assert_string_equal(part, "ell");
    assert_ok(file_reader_read(&ctx, &r, 5, part, 0));
    assert_int_equal(truncate(folder_at("a"), 2), 0);
    assert_fails(file_reader_read(&ctx, &r, 1, part, 3), MTS_ERR_IO,
                 "a: was cut while it was read: expected 5 bytes, found 2");
    file_reader_close(&r);
    file_reader_close(&r);
    folder_put_text("a", "hello");
    assert_ok(file_reader_open(&ctx, folder_at("empty"), &r));
    assert_int_equal(r.bytes, 0);
    file_reader_close(&r);
    assert_ok(file_read_all(&ctx, folder_at("a"), 5, &text, &bytes));
    assert_int_equal(bytes, 5);
    assert_string_equal(text, "hello");
    mem_free(text);
    assert_fails(file_read_all(&ctx, folder_at("a"), 4, &text, &bytes), MTS_ERR_BAD_FILE,
                 "at most 4");
    assert_null(text);
    assert_ok(file_read_all(&ctx, folder_at("empty"), 0, &text, &bytes));
    assert_int_equal(bytes, 0);
    mem_free(text);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    file_reader r;
    char *text = NULL;
    assert_int_equal(mkfifo(folder_at("pipe"), 0600), 0);
    assert_fails(file_reader_open(&ctx, folder_at("none"), &r), MTS_ERR_NOT_FOUND,
                 "none: cannot open: No");
    file_reader_close(&r);
    assert_fails(file_reader_open(&ctx, folder_root(), &r), MTS_ERR_IO, "found a folder");
    assert_fails(file_read_all(&ctx, folder_at("pipe"), 9, &text, NULL), MTS_ERR_IO,
                 "device or pipe");
    assert_false(file_exists(folder_at("pipe")));
    assert_false(file_exists(folder_root()));
    assert_true(dir_exists(folder_root()));
    assert_false(dir_exists(folder_at("none")));
    assert_int_equal(unlink(folder_at("pipe")), 0);
}

/* The pointer of Git LFS is called by its name; a file that only looks a little like it is read. */
static void names_a_git_lfs_pointer(void **state)
{
    (void)state;
    char *text = NULL;
    folder_put_text("large",
                    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n");
    assert_fails(file_read_all(&ctx, folder_at("large"), 1 << 20, &text, NULL), MTS_ERR_BAD_FILE,
                 "large: this is a Git LFS pointer, not the file itself of 90868376 bytes: get it");
    folder_put_text("large", "version https://git-lfs.github.com/spec/v1\nsize");
    assert_fails(file_read_all(&ctx, folder_at("large"), 1 << 20, &text, NULL), MTS_ERR_BAD_FILE,
                 "not the file itself: get it with 'git lfs pull'");
    folder_put_text("word", "version https://git-lfs");
    assert_content("word", "version https://git-lfs");
    char long_text[1100] = "version https://git-lfs.github.com/spec/v1\n";
    memset(long_text + strlen(long_text), 'x', 1030);
    folder_put_text("long", long_text);
    assert_content("long", long_text);
}

static void lists_sorted(void **state)
{
    (void)state;
    char name[16], expected[1024] = "";
    file_list list;
    for (int i = 39; i >= 0; i--) {
        snprintf(name, sizeof name, "f%02d", i);
        folder_put_text(name, "x");
    }
    for (int i = 0; i < 40; i++)
        snprintf(expected + strlen(expected), 8, i == 0 ? "f%02d" : " f%02d", i);
    assert_listing("", expected);
    assert_fails(file_list_dir(&ctx, folder_at("none"), &list), MTS_ERR_NOT_FOUND,
                 "none: cannot list");
    assert_null(list.names);
}

static void joins_paths(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}, {"a", "", "a/"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = NULL;
        assert_ok(path_join(&ctx, &path, cases[i][0], cases[i][1]));
        assert_string_equal(path, cases[i][2]);
        mem_free(path);
    }
}

static void finds_parents(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a/b", "a"}, {"a", "."}, {"/a", "/"}, {"/a/b/c", "/a/b"}, {"../a", ".."}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = NULL;
        assert_ok(path_parent(&ctx, &path, cases[i][0]));
        assert_string_equal(path, cases[i][1]);
        mem_free(path);
    }
}

static void makes_dirs(void **state)
{
    (void)state;
    assert_ok(file_make_dirs(&ctx, folder_at("a/b//c/")));
    assert_true(dir_exists(folder_at("a/b/c")));
    assert_ok(file_make_dirs(&ctx, folder_at("a/b/c")));
    folder_put_text("file", "x");
    assert_fails(file_make_dirs(&ctx, folder_at("file")), MTS_ERR_IO, "expected a folder");
    assert_fails(file_make_dirs(&ctx, folder_at("file/d")), MTS_ERR_NOT_FOUND, "Not a directory");
    assert_fails(file_make_dirs(&ctx, ""), MTS_ERR_NOT_FOUND, "cannot make folder");
}

static void writes_all_pieces(void **state)
{
    (void)state;
    enum { TOTAL = 1 << 20 };
    uint8_t *data = test_malloc(TOTAL);
    size_t done = 0;
    file_writer *w = NULL;
    char *read = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < TOTAL; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    assert_ok(file_writer_open(&ctx, folder_at("a"), &w));
    for (size_t piece = 0; done < TOTAL; piece = piece * 5 / 3 + 1) { /* 0, 1, 2, 4, ... 200000 */
        size_t n = piece < TOTAL - done ? piece : TOTAL - done;
        assert_ok(file_writer_write(w, data + done, n));
        done += n;
    }
    assert_false(file_exists(folder_at("a")));
    assert_ok(file_writer_commit(w));
    assert_fails(file_writer_commit(w), MTS_ERR_IO, "cannot commit");
    file_writer_close(w);
    assert_ok(test_copy_file(&ctx, folder_at("a"), folder_at("b")));
    assert_ok(file_read_all(&ctx, folder_at("b"), TOTAL, &read, &bytes));
    assert_int_equal(bytes, TOTAL);
    assert_memory_equal(read, data, TOTAL);
    mem_free(read);
    assert_listing("", "a b");
    test_free(data);
}

static void replaces_only_on_commit(void **state)
{
    (void)state;
    char stale[64];
    file_writer *w = NULL;
    folder_put_text("a", "old");
    snprintf(stale, sizeof stale, "a.tmp-%ld", (long)getpid());
    folder_put_text(stale, "of a crashed process with our number");
    assert_ok(file_writer_open(&ctx, folder_at("a"), &w));
    assert_ok(file_writer_write(w, "new", 3));
    assert_content("a", "old");
    file_writer_close(w);
    assert_listing("", "a");
    assert_ok(file_writer_open(&ctx, folder_at("a"), &w));
    assert_ok(file_writer_write(w, "new", 3));
    assert_ok(file_writer_commit(w));
    file_writer_close(w);
    assert_content("a", "new");
    assert_fails(file_writer_open(&ctx, folder_at("none/a"), &w), MTS_ERR_NOT_FOUND,
                 "cannot create");
    assert_null(w);
    assert_ok(file_make_dirs(&ctx, folder_at("b")));
    assert_ok(file_writer_open(&ctx, folder_at("b"), &w));
    assert_fails(file_writer_commit(w), MTS_ERR_IO, "b: cannot put in place: Is a dir");
    file_writer_close(w);
    assert_listing("", "a b");
    file_writer_close(NULL);
}

/* The operating system takes 100000 bytes of the file and no more, as on a full disk. */
static void write_too_much(size_t piece)
{
    static const uint8_t zeros[200000];
    mts_status st = MTS_OK;
    file_writer *w = NULL;
    assert_ok(file_writer_open(&ctx, folder_at("a"), &w));
    for (size_t done = 0; st == MTS_OK && done < sizeof zeros; done += piece)
        st = file_writer_write(w, zeros, piece);
    assert_fails(st, MTS_ERR_IO, "/a: cannot write: File too large");
    assert_fails(file_writer_commit(w), MTS_ERR_IO, "a write failed before");
    file_writer_close(w);
    assert_listing("", "a");
    assert_content("a", "old");
}

static void survives_a_full_disk(void **state)
{
    (void)state;
    struct rlimit before, small;
    file_writer *w = NULL;
    folder_put_text("a", "old");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    write_too_much(1000);
    write_too_much(sizeof(uint8_t[200000]));
    small.rlim_cur = 10; /* the last bytes are refused by the flush in commit */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_ok(file_writer_open(&ctx, folder_at("a"), &w));
    assert_ok(file_writer_write(w, "more than ten bytes", 19));
    assert_fails(file_writer_commit(w), MTS_ERR_IO, "/a: cannot write: File too large");
    file_writer_close(w);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_listing("", "a");
    assert_content("a", "old");
}

static void copies(void **state)
{
    (void)state;
    folder_put_text("a", "some text");
    folder_put_text("empty", "");
    assert_ok(test_copy_file(&ctx, folder_at("a"), folder_at("b")));
    assert_content("b", "some text");
    assert_ok(test_copy_file(&ctx, folder_at("empty"), folder_at("b")));
    assert_content("b", "");
    assert_ok(test_copy_file(&ctx, folder_at("a"), folder_at("a")));
    assert_content("a", "some text");
    assert_fails(test_copy_file(&ctx, folder_at("none"), folder_at("b")), MTS_ERR_NOT_FOUND,
                 "none");
    assert_content("b", "");
}

static void moves_and_removes_files(void **state)
{
    (void)state;
    assert_ok(file_make_dirs(&ctx, folder_at("from")));
    assert_ok(file_make_dirs(&ctx, folder_at("to/taken")));
    folder_put_text("from/a", "new");
    folder_put_text("to/b", "old");
    mem_fail_after(0); /* none of these needs memory */
    assert_ok(file_move(&ctx, folder_at("from"), "a", folder_at("to"), "b"));
    assert_ok(file_sync_dir(&ctx, folder_at("to")));
    assert_ok(file_remove(&ctx, folder_at("to"), "none"));
    mem_fail_after(-1);
    assert_content("to/b", "new");
    assert_listing("from", "");
    assert_fails(file_move(&ctx, folder_at("from"), "a", folder_at("to"), "b"), MTS_ERR_NOT_FOUND,
                 "to: b: cannot");
    assert_fails(file_move(&ctx, folder_at("to"), "b", folder_at("to"), "taken"), MTS_ERR_IO,
                 "taken: cannot put");
    assert_fails(file_move(&ctx, folder_at("to"), "b", folder_at("none"), "b"), MTS_ERR_NOT_FOUND,
                 "none");
    assert_content("to/b", "new");
    assert_int_equal(symlink("b", folder_at("to/link")), 0);
    assert_ok(file_remove(&ctx, folder_at("to"), "link"));
    assert_content("to/b", "new");
    assert_fails(file_remove(&ctx, folder_at("to"), "taken"), MTS_ERR_IO,
                 "to: taken: cannot remove");
    assert_fails(file_sync_dir(&ctx, folder_at("none")), MTS_ERR_NOT_FOUND, "none");
}

/* As another user where we are root, whom no permission stops. */
static void says_whether_it_removed(void **state)
{
    (void)state;
    const bool root = geteuid() == 0;
    bool touched = true;
    assert_int_equal(chmod(folder_root(), 0777), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    assert_ok(file_make_dirs(&ctx, folder_at("closed")));
    folder_put_text("closed/a", "x");
    assert_ok(file_make_dirs(&ctx, folder_at("half")));
    folder_put_text("half/a", "x");
    assert_ok(file_make_dirs(&ctx, folder_at("half/closed")));
    folder_put_text("half/closed/b", "x");
    assert_int_equal(chmod(folder_at("closed"), 0500), 0);
    assert_int_equal(chmod(folder_at("half/closed"), 0500), 0);
    assert_fails(file_try_remove_tree(&ctx, folder_at("closed"), &touched), MTS_ERR_IO,
                 "cannot remove");
    assert_false(touched);
    assert_content("closed/a", "x");
    assert_int_equal(chmod(folder_at("closed"), 0), 0);
    assert_fails(file_try_remove_tree(&ctx, folder_at("closed"), &touched), MTS_ERR_IO,
                 "cannot open");
    assert_false(touched);
    assert_fails(file_try_remove_tree(&ctx, folder_at("half"), &touched), MTS_ERR_IO,
                 "cannot remove");
    assert_int_equal(touched, !file_exists(folder_at("half/a"))); /* in the order of the folder */
    assert_int_equal(chmod(folder_at("closed"), 0700), 0);
    assert_int_equal(chmod(folder_at("half/closed"), 0700), 0);
    assert_ok(file_try_remove_tree(&ctx, folder_at("half"), &touched));
    assert_true(touched);
    assert_ok(file_try_remove_tree(&ctx, folder_at("half"), &touched));
    assert_false(touched);
    if (root)
        assert_int_equal(seteuid(0), 0);
}

static void removes_trees(void **state)
{
    (void)state;
    assert_ok(file_make_dirs(&ctx, folder_at("t/u/v")));
    folder_put_text("t/a", "x");
    folder_put_text("t/u/v/b", "x");
    assert_ok(file_remove_tree(&ctx, folder_at("t/")));
    assert_listing("", "");
    assert_ok(file_remove_tree(&ctx, folder_at("t")));
    assert_fails(file_remove_tree(&ctx, folder_at("t/..")), MTS_ERR_ARGUMENT, "refused");
    assert_fails(file_remove_tree(&ctx, "."), MTS_ERR_ARGUMENT, "refused");
    assert_fails(file_remove_tree(&ctx, "/"), MTS_ERR_ARGUMENT, "refused");
    assert_fails(file_remove_tree(&ctx, ""), MTS_ERR_ARGUMENT, "refused");
}

static void removes_nothing_it_did_not_make(void **state)
{
    (void)state;
    char deep[256] = "d";
    assert_ok(file_make_dirs(&ctx, folder_at("mine/sub")));
    assert_ok(file_make_dirs(&ctx, folder_at("other")));
    folder_put_text("mine/a", "x");
    folder_put_text("other/precious", "x");
    assert_int_equal(symlink(folder_at("other"), folder_at("mine/sub/link")), 0);
    assert_int_equal(symlink(folder_at("other"), folder_at("link")), 0);
    assert_fails(file_remove_tree(&ctx, folder_at("mine")), MTS_ERR_UNSUPPORTED, "a symbolic link");
    assert_content("mine/a", "x");
    assert_fails(file_remove_tree(&ctx, folder_at("link")), MTS_ERR_UNSUPPORTED, "left alone");
    assert_fails(file_remove_tree(&ctx, folder_at("link/")), MTS_ERR_UNSUPPORTED, "left alone");
    assert_fails(file_remove_tree(&ctx, folder_at("mine/a")), MTS_ERR_UNSUPPORTED,
                 "expected a folder");
    assert_content("other/precious", "x");
    assert_int_equal(unlink(folder_at("mine/sub/link")), 0);
    assert_int_equal(unlink(folder_at("link")), 0);
    for (int i = 0; i < 40; i++)
        strcat(deep, "/d");
    assert_ok(file_make_dirs(&ctx, folder_at(deep)));
    assert_fails(file_remove_tree(&ctx, folder_at("d")), MTS_ERR_UNSUPPORTED, "at most 32 folders");
    assert_true(dir_exists(folder_at(deep)));
    while (strlen(deep) > 1) {
        assert_int_equal(rmdir(folder_at(deep)), 0);
        deep[strlen(deep) - 2] = '\0';
    }
    assert_int_equal(rmdir(folder_at(deep)), 0);
}

static void commits_folders(void **state)
{
    (void)state;
    assert_ok(file_make_dirs(&ctx, folder_at("tmp/sub")));
    folder_put_text("tmp/sub/a", "1");
    assert_ok(file_commit_dir(&ctx, folder_at("tmp/"), folder_at("final/")));
    assert_content("final/sub/a", "1");
    assert_ok(file_make_dirs(&ctx, folder_at("tmp")));
    folder_put_text("tmp/b", "2");
    assert_ok(file_commit_dir(&ctx, folder_at("tmp"), folder_at("final")));
    assert_listing("", "final");
    assert_listing("final", "b");
    assert_fails(file_commit_dir(&ctx, folder_at("tmp"), folder_at("final")), MTS_ERR_NOT_FOUND,
                 "tmp");
    assert_listing("final", "b");
}

static void commit_failures_change_nothing(void **state)
{
    (void)state;
    assert_ok(file_make_dirs(&ctx, folder_at("a/b")));
    folder_put_text("a/b/kept", "1");
    /* a cannot become its own child: the second rename fails, the first is undone */
    assert_fails(file_commit_dir(&ctx, folder_at("a"), folder_at("a/b")), MTS_ERR_IO,
                 "cannot put in place");
    assert_listing("a", "b");
    assert_content("a/b/kept", "1");
    folder_put_text("file", "x");
    assert_fails(file_commit_dir(&ctx, folder_at("a"), folder_at("file")), MTS_ERR_UNSUPPORTED,
                 "expected a");
    assert_int_equal(symlink("kept", folder_at("a/b/link")), 0);
    assert_ok(file_make_dirs(&ctx, folder_at("tmp")));
    assert_fails(file_commit_dir(&ctx, folder_at("tmp"), folder_at("a")), MTS_ERR_UNSUPPORTED,
                 "symbolic link");
    assert_fails(file_commit_dir(&ctx, folder_at("a"), folder_at("new")), MTS_ERR_UNSUPPORTED,
                 "symbolic link");
    assert_int_equal(symlink("tmp", folder_at("way")), 0);
    assert_fails(file_commit_dir(&ctx, folder_at("way/"), folder_at("new")), MTS_ERR_UNSUPPORTED,
                 "way: expected");
    assert_int_equal(unlink(folder_at("way")), 0);
    assert_listing("", "a file tmp");
    assert_int_equal(unlink(folder_at("a/b/link")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_files, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(names_a_git_lfs_pointer, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(lists_sorted, folder_open, folder_close),
        cmocka_unit_test(joins_paths),
        cmocka_unit_test(finds_parents),
        cmocka_unit_test_setup_teardown(makes_dirs, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(writes_all_pieces, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(replaces_only_on_commit, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(survives_a_full_disk, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(copies, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(moves_and_removes_files, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(says_whether_it_removed, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(removes_trees, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(removes_nothing_it_did_not_make, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(commits_folders, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(commit_failures_change_nothing, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
