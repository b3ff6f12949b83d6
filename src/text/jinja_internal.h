/*
 * What the files of the Jinja interpreter share.  See jinja.h.
 *
 * Everything that a template or a run makes lies in a pool, and is freed with it: the tree of a
 * template in that of the template, values in that of the run.  Values are copied freely, what they
 * point to never changes; only namespaces do.
 */
#ifndef MTS_TEXT_JINJA_INTERNAL_H
#define MTS_TEXT_JINJA_INTERNAL_H

#include "text/jinja.h"

/* ---------------------------------------------------------------------------------- pool ---- */

/* Memory that is freed as a whole. */
typedef struct jinja_pool {
    mts_ctx *ctx;
    struct jinja_chunk *chunks;
    size_t used, limit; /* bytes */
} jinja_pool;

/* *out: `bytes` of zeroed memory, aligned for any type.  MTS_ERR_MEMORY, MTS_ERR_UNSUPPORTED: over
 * the limit. */
MTS_NODISCARD mts_status jinja_take(jinja_pool *p, size_t bytes, void *out);
void jinja_pool_deinit(jinja_pool *p);

/* A text that grows, in a pool; {.pool = p} is empty. */
typedef struct jinja_buffer {
    jinja_pool *pool;
    char *text;
    size_t bytes, room;
} jinja_buffer;

MTS_NODISCARD mts_status jinja_append(jinja_buffer *b, const char *text, size_t bytes);

/* -------------------------------------------------------------------------------- values ---- */

typedef enum jinja_kind {
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_REAL,
    JINJA_TEXT,
    JINJA_LIST, /* tuples too */
    JINJA_DICT,
    JINJA_NAMESPACE,
    JINJA_LOOP,
    JINJA_SLICE,
    JINJA_MACRO,
    JINJA_FUNCTION, /* one of Jinja's own, by its name */
    JINJA_METHOD,   /* of a value, by its name */
} jinja_kind;

typedef struct jinja_value {
    jinja_kind kind;
    size_t count; /* bytes of a text or a name, items of a list */
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *text; /* of a text; the name of what is not defined, of a function */
        const struct jinja_value *items;
        struct jinja_dict *dict; /* of a namespace too */
        const struct jinja_loop *loop;
        const struct jinja_macro *macro;
        const struct jinja_method *method;
        const struct jinja_slice *slice;
    } as;
} jinja_value;

typedef struct jinja_entry {
    jinja_value key; /* a text */
    jinja_value value;
} jinja_entry;

/* In the order in which they came. */
typedef struct jinja_dict {
    jinja_entry *entries;
    size_t count, room;
} jinja_dict;

typedef struct jinja_loop {
    const jinja_value *items;
    size_t count, index; /* from 0 */
} jinja_loop;

typedef struct jinja_macro {
    const struct jinja_node *node;
    struct jinja_scope *scope; /* in which it was defined */
} jinja_macro;

typedef struct jinja_method {
    jinja_value self;
    const char *name;
} jinja_method;

/* None where nothing was given. */
typedef struct jinja_slice {
    jinja_value start, stop, step;
} jinja_slice;

/* ---------------------------------------------------------------------------------- tree ---- */

typedef enum jinja_node_kind {
    /* statements; `list` is what is in a block, one behind the other by `next` */
    NODE_DATA,  /* text */
    NODE_PRINT, /* a */
    NODE_IF,    /* list of NODE_BRANCH: a, the condition or NULL; list */
    NODE_BRANCH,
    NODE_FOR,        /* a: target, b: of what, c: condition or NULL; list; other: else */
    NODE_SET,        /* a = b */
    NODE_SET_BLOCK,  /* a = what list prints, through filters b (whose first operand is NULL) */
    NODE_MACRO,      /* text(a: NODE_PARAM, by next), list */
    NODE_PARAM,      /* text, a: default or NULL */
    NODE_GENERATION, /* list */
    NODE_BREAK,
    NODE_CONTINUE,
    /* expressions */
    NODE_CONSTANT,  /* value */
    NODE_NAME,      /* text */
    NODE_LIST,      /* list */
    NODE_TUPLE,     /* list */
    NODE_DICT,      /* list of NODE_PAIR */
    NODE_PAIR,      /* a: b */
    NODE_ATTRIBUTE, /* a.text */
    NODE_ITEM,      /* a[b] */
    NODE_SLICE,     /* a : b : c, each may be NULL */
    NODE_CALL,      /* a(list) */
    NODE_KEYWORD,   /* text = a, among arguments */
    NODE_FILTER,    /* a | text(list) */
    NODE_TEST,      /* a is text(list) */
    NODE_NOT,
    NODE_NEGATIVE,
    NODE_POSITIVE,
    NODE_BINARY, /* a op b */
    NODE_AND,
    NODE_OR,
    NODE_CONCAT,  /* a ~ b */
    NODE_COMPARE, /* a, list of NODE_OPERAND: op a */
    NODE_OPERAND,
    NODE_CHOICE, /* b if a else c, which may be NULL */
} jinja_node_kind;

typedef enum jinja_operator {
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_FLOOR_DIVIDE,
    OP_MODULO,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_IN,
    OP_NOT_IN,
} jinja_operator;

typedef struct jinja_node {
    jinja_node_kind kind;
    jinja_operator op;
    int32_t line;
    int32_t depth;    /* of the tree under it */
    const char *text; /* with a NUL behind */
    size_t bytes;
    jinja_value value;
    struct jinja_node *a, *b, *c, *list, *other, *next;
} jinja_node;

struct jinja {
    char *name;
    jinja_pool pool;
    jinja_node *body;
    bool marks_generation;
};

/* --------------------------------------------------------------------------------- lexer ---- */

typedef enum jinja_token_kind {
    TOKEN_DATA,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING, /* without quotes and escapes */
    TOKEN_INT,
    TOKEN_REAL,
    TOKEN_SIGN, /* text: one or two characters */
    TOKEN_END,
} jinja_token_kind;

typedef struct jinja_token {
    jinja_token_kind kind;
    int32_t line;
    const char *text; /* with a NUL behind, but data */
    size_t bytes;
    jinja_value value; /* of a number */
} jinja_token;

/* A template that is being read. */
typedef struct jinja_source {
    mts_ctx *ctx;
    const char *name;
    jinja_pool *pool;
    jinja_token *tokens; /* [count], the last is TOKEN_END; in the pool */
    size_t count, room, at;
    int depth; /* of the parser's calls */
    bool marks_generation;
} jinja_source;

/* Fill the tokens of text[bytes], which is changed. */
MTS_NODISCARD mts_status jinja_lex(jinja_source *s, char *text, size_t bytes);

/* -------------------------------------------------------------------------------- parser ---- */

enum {
    JINJA_DEPTH = 150,      /* of a tree and of blocks in each other */
    JINJA_RUN_DEPTH = 1000, /* of expressions and blocks that are run, those of macros included */
};

const jinja_token *jinja_peek(const jinja_source *s);
bool jinja_is_sign(const jinja_source *s, const char *sign);
bool jinja_is_name(const jinja_source *s, const char *name);
/* Whether the token is this sign or name, which is then taken. */
bool jinja_skip_sign(jinja_source *s, const char *sign);
bool jinja_skip_name(jinja_source *s, const char *name);
MTS_NODISCARD mts_status jinja_expect_sign(jinja_source *s, const char *sign);
MTS_NODISCARD mts_status jinja_expect_name(jinja_source *s, const char **name);
/* MTS_ERR_BAD_FILE: "name:line: expected ..., found (the present token)". */
MTS_NODISCARD mts_status jinja_expected(jinja_source *s, const char *what);

/* *out: a node at the present line. */
MTS_NODISCARD mts_status jinja_new_node(jinja_source *s, jinja_node_kind kind, jinja_node **out);
/* Set its depth, when its children are there.  MTS_ERR_UNSUPPORTED: too deep. */
MTS_NODISCARD mts_status jinja_end_node(jinja_source *s, jinja_node *n);

/* An expression; without `choice` the word "if" ends it. */
MTS_NODISCARD mts_status jinja_parse_expression(jinja_source *s, bool choice, jinja_node **out);
/* One, or a tuple of several with commas between. */
MTS_NODISCARD mts_status jinja_parse_tuple(jinja_source *s, bool choice, jinja_node **out);
/* "| name(...)" behind *node, as often as it comes; *node may be NULL. */
MTS_NODISCARD mts_status jinja_parse_filters(jinja_source *s, jinja_node **node);
/* Statements up to the end of the template. */
MTS_NODISCARD mts_status jinja_parse_template(jinja_source *s, jinja_node **out);

/* ----------------------------------------------------------------------------------- run ---- */

/* The names that a block has set. */
typedef struct jinja_scope {
    struct jinja_scope *parent;
    jinja_entry *entries;
    size_t count, room;
} jinja_scope;

typedef enum jinja_flow {
    FLOW_ON,
    FLOW_BREAK,
    FLOW_CONTINUE,
} jinja_flow;

typedef struct jinja_run {
    mts_ctx *ctx;
    const jinja *template;
    jinja_pool pool;
    jinja_buffer out;
    jinja_scope *scope;
    jinja_flow flow;
    int64_t steps; /* that are left */
    int depth;     /* of calls of eval and of statements */
    int captures;  /* set blocks and macros that print into a text of their own */
    int32_t line;
    jinja_span *spans; /* in the pool */
    size_t span_count, span_room;
    const jinja_date *date; /* NULL: none */
} jinja_run;

/* The error of this run at its line. */
mts_status jinja_fail(jinja_run *r, mts_status status, const char *format, ...) MTS_PRINTF(3, 4);
/* Count steps.  MTS_ERR_UNSUPPORTED: more than any template takes. */
MTS_NODISCARD mts_status jinja_step(jinja_run *r, size_t steps);

MTS_NODISCARD mts_status jinja_eval(jinja_run *r, const jinja_node *n, jinja_value *out);
MTS_NODISCARD mts_status jinja_run_block(jinja_run *r, const jinja_node *first);
/* What the statements print, as a text. */
MTS_NODISCARD mts_status jinja_capture(jinja_run *r, const jinja_node *first, jinja_value *out);
MTS_NODISCARD mts_status jinja_set_name(jinja_run *r, jinja_scope *scope, const char *name,
                                        jinja_value value);
MTS_NODISCARD mts_status jinja_push_scope(jinja_run *r, jinja_scope *parent);

/* Arguments of a call: first those without a name. */
typedef struct jinja_arguments {
    jinja_value *values;
    const char **names; /* NULL: without */
    size_t count;
} jinja_arguments;

/* Argument number `index` from 0, or of that name; NULL: not given. */
const jinja_value *jinja_argument(const jinja_arguments *a, size_t index, const char *name);

MTS_NODISCARD mts_status jinja_call(jinja_run *r, jinja_value callee, const jinja_arguments *a,
                                    jinja_value *out);
MTS_NODISCARD mts_status jinja_call_method(jinja_run *r, const jinja_method *m,
                                           const jinja_arguments *a, jinja_value *out);
MTS_NODISCARD mts_status jinja_call_function(jinja_run *r, const char *name,
                                             const jinja_arguments *a, jinja_value *out);
bool jinja_is_function(const jinja_run *r, const char *name);
/* Whether values of this kind have a method of that name (perhaps one that is not reproduced). */
bool jinja_has_method(jinja_kind kind, const char *name);
MTS_NODISCARD mts_status jinja_filter(jinja_run *r, const char *name, jinja_value self,
                                      const jinja_arguments *a, jinja_value *out);
MTS_NODISCARD mts_status jinja_test(jinja_run *r, const char *name, jinja_value self,
                                    const jinja_arguments *a, bool *out);

/* -------------------------------------------------------------------- jinja_value.c, _text.c - */

jinja_value jinja_undefined(const char *name);
jinja_value jinja_none(void);
jinja_value jinja_bool(bool truth);
jinja_value jinja_int(int64_t integer);
jinja_value jinja_text(const char *text, size_t bytes); /* borrowed */
jinja_value jinja_string(const char *text);             /* the same, up to its NUL */
jinja_value jinja_list(const jinja_value *items, size_t count);

bool jinja_is_text(jinja_value v, const char *text);
bool jinja_truth(jinja_value v);
bool jinja_is_number(jinja_value v); /* bool too */
double jinja_real(jinja_value v);    /* of a number */
const char *jinja_kind_name(jinja_value v);
MTS_NODISCARD mts_status jinja_equal(jinja_run *r, jinja_value a, jinja_value b, bool *out);
MTS_NODISCARD mts_status jinja_less(jinja_run *r, jinja_value a, jinja_value b, bool *out);
MTS_NODISCARD mts_status jinja_contains(jinja_run *r, jinja_value where, jinja_value what,
                                        bool *out);
/* NULL: no such key. */
MTS_NODISCARD mts_status jinja_find(jinja_run *r, const jinja_dict *d, jinja_value key,
                                    jinja_value **out);
MTS_NODISCARD mts_status jinja_put(jinja_run *r, jinja_dict *d, jinja_value key, jinja_value value);
/* *out: a list of what a loop over v goes through. */
MTS_NODISCARD mts_status jinja_items(jinja_run *r, jinja_value v, jinja_value *out);
/* *out: the value of a JSON value; texts are borrowed from it. */
MTS_NODISCARD mts_status jinja_from_json(jinja_run *r, const struct json_t *json, int depth,
                                         jinja_value *out);

/* str(v). */
MTS_NODISCARD mts_status jinja_str(jinja_run *r, jinja_value v, jinja_value *out);
MTS_NODISCARD mts_status jinja_concat(jinja_run *r, jinja_value a, jinja_value b, jinja_value *out);
/* Without blanks, or without the characters of chars (NULL: blanks), at its begin, end. */
jinja_value jinja_strip(jinja_value text, const jinja_value *chars, bool begin, bool end);
size_t jinja_length(const char *text, size_t bytes); /* characters */
/* *out: where `part`, which is not empty, begins in text[bytes]; NULL: nowhere. */
MTS_NODISCARD mts_status jinja_search(jinja_run *r, const char *text, size_t bytes,
                                      jinja_value part, const char **out);
MTS_NODISCARD mts_status jinja_replace(jinja_run *r, jinja_value text, jinja_value from,
                                       jinja_value to, jinja_value *out);
MTS_NODISCARD mts_status jinja_to_json(jinja_run *r, jinja_value v, const jinja_arguments *a,
                                       jinja_value *out);
MTS_NODISCARD mts_status jinja_item(jinja_run *r, jinja_value self, jinja_value key,
                                    jinja_value *out);
MTS_NODISCARD mts_status jinja_attribute(jinja_run *r, jinja_value self, const char *name,
                                         jinja_value *out);

#endif
