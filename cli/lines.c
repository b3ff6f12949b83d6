/*
 * Text lines in: from a file or standard input, "\n" or "\r\n", a tab between the texts of a pair.
 *
 * NUL bytes are dropped, as BERT's tokenizer drops them: a C string cannot carry one.
 */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

bool lines_open(line_reader *reader, const char *path)
{
    *reader = (line_reader){.file = stdin, .name = "standard input"};
    if (path == NULL)
        return true;
    reader->name = path;
    reader->file = fopen(path, "r");
    if (reader->file == NULL)
        cli_error("cannot read %s: %s", path, strerror(errno));
    return reader->file != NULL;
}

line_result lines_next(line_reader *reader)
{
    errno = 0;
    const ssize_t n = getline(&reader->line, &reader->capacity, reader->file);
    if (n < 0) {
        if (feof(reader->file) && !ferror(reader->file))
            return LINE_END;
        if (!interrupt_asked())
            cli_error("cannot read %s: %s", reader->name, strerror(errno));
        return LINE_FAILED;
    }
    size_t length = (size_t)n, kept = 0;
    if (length > 0 && reader->line[length - 1] == '\n')
        length--;
    if (length > 0 && reader->line[length - 1] == '\r')
        length--;
    for (size_t i = 0; i < length; i++)
        if (reader->line[i] != '\0')
            reader->line[kept++] = reader->line[i];
    reader->line[kept] = '\0';
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
    if (reader->file != NULL && reader->file != stdin)
        fclose(reader->file);
    free(reader->line);
    *reader = (line_reader){.file = NULL};
}
