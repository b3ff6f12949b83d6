/*
 * Parameters: declared once, with name, shape and role; everything else follows from that: place in
 * memory, gradient, optimizer state, files, checkpoints, printing.
 *
 * Path: network_create -> model_class.declare, head_class.declare -> param_declare;
 *       param_list_allocate -> value, grad; optimizer, clip, network_save walk the list.
 *
 * The values of a frozen matrix may stay in the file that they are read from (storage): then only
 * param_read has them.  All others lie in one float array, all gradients of trained parameters in
 * another, in the order of declaration and without gaps.  Parameters declared behind each other may
 * act as one matrix (query, key and value of a layer), wherever their values are.
 */
#ifndef MTS_TENSOR_PARAM_H
#define MTS_TENSOR_PARAM_H

#include "base/memory.h"
#include "tensor/stored_matrix.h"

/* What a parameter is for; decides whether weight decay applies. */
typedef enum param_role {
    PARAM_WEIGHT, /* of a linear layer: decays */
    PARAM_TABLE,  /* of an embedding: decays */
    PARAM_BIAS,   /* does not; likewise below */
    PARAM_NORM,   /* gain or bias of a norm */
} param_role;

/* Where a parameter comes from when training begins. */
typedef enum param_part {
    PARAM_BODY,       /* from the model's file, or it is an error */
    PARAM_HEAD,       /* from the file if it has it, else initialised */
    PARAM_HEAD_SAVED, /* likewise; beside an adapter it is trained and saved with the outputs */
    PARAM_OUTPUT,     /* likewise, but only where the outputs mean the same as those of the file */
    PARAM_ADAPTER,    /* beside the model's, which are frozen: from a folder of an adapter, else
                      initialised; only these are written */
} param_part;

enum { PARAM_NAME_BYTES = 128 };

/* Along which of its sides a parameter of an adapter has the ranks. */
typedef enum param_ranks {
    PARAM_RANKS_NONE,
    PARAM_RANKS_ROWS,
    PARAM_RANKS_COLS,
} param_ranks;

/* Where the values of a parameter are. */
typedef enum param_storage {
    PARAM_IN_MEMORY, /* as float, at `value` */
    PARAM_STORED,    /* in the file; layers read them once, for copies of their own */
    PARAM_STREAMED,  /* in the file; linear layers read them in every product */
} param_storage;

typedef struct param {
    char name[PARAM_NAME_BYTES]; /* as transformers' present versions write it */
    int64_t rows, cols;          /* vectors: rows = 1 */
    param_role role;
    bool vector;  /* one dimension in files */
    bool decay;   /* weight decay applies; from the role */
    bool trained; /* else frozen: no gradient, no optimizer state, not in checkpoints */
    param_part part;
    float init_bound; /* PARAM_ADAPTER: initial values are uniform between -init_bound and this */
    param_ranks ranks;
    int64_t first_rank, end_rank; /* those that the present step trains; end 0: all */
    int64_t index;                /* among all parameters, from 0: key of initial values */
    param_storage storage;        /* of frozen matrices; before param_list_allocate */
    bool quantised;               /* a 4-bit base has it in 4 bits: a linear layer's weight */
    stored_matrix stored;         /* where they are not in memory, once loaded; owned */
    const struct param *next;     /* the one declared behind it, or NULL */
    const struct param *previous; /* the one before it, or NULL */
    float *value;                 /* [rows][cols]; owned by the list; NULL: not in memory */
    float *grad;                  /* the same; NULL without training, or frozen */
} param;

/* Owns the parameters; their addresses stay as they are while others are declared. */
typedef struct param_list {
    param **items; /* [count], in the order of declaration */
    int64_t count;
    param **trained; /* [trained_count]: those of items that are trained */
    int64_t trained_count;
    int64_t elements;  /* of all */
    param_part part;   /* of what is declared from now on */
    mts_status status; /* the first failure of param_declare, MTS_ERR_MEMORY */
    float *value, *grad;
} param_list;

/* Elements of a parameter. */
static inline int64_t param_size(const param *p)
{
    return p->rows * p->cols;
}

/*
 * Declare one more parameter, trained; rows 0 makes a vector of cols elements.  name is a printf
 * format.  Returns it, or NULL where memory is short: list->status then says so, and every later
 * call returns NULL too.
 */
param *param_declare(param_list *list, param_role role, int64_t rows, int64_t cols,
                     const char *name, ...) MTS_PRINTF(5, 6);

/* The parameter of that name, or NULL. */
param *param_list_find(const param_list *list, const char *name);

/*
 * The elements that the present step trains, run by run: begin with *n = 0 and *at = begin; false
 * behind the last of them below `end`.  All of a parameter whose ranks are all trained is one run.
 */
bool param_next_trained(const param *p, int64_t end, int64_t *at, int64_t *n);

/*
 * Rows and columns of parameters that act as one matrix, the first of them p: out[n] = row `row`,
 * counted from p's first, columns [col, col + n) as in stored_matrix.h.
 */
void param_read(const param *p, int64_t row, int64_t col, int64_t n, float *out);

/* out[n] = elements (row, col[n]) of parameters that are stored, col rising. */
void param_gather(const param *p, int64_t row, const int32_t *col, int64_t n, float *out);

/* Columns [col, col + n) as mantissas, to nearest.  False: not of this kind of storage
 * (stored_matrix.h). */
bool param_map_s8(const exec *ex, const param *p, int64_t row, int64_t col, int64_t n,
                  const quantize_args *args, int8_t *q);

/* It was read: pages of its file need no memory until it is again. */
void param_forget(const param *p);

/*
 * A product with the rows of parameters that act as one matrix begins, the first of them p: let the
 * streamed matrices that come after it (backward: before it) be read from their files meanwhile, as
 * many as a few products take.
 */
void param_read_ahead(const param *p, int64_t rows, bool backward);

/* Elements of all parameters that are in memory; of all that are trained. */
int64_t param_list_memory_elements(const param_list *list);

int64_t param_list_trained_elements(const param_list *list);

/* Freeze p, before param_list_allocate. */
void param_freeze(param *p);

/* After the last declaration: memory for the values (zeros), and for gradients of trained
 * parameters with with_grad.  The list's own failure if it had one; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status param_list_allocate(mts_ctx *ctx, param_list *list, bool with_grad);

/* Frees everything; safe on a zeroed list and after failures. */
void param_list_deinit(param_list *list);

#endif
