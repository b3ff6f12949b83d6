/*
 * Entities in sequences of tags, and how many of them were found: precision, recall, F1 and
 * accuracy as seqeval computes them in its default mode (that of conlleval.pl), which is what
 * run_ner.py reports.                                              [Nakayama2018]
 *
 * A tag is a letter and, behind a dash, a type: B-PER.  An entity begins at B or S, and at I or E
 * behind O, E, S or another type; it ends before O, B, S or another type, and behind E or S.  So
 * BIO (IOB2), IOB, IOE and IOBES are read, and I-PER behind O begins an entity.  A tag that is of
 * none of these forms has its first character for the letter, as in seqeval.
 *
 *   precision = equal / predicted     recall = equal / true     F1 = 2 p r / (p + r)
 *
 * equal: entities of both with the same type, first and last word; types together ("micro").  0
 * where nothing is to be divided by.  accuracy = tags that are equal / tags (NaN: there are none).
 *
 * Path: task token classification -> entity_metrics_add for each word in order -> _end of each
 *       sentence -> entity_metrics_finish.
 */
#ifndef MTS_TASKS_ENTITY_METRICS_H
#define MTS_TASKS_ENTITY_METRICS_H

#include <stdbool.h>
#include <stdint.h>

/* Where a sequence of tags stands.  Types are borrowed. */
typedef struct entity_state {
    int32_t letter;
    const char *type;
    int64_t begin; /* place of the last word that began an entity */
} entity_state;

/* Two sequences beside each other; takes no memory. */
typedef struct entity_metrics {
    entity_state truth, found;
    int64_t at; /* the next word; also the end of a sentence has a place */
    int64_t words, right;
    int64_t true_entities, found_entities, equal_entities;
} entity_metrics;

typedef struct entity_scores {
    double precision, recall, f1, accuracy;
} entity_scores;

void entity_metrics_init(entity_metrics *m);
/* The next word: its tag and the predicted one, UTF-8, not empty, borrowed until the second next
 * call. */
void entity_metrics_add(entity_metrics *m, const char *truth, const char *found);
/* A sentence ends: no entity goes on. */
void entity_metrics_end(entity_metrics *m);
/* Behind the end of the last sentence. */
entity_scores entity_metrics_finish(const entity_metrics *m);

/* Whether a tag has one of the forms that entities are made of: O, or B-, I-, E- or S- before a
 * type, or one of these letters alone. */
bool entity_tag_is_usual(const char *tag);

#endif
