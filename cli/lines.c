/*
 * Text lines in: from a file or standard input, "\n" or "\r\n", a tab between the texts of a pair.
 *
 * Own buffer over read(2), so that lines_ready can tell whether a whole line is there already: a
 * program at the other end of a pipe may wait for the answer to its line before it sends another.
 * NUL bytes are dropped, as BERT's tokenizer drops them: a C string cannot carry one.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAPACITY = 1 << 16 };

/* Whether the file is what a clone without Git LFS has in the place of a large one. */
static bool is_lfs_pointer(int fd)
{
    static const char start[] = "version https://git-lfs.github.com/spec/";
    char text[sizeof start - 1];
    return pread(fd, text, sizeof text, 0) == (ssize_t)sizeof text &&
           memcmp(text, start, sizeof text) == 0;
}

bool lines_open(line_reader *reader, const char *path)
{
    *reader = (line_reader){.fd = STDIN_FILENO, .name = "standard input"};
    if (path == NULL)
        return true;
    reader->name = path;
    reader->fd = open(path, O_RDONLY);
    if (reader->fd < 0)
        cli_error("cannot read %s: %s", path, strerror(errno));
    if (reader->fd < 0 || !is_lfs_pointer(reader->fd))
        return reader->fd >= 0;
    cli_error("%s: this is a Git LFS pointer, not the file itself", path);
    return false;
}

/* Room for more bytes behind the ones that are there, and for a NUL. */
static bool make_room(line_reader *reader)
{
    if (reader->begin > 0) {
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->scanned -= reader->begin;
        reader->begin = 0;
    }
    if (reader->end + 1 < reader->capacity)
        return true;
    const size_t capacity = reader->capacity == 0 ? FIRST_CAPACITY : 2 * reader->capacity;
    char *buffer = realloc(reader->buffer, capacity);
    if (buffer == NULL) {
        cli_error("out of memory: %s:%lld", reader->name, (long long)reader->number + 1);
        return false;
    }
    reader->buffer = buffer;
    reader->capacity = capacity;
    return true;
}

/* Read what there is, or wait for something.  False: the error was printed, or a signal came. */
static bool read_more(line_reader *reader)
{
    ssize_t n;
    if (!make_room(reader))
        return false;
    do {
        n = read(reader->fd, reader->buffer + reader->end, reader->capacity - 1 - reader->end);
    } while (n < 0 && errno == EINTR && !interrupt_asked());
    if (n < 0 && !interrupt_asked())
        cli_error("cannot read %s: %s", reader->name, strerror(errno));
    if (n <= 0) {
        reader->at_end = n == 0;
        return n == 0;
    }
    reader->end += (size_t)n;
    return true;
}

/* The end of the first line in the buffer, or NULL; each byte is looked at once. */
static char *find_line_end(line_reader *reader)
{
    if (reader->scanned == reader->end)
        return NULL;
    char *from = reader->buffer + reader->scanned;
    char *found = memchr(from, '\n', reader->end - reader->scanned);
    reader->scanned = found != NULL ? (size_t)(found - reader->buffer) : reader->end;
    return found;
}

bool lines_ready(line_reader *reader)
{
    struct pollfd waiting = {.fd = reader->fd, .events = POLLIN};
    while (!reader->failed && !reader->at_end && find_line_end(reader) == NULL) {
        if (poll(&waiting, 1, 0) <= 0)
            return false;
        reader->failed = !read_more(reader);
    }
    return true;
}

line_result lines_next(line_reader *reader)
{
    char *end = NULL;
    size_t kept = 0;
    while (!reader->failed && !reader->at_end && (end = find_line_end(reader)) == NULL)
        reader->failed = !read_more(reader);
    if (reader->failed)
        return LINE_FAILED;
    if (end == NULL)
        end = find_line_end(reader);
    if (end == NULL && reader->begin == reader->end)
        return LINE_END;
    char *line = reader->buffer + reader->begin;
    size_t length = (end != NULL ? (size_t)(end - reader->buffer) : reader->end) - reader->begin;
    reader->begin = end != NULL ? reader->begin + length + 1 : reader->end;
    reader->scanned = reader->begin;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    for (size_t i = 0; i < length; i++)
        if (line[i] != '\0')
            line[kept++] = line[i];
    line[kept] = '\0';
    reader->line = line;
    reader->number++;
    return LINE_READ;
}

bool lines_split_pair(const line_reader *reader, char **second)
{
    char *tab = strchr(reader->line, '\t');
    *second = NULL;
    if (tab == NULL)
        return true;
    if (strchr(tab + 1, '\t') != NULL) {
        cli_error("%s:%lld: expected one text, or two with one tab between them", reader->name,
                  (long long)reader->number);
        return false;
    }
    *tab = '\0';
    *second = tab + 1;
    return true;
}

void lines_close(line_reader *reader)
{
    if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    free(reader->buffer);
    *reader = (line_reader){.fd = -1};
}
