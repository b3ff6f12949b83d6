/*
 * Result files: standard output, or a file that appears under its name only when it is complete
 * (temporary name in the same folder, fsync, rename).
 *
 * A symbolic link stays: the file it leads to is replaced.  What is not a regular file (a device, a
 * pipe), leads nowhere, or lies below /dev or /proc is written in place; /dev/stdout and its like
 * through the descriptor that they name: what the shell opened for appending is appended to.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The descriptor that "/dev/stdout", "/dev/fd/<n>" and the like name; -1: path is no such name. */
static int named_descriptor(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (!starts_with(path, folders[i]))
            continue;
        const char *digits = path + strlen(folders[i]);
        const size_t n = strlen(digits);
        if (n > 0 && n < 8 && strspn(digits, "0123456789") == n)
            return atoi(digits);
    }
    return -1;
}

static bool is_special(const char *path)
{
    struct stat info;
    if (starts_with(path, "/dev/") || starts_with(path, "/proc/"))
        return true;
    if (stat(path, &info) == 0)
        return !S_ISREG(info.st_mode);
    return lstat(path, &info) == 0; /* a link that leads nowhere: the file is made there */
}

static FILE *open_in_place(const char *path)
{
    const int named = named_descriptor(path);
    if (named < 0)
        return fopen(path, "w");
    const int fd = dup(named);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && file == NULL)
        close(fd);
    return file;
}

/* o->temp beside o->target, open. */
static void open_temporary(output *o)
{
    const size_t bytes = strlen(o->target) + 32;
    o->temp = malloc(bytes);
    if (o->temp == NULL)
        return;
    snprintf(o->temp, bytes, "%s.tmp-%ld", o->target, (long)getpid());
    unlink(o->temp); /* left by a killed process that had our number */
    const int fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL, 0666);
    o->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && o->file == NULL) {
        close(fd);
        unlink(o->temp);
    }
}

static void free_names(output *o)
{
    free(o->temp);
    free(o->target);
    o->temp = o->target = NULL;
}

/* Whether path is the regular file that standard input is read from. */
static bool is_standard_input(const char *path)
{
    struct stat in, out;
    return fstat(STDIN_FILENO, &in) == 0 && stat(path, &out) == 0 && S_ISREG(in.st_mode) &&
           in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

int output_check(const cli_args *args, bool reads_lines)
{
    mts_options o = args->options;
    if (args->output == NULL)
        return EXIT_OK;
    if (reads_lines && args->input == NULL && is_standard_input(args->output)) {
        cli_error("--output %s is the standard input: give another file", args->output);
        return EXIT_USAGE;
    }
    if (reads_lines)
        o.test_file = args->input;
    return cli_report(args->ctx, mts_check_output(args->ctx, &o, args->output));
}

bool output_open(output *o, const char *path)
{
    *o = (output){.file = stdout, .path = path};
    if (path == NULL)
        return true;
    o->file = NULL;
    o->target = realpath(path, NULL); /* NULL: there is no such file yet */
    if (o->target == NULL)
        o->target = strdup(path);
    if (is_special(path) || (o->target != NULL && is_special(o->target)))
        o->file = open_in_place(path);
    else if (o->target != NULL)
        open_temporary(o);
    if (o->file == NULL) {
        cli_error("cannot write %s: %s", path, strerror(errno));
        free_names(o);
        return false;
    }
    return true;
}

bool output_commit(output *o)
{
    const char *name = o->path != NULL ? o->path : "standard output";
    bool ok = fflush(o->file) == 0 && ferror(o->file) == 0;
    if (ok && o->temp != NULL)
        ok = fsync(fileno(o->file)) == 0 && rename(o->temp, o->target) == 0;
    if (!ok) {
        cli_error("cannot write %s: %s", name, strerror(errno));
        return false;
    }
    free_names(o);
    return true;
}

void output_close(output *o)
{
    if (o->file != NULL && o->path != NULL)
        fclose(o->file);
    if (o->temp != NULL)
        unlink(o->temp);
    free_names(o);
    *o = (output){.file = NULL};
}

/* The control character at text, as a code point; *bytes: its length.  -1: it is none. */
static int control_at(const char *text, size_t *bytes)
{
    const unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
    const bool high = first == 0xc2 && second >= 0x80 && second < 0xa0; /* U+0080..U+009F */
    *bytes = high ? 2 : 1;
    if (high)
        return second;
    return first < ' ' || first == 0x7f ? first : -1;
}

void output_text(FILE *file, const char *text)
{
    size_t bytes = 0;
    for (; *text != '\0'; text += bytes)
        fputc(control_at(text, &bytes) < 0 ? *text : '?', file);
}

/* One character of a result, control characters as \u001b; the number of bytes taken. */
static size_t put_escaped(FILE *file, const char *text)
{
    size_t bytes = 0;
    const int control = control_at(text, &bytes);
    if (control < 0)
        fputc(*text, file);
    else
        fprintf(file, "\\u%04x", (unsigned)control);
    return bytes;
}

void output_tsv_field(FILE *file, const char *text)
{
    static const char plain[] = "\t\n\r\\", letters[] = "tnr\\";
    while (*text != '\0') {
        const char *found = strchr(plain, *text);
        if (found == NULL) {
            text += put_escaped(file, text);
            continue;
        }
        fprintf(file, "\\%c", letters[found - plain]);
        text++;
    }
}

void output_json_string(FILE *file, const char *text)
{
    fputc('"', file);
    while (*text != '\0') {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        text += put_escaped(file, text);
    }
    fputc('"', file);
}
