/* Matrices that stay in their file.  See stored_matrix.h. */
#include "tensor/stored_matrix.h"

#include <assert.h>

/* Where a row lies in the file. */
static int64_t place_of(const stored_matrix *m, int64_t row)
{
    const int64_t d = m->head_rows, in_head = d > 0 ? row % d : 0;
    if (d == 0)
        return row;
    return row - in_head + in_head % (d / 2) * 2 + in_head / (d / 2);
}

static void read_units(const stored_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const int64_t in_row = m->cols / m->unit;
    const uint8_t *data = m->map.data + (size_t)(place_of(m, row) * in_row) * m->unit_bytes;
    m->decode(data + (size_t)(col / m->unit) * m->unit_bytes, n / m->unit, out);
}

const stored_class stored_units = {.read = read_units};

void stored_matrix_read(const stored_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    assert(row >= 0 && row < m->rows && col % STORED_COLS == 0);
    assert(col + n == m->cols || (n % STORED_COLS == 0 && col + n < m->cols));
    m->class->read(m, row, col, n, out);
}

void stored_matrix_gather(const stored_matrix *m, int64_t row, const int32_t *col, int64_t n,
                          float *out)
{
    float room[STORED_COLS];
    int64_t first = -1; /* column of room[0] */
    if (m->class->gather != NULL) {
        m->class->gather(m, row, col, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t begin = col[i] / STORED_COLS * STORED_COLS, left = m->cols - begin;
        if (begin != first)
            stored_matrix_read(m, row, begin, left < STORED_COLS ? left : STORED_COLS, room);
        first = begin;
        out[i] = room[col[i] - begin];
    }
}

size_t stored_matrix_want(const stored_matrix *m)
{
    file_map_want(&m->map);
    if (m->class != NULL && m->class->want != NULL)
        return m->map.length + m->class->want(m);
    return m->map.length;
}

void stored_matrix_forget(const stored_matrix *m)
{
    file_map_forget(&m->map);
    if (m->class != NULL && m->class->forget != NULL)
        m->class->forget(m);
}

void stored_matrix_close(stored_matrix *m)
{
    if (m->class != NULL && m->class->close != NULL)
        m->class->close(m);
    file_map_close(&m->map);
    *m = (stored_matrix){0};
}
