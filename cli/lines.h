/*
 * Text lines in: from a file or standard input.
 */
#ifndef MANTISSA_CLI_LINES_H
#define MANTISSA_CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct line_reader {
    int fd;
    const char *name;
    char *line; /* the last line read, without its end; in buffer, until the next call */
    int64_t number;
    char *buffer; /* bytes read and not given out: buffer[begin] ... buffer[end - 1] */
    size_t begin, end, capacity;
    size_t scanned; /* no line end before it */
    bool at_end, failed;
} line_reader;

typedef enum line_result { LINE_READ, LINE_END, LINE_FAILED } line_result;

/* path NULL: standard input.  False: the error was printed. */
bool lines_open(line_reader *reader, const char *path);
/* Whether lines_next returns at once: a line is there, or the end, or a failure. */
bool lines_ready(line_reader *reader);
/* LINE_FAILED: the error was printed, or the read was interrupted. */
line_result lines_next(line_reader *reader);
/* Split reader->line at its one tab: *second points into it, or NULL.  False (printed): two tabs.
 */
bool lines_split_pair(const line_reader *reader, char **second);
void lines_close(line_reader *reader);

#endif
